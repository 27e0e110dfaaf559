"""The term of improved contrastive divergence."""

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Number, Scalar
from ...energies._batch import for_each
from .._batch import Examples, condition, energies
from .._distances import nearest_squared_distances


def sampler_divergence_loss(
    energy: EnergyFn,
    positives: Examples,
    negatives: Examples,
    *,
    step_size: Number,
    entropy_weight: Number = 0.3,
) -> tuple[Scalar, dict[str, Scalar]]:
    """The term that contrastive divergence leaves out: how sampling depends on the parameters.

    The loss is `mean Ē(x') − w · entropy(x')` after one more Langevin drift `x' = x⁻ − (ε/2)
    ∇E(x⁻)`, through which the gradient flows; `Ē` is the energy with fixed parameters. The entropy
    of the batch is the estimate by nearest neighbours, up to a constant. Add this loss to the
    contrastive one by `WeightedSum`. Other arguments are as for `contrastive_loss`.

    Du et al. (2021), "Improved contrastive divergence training of energy-based models". The
    noise of the step is left out: it does not depend on the parameters.

    Args:
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
    x = jax.lax.stop_gradient(negatives.x)
    _checks.require(len(x) > 1, "negatives.shape", x.shape, "give at least two")
    drift = for_each(lambda e, x: jax.grad(e)(x), condition(energy, negatives.y), x)
    moved = x - 0.5 * step_size * drift
    (values,) = energies(_without_gradient(energy), Examples(moved, negatives.y))
    entropy = nearest_neighbour_entropy(moved)
    return jnp.mean(values) - entropy_weight * entropy, {"entropy": entropy}


def nearest_neighbour_entropy(x: jax.Array) -> Scalar:
    """`mean log minⱼ |xᵢ − xⱼ|`: the entropy of a batch over its dimension, up to a constant.

    Kozachenko and Leonenko (1987), "Sample estimate of the entropy of a random vector".
    """
    flat = x.reshape(len(x), -1)
    return 0.5 * jnp.mean(jnp.log(nearest_squared_distances(flat) + 1e-12))


def _without_gradient(energy: EnergyFn) -> EnergyFn:
    """The same energy with parameters that pass no gradient; its input still does."""
    return jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if isinstance(leaf, jax.Array) else leaf, energy
    )
