"""Losses on the score `-∇E`: no chain, no normaliser."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Number, Scalar, Vector
from ...energies import AbstractNoiseConditionalEnergy
from ...energies._batch import for_each
from .._batch import Examples, condition, mean, same_shape

_BLOCK = 32
"""How many Hessian products of an example are computed at once."""


def score_matching_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples | None
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean (½ |∇E(x)|² − tr ∇²E(x))`: exact score matching.

    Minimal if the scores are those of the data. It costs `d` Hessian products for each example of
    `d` coordinates. Use with `DataOnly()`.

    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: not used.

    Returns:
        The loss, in squared nats per squared unit of `x`, and no metrics.
    """
    del negatives

    def one(energy: EnergyFn, x: jax.Array) -> Scalar:
        gradient = jax.grad(energy)
        curvature = _trace(lambda v: jax.jvp(gradient, (x,), (v,))[1], x)
        return 0.5 * jnp.sum(gradient(x) ** 2) - curvature

    conditioned = condition(energy, positives.y)
    return mean(for_each(one, conditioned, positives.x), positives), {}


def _trace(product: Callable[[jax.Array], jax.Array], x: jax.Array) -> Scalar:
    """The trace of a matrix given by its products with vectors of the shape of `x`."""

    def entry(i: jax.Array) -> Scalar:
        basis = (jnp.arange(x.size) == i).astype(x.dtype).reshape(x.shape)
        return jnp.sum(basis * product(basis))

    every = jnp.arange(x.size)
    if x.size <= _BLOCK:
        return jnp.sum(jax.vmap(entry)(every))
    # in blocks that are computed again for the gradient, so that memory is not that of a Hessian
    return jnp.sum(jax.lax.map(jax.checkpoint(entry), every, batch_size=_BLOCK))


def sliced_score_matching_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean (½ |∇E(x)|² − vᵀ ∇²E(x) v)`: score matching along random directions.

    Use with `RandomProjections()`. This is the form with reduced variance.

    Song et al. (2019), "Sliced score matching: a scalable approach to density and score
    estimation".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: one direction for each example, of the shape of the data.

    Returns:
        The loss, in squared nats per squared unit of `x`, and no metrics.

    Raises:
        ValueError: if there is not one direction for each example.
    """
    fix = "give one direction for each example: use RandomProjections()"
    same_shape(positives, negatives, fix)

    def one(energy: EnergyFn, x: jax.Array, v: jax.Array) -> Scalar:
        gradient, product = jax.jvp(jax.grad(energy), (x,), (v,))
        return 0.5 * jnp.sum(gradient**2) - jnp.sum(v * product)

    conditioned = condition(energy, positives.y)
    return mean(for_each(one, conditioned, positives.x, negatives.x), positives), {}


def denoising_score_matching_loss(
    energy: EnergyFn,
    positives: Examples,
    negatives: Examples,
    *,
    sigma: Number | None = None,
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean ½ |σ ∇E(x̃) − (x̃ − x)/σ|²` over pairs of data `x` and perturbed data `x̃`.

    Minimal for the energy of the data blurred by noise of standard deviation `σ`. Use with
    `Perturbed(sigma)`. With several levels, the energy is conditional on `log σ`.

    Vincent (2011), "A connection between score matching and denoising autoencoders"; with levels,
    Song and Ermon (2019), "Generative modeling by estimating gradients of the data distribution".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: those of `Perturbed`, of the shape of the data.
        sigma: `σ`, if there is one level; several are conditions of the negatives.

    Returns:
        The loss, without a unit, and no metrics.

    Raises:
        ValueError: if the levels are neither given nor in the negatives, or shapes differ.
    """
    x = positives.x
    fix = "give one perturbed example for each example: use Perturbed(sigma)"
    same_shape(positives, negatives, fix)
    if sigma is None:
        scales = _scales(energy, negatives, len(x))
    else:
        _checks.positive("sigma", sigma)
        scales = jnp.full(len(x), sigma, x.dtype)

    def one(energy: EnergyFn, x: jax.Array, noisy: jax.Array, scale: Scalar) -> Scalar:
        residual = scale * jax.grad(energy)(noisy) - (noisy - x) / scale
        return 0.5 * jnp.sum(residual**2)

    conditioned = condition(energy, negatives.y)
    return mean(for_each(one, conditioned, x, negatives.x, scales), negatives), {}


def _scales(energy: EnergyFn, negatives: Examples, num: int) -> Vector:
    """The standard deviations of the noise of several levels."""
    y = negatives.y
    if isinstance(energy, AbstractNoiseConditionalEnergy) and y is not None:
        return y if y.ndim == 1 else y[:, 0]
    fix = "give sigma, or negatives of several levels"
    if y is None or y.shape != (num, 1):
        _checks.invalid("sigma", None, fix)
    return jnp.exp(y[:, 0])
