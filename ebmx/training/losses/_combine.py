"""Sums of losses."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from ... import _checks
from ..._arguments import guarded
from ..._types import EnergyFn, Number, Scalar
from ...energies._constants import as_number
from .._batch import Batch
from ._contrastive import Loss


class WeightedSum(eqx.Module):
    """A loss that is a weighted sum of losses; see `weighted_sum`."""

    losses: tuple[Loss, ...]
    weights: tuple[jax.Array, ...]

    def __call__(
        self, energy: EnergyFn, positives: Batch, negatives: Batch
    ) -> tuple[Scalar, dict[str, Scalar]]:
        total: Any = 0.0
        metrics: dict[str, Scalar] = {}
        for number, (weight, loss) in enumerate(zip(self.weights, self.losses, strict=True)):
            value, more = loss(energy, positives, negatives)
            total = total + weight.astype(value.dtype) * value
            metrics |= {f"loss_{number}": value} | more
        return total, metrics


@guarded
def weighted_sum(*terms: tuple[Number, Loss]) -> WeightedSum:
    """The loss `Σ wᵢ lossᵢ`, with the metrics of all, and `loss_0`, `loss_1`, … for the parts.

    Args:
        terms: pairs `(weight, loss)`, at least one; the weights are finite numbers. They may be
            traced, and another weight does not compile again.

    Returns:
        A loss, in the units of its parts.

    Raises:
        ValueError: if there is no term, or a term is no such pair.
    """
    _checks.require(len(terms) > 0, "terms", terms, "give at least one pair (weight, loss)")
    for term in terms:
        ok = isinstance(term, tuple | list) and len(term) == 2
        ok = ok and _is_finite_number(term[0]) and callable(term[1])
        _checks.require(ok, "term", term, "give pairs (weight, loss) of a number and a function")
    weights = tuple(as_number(weight) for weight, _ in terms)
    return WeightedSum(tuple(loss for _, loss in terms), weights)


def _is_finite_number(weight: Any) -> bool:
    kinds = int | float | np.number | np.ndarray | jax.Array
    if not isinstance(weight, kinds) or np.shape(weight) != ():
        return False
    return not _checks.is_concrete(weight) or bool(np.isfinite(np.asarray(weight, float)))
