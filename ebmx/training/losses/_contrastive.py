"""The contrastive loss."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Number, Scalar, Vector
from ...samplers._fields import at_least_single, cast
from .._batch import Examples, energies, mean

Loss = Callable[..., tuple[Scalar, dict[str, Scalar]]]


def contrastive_loss(
    energy: EnergyFn,
    positives: Examples,
    negatives: Examples,
    *,
    alpha: Number = 0.0,
    trim: Number = 0.0,
    lower_bound: Number | None = None,
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean E(x⁺) − mean E(x⁻) + α (mean E(x⁺)² + mean E(x⁻)²)`.

    Its gradient without the last term is that of the negative log-likelihood if the negatives
    follow the model. The last term keeps the energies near zero. The value says nothing about
    quality: it is near 0 for a perfect model and for an untrained one.

    Chains that have not reached the data yet have high energies, and nothing keeps the loss from
    raising them for ever. `trim` leaves the highest ones out; `lower_bound` stops the loss where
    the negatives are far above the positives.

    Hinton (2002), "Training products of experts by minimizing contrastive divergence"; the term
    with α as in Du and Mordatch (2019), trimming and bound as in Balcerak et al. (2025).

    Args:
        energy: a fixed energy; conditional if the batches have labels or conditions.
        positives: data `(batch, *shape)`.
        negatives: samples of the model, `(num, *shape)`; with weights, means are weighted.
        alpha: the weight of the squared energies, at least 0; they are of all examples, trimmed or
            not.
        trim: the fraction of the negatives, by weight, that `mean E(x⁻)` leaves out, those of the
            highest energies; in [0, 1). One that is partly left out has the rest of its weight.
        lower_bound: the smallest value of `mean E(x⁺) − mean E(x⁻)`, in nats. Where the difference
            is below it, it is replaced by the bound, and its gradient by 0; at the bound itself the
            gradient passes. The term with α is added outside of the bound.

    Returns:
        The loss, and the means and standard deviations of both energies, in nats, of all examples.

    Raises:
        ValueError: if a number is out of its range, or shapes differ.

    Examples:
        >>> import equinox as eqx, jax.numpy as jnp
        >>> from ebmx.training import Examples, contrastive_loss
        >>> loss = eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05))  # to give to a `Trainer`
        >>> data, chains = Examples(jnp.zeros((4, 2))), Examples(jnp.ones((4, 2)))
        >>> value, metrics = loss(lambda x: jnp.sum(x), data, chains)
        >>> float(metrics["fake_energy_mean"] - metrics["real_energy_mean"])
        2.0
    """
    _checks.non_negative("alpha", alpha)
    _checks.fraction("trim", trim)
    _checks.finite_value("lower_bound", lower_bound)
    shapes = positives.x.shape[1:], negatives.x.shape[1:]
    fix = f"the positives are of shape {shapes[0]}"
    _checks.require(shapes[0] == shapes[1], "negatives.shape", shapes[1], fix)
    real, fake = energies(energy, positives, negatives)
    size = mean(real**2, positives) + mean(fake**2, negatives)
    loss = mean(real, positives) - _trimmed_mean(fake, negatives, trim)
    if lower_bound is not None:
        # a difference that is not a number stays one, so that the update is skipped
        loss = jnp.where(loss < lower_bound, cast(lower_bound, loss), loss)
    loss = loss + alpha * size
    metrics = {
        "real_energy_mean": mean(real, positives),
        "fake_energy_mean": mean(fake, negatives),
        "real_energy_std": _spread(real, positives),
        "fake_energy_std": _spread(fake, negatives),
    }
    return loss, metrics


def _spread(values: Vector, examples: Examples) -> Scalar:
    return jnp.sqrt(mean((values - mean(values, examples)) ** 2, examples))


def _trimmed_mean(values: Vector, examples: Examples, trim: Number) -> Scalar:
    """The mean by weight without the largest values, whose weights add up to `trim`."""
    if _checks.is_concrete(trim) and float(trim) == 0:
        return mean(values, examples)
    dtype = at_least_single(values.dtype)
    weights = jnp.full(values.shape, 1 / len(values), dtype)
    if examples.log_weights is not None:
        weights = jax.nn.softmax(examples.log_weights.astype(dtype))
    order = jnp.argsort(jax.lax.stop_gradient(values))
    values, weights = values[order], weights[order]
    before = jnp.cumsum(weights) - weights
    total = 1 - jnp.asarray(trim, dtype)
    kept = jnp.clip(total - before, 0, weights)
    # normalised by their own sum, which differs from the total by rounding
    kept = (kept / jnp.sum(kept)).astype(values.dtype)
    return jnp.sum(kept * values)
