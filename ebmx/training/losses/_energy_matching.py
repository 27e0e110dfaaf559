"""Energy matching: transport far from the data, a Boltzmann density near it."""

import jax
import jax.numpy as jnp

from ... import _checks
from ..._arguments import guarded
from ..._types import EnergyFn, Scalar
from ...energies import for_each
from .._batch import Batch, as_examples


@guarded
def transport_matching(
    energy: EnergyFn, positives: Batch, negatives: Batch
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean |∇E(xₜ) + x − z|²` at `xₜ = (1 − t) z + t x`: the energy's slope is the transport.

    The warm-up of energy matching: it needs no chain. Steps `x ← x − (ε/2) ∇E(x)` then carry noise
    to the data. Use with `TransportPairs(noise)`; add a contrastive loss after the warm-up,
    for a density near the data.

    Balcerak et al. (2025), "Energy matching: unifying flow matching and energy-based models for
    generative modeling".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: the pairs of `TransportPairs`.

    Returns:
        The loss, in squared units of `x`, and no metrics.

    Raises:
        ValueError: if the negatives carry no times, or their number is another one.
    """
    x, pairs = as_examples(positives, "positives").x, as_examples(negatives, "negatives")
    fix = "give pairs with times: use TransportPairs(noise)"
    if pairs.y is None or pairs.x.shape != x.shape:
        _checks.invalid("negatives.shape", pairs.x.shape, fix)

    def one(energy: EnergyFn, x: jax.Array, z: jax.Array, time: Scalar) -> Scalar:
        slope = jax.grad(energy)((1 - time) * z + time * x)
        return jnp.sum((slope + x - z) ** 2)

    return jnp.mean(for_each(one, energy, x, pairs.x, pairs.y)), {}
