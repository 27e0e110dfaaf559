"""Losses: plain functions of an energy, positives and negatives."""

import jax
import jax.numpy as jnp

from .._checks import checked
from .._types import EnergyFn, Number, Scalar, XBatch


@checked
def contrastive_loss(
    energy: EnergyFn, positives: XBatch, negatives: XBatch, *, alpha: Number = 0.0
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean E(x⁺) − mean E(x⁻) + α (mean E(x⁺)² + mean E(x⁻)²)`.

    Its gradient without the last term is that of the negative log-likelihood if the negatives
    follow the model. The last term keeps the energies near zero. The value says nothing about
    quality: it is near 0 for a perfect model and for an untrained one.

    Hinton (2002), "Training products of experts by minimizing contrastive divergence"; the term
    with α as in Du and Mordatch (2019).

    **Arguments:**

    - `energy`: a fixed energy.
    - `positives`, `negatives`: batches `(batch, *shape)`, data and samples of the model.
    - `alpha`: the weight of the squared energies, at least 0.

    **Returns:**

    The loss, and the means and standard deviations of both energies, in nats.
    """
    num = positives.shape[0]
    energies = jax.vmap(energy)(jnp.concatenate([positives, negatives]))
    real, fake = energies[:num], energies[num:]
    size = jnp.mean(real**2) + jnp.mean(fake**2)
    loss = jnp.mean(real) - jnp.mean(fake) + alpha * size
    metrics = {
        "real_energy_mean": jnp.mean(real),
        "fake_energy_mean": jnp.mean(fake),
        "real_energy_std": jnp.std(real),
        "fake_energy_std": jnp.std(fake),
    }
    return loss, metrics
