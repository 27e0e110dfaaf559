"""Losses: plain functions of an energy, positives and negatives."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks, _mesh
from ..._arguments import guarded
from ..._types import EnergyFn, Number, Scalar, Vector
from ...energies._constants import as_number
from .._batch import Batch, Examples, as_examples, energies, mean

Loss = Callable[..., tuple[Scalar, dict[str, Scalar]]]


@guarded
def contrastive_loss(
    energy: EnergyFn, positives: Batch, negatives: Batch, *, alpha: Number = 0.0
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean E(x⁺) − mean E(x⁻) + α (mean E(x⁺)² + mean E(x⁻)²)`.

    Its gradient without the last term is that of the negative log-likelihood if the negatives
    follow the model. The last term keeps the energies near zero. The value says nothing about
    quality: it is near 0 for a perfect model and for an untrained one.

    Hinton (2002), "Training products of experts by minimizing contrastive divergence"; the term
    with α as in Du and Mordatch (2019).

    **Arguments:**

    - `energy`: a fixed energy; conditional if the batches are `(x, y)`.
    - `positives`, `negatives`: batches `(batch, *shape)`, data and samples of the model. Negatives
        with weights are averaged by them.
    - `alpha`: the weight of the squared energies, at least 0.

    **Returns:**

    The loss, and the means and standard deviations of both energies, in nats.

    **Raises:**

    `ValueError` if `alpha` is negative, or shapes differ.
    """
    real, fake = as_examples(positives, "positives"), as_examples(negatives, "negatives")
    _checks.non_negative("alpha", alpha)
    shapes = real.x.shape[1:], fake.x.shape[1:]
    fix = f"the positives are of shape {shapes[0]}"
    _checks.require(shapes[0] == shapes[1], "negatives.shape", shapes[1], fix)
    real_energy, fake_energy = _energies_of_both(energy, real, fake)
    size = mean(real_energy**2, real) + mean(fake_energy**2, fake)
    loss = mean(real_energy, real) - mean(fake_energy, fake) + alpha * size
    metrics = {
        "real_energy_mean": mean(real_energy, real),
        "fake_energy_mean": mean(fake_energy, fake),
        "real_energy_std": _spread(real_energy, real),
        "fake_energy_std": _spread(fake_energy, fake),
    }
    return loss, metrics


def _energies_of_both(energy: EnergyFn, real: Examples, fake: Examples) -> tuple[Vector, Vector]:
    """In one call where it can be one: a batch twice as large is faster than two."""
    if real.y is None and fake.y is None and not _mesh.is_shared():
        both = energies(energy, as_examples(jnp.concatenate([real.x, fake.x])))
        return both[: len(real.x)], both[len(real.x) :]
    if real.y is None and fake.y is None and len(real.x) == len(fake.x):
        # in turns, so that each stays on its device, and there is one gradient to sum over these
        turns = jnp.stack([real.x, fake.x], 1).reshape(-1, *real.x.shape[1:])
        both = energies(energy, as_examples(turns)).reshape(-1, 2)
        return both[:, 0], both[:, 1]
    return energies(energy, real), energies(energy, fake)


def _spread(values: Vector, examples: Examples) -> Scalar:
    return jnp.sqrt(mean((values - mean(values, examples)) ** 2, examples))


@guarded
def cross_entropy(
    energy: EnergyFn, positives: Batch, negatives: Batch | None
) -> tuple[Scalar, dict[str, Scalar]]:
    """The mean of `−log p(y | x)` over labelled data, for a `JEM` energy.

    With a contrastive loss beside it, `weighted_sum((1.0, contrastive_loss), (1.0,
    cross_entropy))`, this is the objective of Grathwohl et al. (2020), "Your classifier is secretly
    an energy based model".

    **Arguments:**

    - `energy`: a `JEM` energy, or any with `logits`.
    - `positives`: labelled data `(x, y)`, of shapes `(batch, *shape)` and `(batch,)`.
    - `negatives`: not looked at.

    **Returns:**

    The loss in nats, and the accuracy on the batch.

    **Raises:**

    `ValueError` if the energy has no logits, or labels are missing or no whole numbers.
    """
    del negatives
    real = as_examples(positives, "positives")
    logits_of = getattr(energy, "logits", None)
    fix = "cross entropy needs an energy with logits, such as ebmx.energies.JEM"
    _checks.require(logits_of is not None, "energy", type(energy).__name__, fix)
    fix = "cross entropy needs labels: train on batches (x, y)"
    if real.y is None or logits_of is None:
        _checks.invalid("positives", "x", fix)
    fix = "give labels as whole numbers"
    _checks.require(jnp.issubdtype(real.y.dtype, jnp.integer), "y.dtype", str(real.y.dtype), fix)
    _checks.require(real.y.ndim == 1, "y.shape", real.y.shape, f"{fix}, one for each example")
    logits = jax.vmap(logits_of)(real.x)
    labels = real.y.astype(jnp.int32)
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)[:, 0]
    # out of range is NaN, which a training step notices; JAX would wrap what is negative
    known = (labels >= 0) & (labels < logits.shape[1])
    right = jnp.argmax(logits, 1).astype(jnp.int32) == labels
    loss = -mean(jnp.where(known, log_p, jnp.nan), real)
    return loss, {"accuracy": mean(right.astype(logits.dtype), real)}


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

    **Arguments:**

    - `terms`: pairs `(weight, loss)`, at least one; the weights are finite numbers. They may be
        traced, and another weight does not compile again.

    **Returns:**

    A loss, in the units of its parts.

    **Raises:**

    `ValueError` if there is no term, or a term is no such pair.
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
