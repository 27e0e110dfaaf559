"""Losses on the score `-∇E`: no chain, no normaliser."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ... import _checks
from ..._arguments import guarded
from ..._types import EnergyFn, Number, Scalar
from ...energies import for_each
from .._batch import Batch, as_examples, condition, mean

_BLOCK = 32
"""How many Hessian products of a datum are made at once."""


@guarded
def score_matching(
    energy: EnergyFn, positives: Batch, negatives: Batch | None
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean (½ |∇E(x)|² − tr ∇²E(x))`: exact score matching, at `d` Hessian products a datum.

    Least when the scores are those of the data. Use with `NoNegatives()`.

    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: not looked at: use `NoNegatives`.

    Returns:
        The loss, in squared nats per squared unit of `x`, and no metrics.
    """
    del negatives
    batch = as_examples(positives, "positives")

    def one(energy: EnergyFn, x: jax.Array) -> Scalar:
        gradient = jax.grad(energy)
        curvature = _trace(lambda v: jax.jvp(gradient, (x,), (v,))[1], x)
        return 0.5 * jnp.sum(gradient(x) ** 2) - curvature

    return mean(for_each(one, condition(energy, batch.y), batch.x), batch), {}


def _trace(product: Callable[[jax.Array], jax.Array], x: jax.Array) -> Scalar:
    """The trace of a matrix given by its products with vectors of the shape of `x`."""

    def entry(i: jax.Array) -> Scalar:
        basis = (jnp.arange(x.size) == i).astype(x.dtype).reshape(x.shape)
        return jnp.sum(basis * product(basis))

    every = jnp.arange(x.size)
    if x.size <= _BLOCK:
        return jnp.sum(jax.vmap(entry)(every))
    # a few at a time, and made again for the gradient: memory of blocks, not of a Hessian
    return jnp.sum(jax.lax.map(jax.checkpoint(entry), every, batch_size=_BLOCK))


@guarded
def sliced_score_matching(
    energy: EnergyFn, positives: Batch, negatives: Batch
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean (½ |∇E(x)|² − vᵀ ∇²E(x) v)`: score matching along one random direction a datum.

    Use with `Directions()`. This is the form with reduced variance.

    Song et al. (2019), "Sliced score matching: a scalable approach to density and score
    estimation".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: one direction for each datum, of the shape of the data.

    Returns:
        The loss, in squared nats per squared unit of `x`, and no metrics.

    Raises:
        ValueError: if there is not one direction for each datum.
    """
    batch, directions = as_examples(positives, "positives"), as_examples(negatives, "negatives").x
    fix = "give one direction for each datum: use Directions()"
    ok = directions.shape == batch.x.shape
    _checks.require(ok, "negatives.shape", directions.shape, fix)

    def one(energy: EnergyFn, x: jax.Array, v: jax.Array) -> Scalar:
        gradient, product = jax.jvp(jax.grad(energy), (x,), (v,))
        return 0.5 * jnp.sum(gradient**2) - jnp.sum(v * product)

    return mean(for_each(one, condition(energy, batch.y), batch.x, directions), batch), {}


@guarded
def denoising_score_matching(
    energy: EnergyFn, positives: Batch, negatives: Batch, *, sigma: Number | None = None
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean ½ |σ ∇E(x̃) − (x̃ − x)/σ|²` over pairs of data `x` and perturbed data `x̃`.

    Least when the energy is that of the data blurred by noise of standard deviation `σ`. Use with
    `Perturbed(sigma)`. With several levels, the energy is conditional on `log σ`.

    Vincent (2011), "A connection between score matching and denoising autoencoders"; with levels,
    Song and Ermon (2019), "Generative modeling by estimating gradients of the data distribution".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: those of `Perturbed`, of the shape of the data.
        sigma: `σ`, where there is one level; with more, the negatives say it.

    Returns:
        The loss, without a unit, and no metrics.

    Raises:
        ValueError: if the levels are neither given nor in the negatives, or shapes differ.
    """
    real = as_examples(positives, "positives")
    x = real.x
    noisy = as_examples(negatives, "negatives")
    fix = "give one perturbed example for each datum: use Perturbed(sigma)"
    _checks.require(noisy.x.shape == x.shape, "negatives.shape", noisy.x.shape, fix)
    if sigma is None:
        fix = "give sigma, or negatives of several levels"
        if noisy.y is None or noisy.y.shape != (len(x), 1):
            _checks.invalid("sigma", None, fix)
        scales = jnp.exp(noisy.y[:, 0])
    else:
        _checks.positive("sigma", sigma)
        scales = jnp.full(len(x), sigma, x.dtype)

    def one(energy: EnergyFn, x: jax.Array, noisy: jax.Array, scale: Scalar) -> Scalar:
        residual = scale * jax.grad(energy)(noisy) - (noisy - x) / scale
        return 0.5 * jnp.sum(residual**2)

    return mean(for_each(one, condition(energy, noisy.y), x, noisy.x, scales), real), {}
