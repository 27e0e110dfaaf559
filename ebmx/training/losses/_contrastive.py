"""The contrastive loss."""

from collections.abc import Callable

import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Number, Scalar, Vector
from .._batch import Examples, energies, mean

Loss = Callable[..., tuple[Scalar, dict[str, Scalar]]]


def contrastive_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples, *, alpha: Number = 0.0
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean E(x⁺) − mean E(x⁻) + α (mean E(x⁺)² + mean E(x⁻)²)`.

    Its gradient without the last term is that of the negative log-likelihood if the negatives
    follow the model. The last term keeps the energies near zero. The value says nothing about
    quality: it is near 0 for a perfect model and for an untrained one.

    Hinton (2002), "Training products of experts by minimizing contrastive divergence"; the term
    with α as in Du and Mordatch (2019).

    Args:
        energy: a fixed energy; conditional if the batches have labels or conditions.
        positives: data `(batch, *shape)`.
        negatives: samples of the model, `(num, *shape)`; with weights, means are weighted.
        alpha: the weight of the squared energies, at least 0.

    Returns:
        The loss, and the means and standard deviations of both energies, in nats.

    Raises:
        ValueError: if `alpha` is negative, or shapes differ.
    """
    _checks.non_negative("alpha", alpha)
    shapes = positives.x.shape[1:], negatives.x.shape[1:]
    fix = f"the positives are of shape {shapes[0]}"
    _checks.require(shapes[0] == shapes[1], "negatives.shape", shapes[1], fix)
    real, fake = energies(energy, positives, negatives)
    size = mean(real**2, positives) + mean(fake**2, negatives)
    loss = mean(real, positives) - mean(fake, negatives) + alpha * size
    metrics = {
        "real_energy_mean": mean(real, positives),
        "fake_energy_mean": mean(fake, negatives),
        "real_energy_std": _spread(real, positives),
        "fake_energy_std": _spread(fake, negatives),
    }
    return loss, metrics


def _spread(values: Vector, examples: Examples) -> Scalar:
    return jnp.sqrt(mean((values - mean(values, examples)) ** 2, examples))
