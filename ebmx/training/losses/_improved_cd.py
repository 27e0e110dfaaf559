"""Summands that improve contrastive divergence."""

import jax
import jax.numpy as jnp

from ... import _checks
from ..._arguments import guarded
from ..._types import EnergyFn, Number, Scalar
from ...energies import for_each
from .._batch import Batch, as_examples, condition
from .._distances import nearest_squared_distances


@guarded
def sampler_divergence(
    energy: EnergyFn,
    positives: Batch,
    negatives: Batch,
    *,
    step_size: Number,
    entropy_weight: Number = 0.3,
) -> tuple[Scalar, dict[str, Scalar]]:
    """The term that contrastive divergence leaves out: how sampling depends on the parameters.

    One more Langevin drift `x' = x⁻ − (ε/2) ∇E(x⁻)`, through which the gradient flows, is judged by
    the energy as it stands, and by the entropy of the batch: `mean Ē(x') − w · entropy(x')`, where
    `Ē` passes no gradient to its parameters. The entropy is that of nearest neighbours, up to a
    constant. Add it to the contrastive loss by `weighted_sum`.

    Du et al. (2021), "Improved contrastive divergence training of energy-based models". The
    noise of the step is left out: it does not depend on the parameters.

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: samples of the model, of the shape of the data.
        step_size: `ε` of the sampler.
        entropy_weight: `w ≥ 0`.

    Returns:
        The loss, and the estimate of the entropy in nats, up to a constant.

    Raises:
        ValueError: if a number is out of its range, or there are fewer than two negatives.
    """
    del positives
    _checks.positive("step_size", step_size)
    _checks.non_negative("entropy_weight", entropy_weight)
    batch = as_examples(negatives, "negatives")
    _checks.require(len(batch.x) > 1, "negatives.shape", batch.x.shape, "give at least two")
    fixed = jax.lax.stop_gradient
    frozen = _without_gradient(energy)
    drift = for_each(lambda e, x: jax.grad(e)(x), condition(energy, batch.y), fixed(batch.x))
    moved = fixed(batch.x) - 0.5 * step_size * drift
    judged = for_each(lambda e, x: e(x), condition(frozen, batch.y), moved)
    entropy = nearest_neighbour_entropy(moved)
    return jnp.mean(judged) - entropy_weight * entropy, {"entropy": entropy}


@guarded
def nearest_neighbour_entropy(x: jax.Array) -> Scalar:
    """`mean log minⱼ |xᵢ − xⱼ|`: the entropy of a batch over its dimension, up to a constant.

    Kozachenko and Leonenko (1987), "Sample estimate of the entropy of a random vector".

    Args:
        x: a batch `(batch, *shape)`, at least two examples.

    Returns:
        The entropy over the dimension, in nats, up to a constant.

    Raises:
        ValueError: if there are fewer than two examples.
    """
    x = _checks.batch(x, "x")
    _checks.require(len(x) > 1, "x.shape", x.shape, "give at least two examples")
    flat = x.reshape(len(x), -1)
    return 0.5 * jnp.mean(jnp.log(nearest_squared_distances(flat) + 1e-12))


def _without_gradient(energy: EnergyFn) -> EnergyFn:
    """The same energy with parameters that pass no gradient; its input still does."""
    return jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if isinstance(leaf, jax.Array) else leaf, energy
    )
