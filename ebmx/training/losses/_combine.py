"""Sums of losses."""

from typing import Any

import equinox as eqx
import jax

from ... import _checks
from ..._types import EnergyFn, Number, Scalar
from ...energies._constants import as_number
from ...samplers._fields import cast
from .._batch import Examples
from ._contrastive import Loss


class WeightedSum(eqx.Module):
    """The loss `Σ wᵢ lossᵢ`, with the metrics of all, and `loss_0`, `loss_1`, … for the parts.

    Args:
        losses: functions of `(energy, positives, negatives)`, at least one.
        weights: a finite number for each loss. They may be traced, and other weights do not compile
            again.

    Raises:
        ValueError: if there is no loss, or not one number for each.
    """

    losses: tuple[Loss, ...] = eqx.field(converter=tuple)
    weights: tuple[Number, ...] = eqx.field(converter=lambda weights: _numbers(weights))

    def __check_init__(self):
        fix = "give at least one function of (energy, positives, negatives)"
        _checks.require(len(self.losses) > 0, "losses", self.losses, fix)
        fix = f"give a number for each of the {len(self.losses)} losses"
        _checks.require(len(self.weights) == len(self.losses), "weights", self.weights, fix)

    def __call__(
        self, energy: EnergyFn, positives: Examples, negatives: Examples
    ) -> tuple[Scalar, dict[str, Scalar]]:
        total: Any = 0.0
        metrics: dict[str, Scalar] = {}
        for number, (weight, loss) in enumerate(zip(self.weights, self.losses, strict=True)):
            value, more = loss(energy, positives, negatives)
            total = total + cast(weight, value) * value
            metrics |= {f"loss_{number}": value} | more
        return total, metrics


def _numbers(weights: tuple[Number, ...]) -> tuple[jax.Array, ...]:
    for weight in weights:
        _checks.finite_value("weights", weight)
    return tuple(map(as_number, weights))
