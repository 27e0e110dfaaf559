"""Energy matching: transport far from the data, a Boltzmann density near it."""

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Scalar
from ...energies._batch import for_each
from .._batch import Examples


def transport_matching_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean |∇E(xₜ) + x − z|²` at `xₜ = (1 − t) z + t x`: the energy's slope is the transport.

    The warm-up of energy matching, without chains. Steps `x ← x − (ε/2) ∇E(x)` then carry noise to
    the data, in time `ε/2` each. Use with `TransportPairs(noise)`; a density near the data, `exp(-E
    / T)`, needs a contrastive loss beside it after the warm-up: an `Objective` with a `start`.
    Other arguments are as for `contrastive_loss`.

    Balcerak et al. (2025), "Energy matching: unifying flow matching and energy-based models for
    generative modeling".

    Args:
        negatives: the pairs of `TransportPairs`.

    Returns:
        The loss, in squared units of `x`, and no metrics.

    Raises:
        ValueError: if the negatives have no times, or are not of the shape of the data.
    """
    fix = "give pairs with times: use TransportPairs(noise)"
    if negatives.y is None or negatives.x.shape != positives.x.shape:
        _checks.invalid("negatives.shape", negatives.x.shape, fix)

    def one(energy: EnergyFn, x: jax.Array, z: jax.Array, time: Scalar) -> Scalar:
        slope = jax.grad(energy)((1 - time) * z + time * x)
        return jnp.sum((slope + x - z) ** 2)

    return jnp.mean(for_each(one, energy, positives.x, negatives.x, negatives.y)), {}
