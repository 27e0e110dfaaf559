"""The data that a noisy example may come from, and means over them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._types import Vector
from .._batch import Examples
from .._distances import squared_distances


class Sources(eqx.Module):
    """The data that a noisy example may come from, `(batch, sources)`."""

    squares: jax.Array
    """`|ε|²` of the noise that would be needed."""
    log_weights: jax.Array
    """Log weights of the data in the mean over examples, minus infinity for those of no weight;
    `(1, 1)` where all are equal."""


def own_sources(noise: jax.Array) -> Sources:
    """The example alone that noise was added to."""
    squares = squares_of(noise)[:, None]
    return Sources(squares, jnp.zeros_like(squares))


def all_sources(energy: Any, positives: Examples, negatives: Examples, noise: jax.Array) -> Sources:
    """All data of the batch, of the same class if the energy has classes."""
    sigma = sigma_of(negatives)
    x, noisy = (part.x.reshape(len(part.x), -1) for part in (positives, negatives))
    itself = jnp.eye(len(noisy), len(x), dtype=bool)
    squares = squared_distances(noisy, x) / sigma[:, None] ** 2
    squares = jnp.where(itself, squares_of(noise)[:, None], squares)
    if positives.log_weights is None and energy.num_classes is None:
        return Sources(squares, jnp.zeros((1, 1), squares.dtype))
    log_weights = jnp.zeros_like(squares)
    if positives.log_weights is not None:
        log_weights = log_weights + positives.log_weights[None]
    if energy.num_classes is not None and positives.y is not None and negatives.y is not None:
        label = negatives.y[:, 1:]
        of_class = (label == positives.y[None].astype(label.dtype)) | (label < 0) | itself
        log_weights = jnp.where(of_class, log_weights, -jnp.inf)
    # an example without weight that is the only one of its class is its own source, so that its
    # loss is finite
    alone = itself & (jnp.max(log_weights, 1, keepdims=True) == -jnp.inf)
    log_weights = jnp.where(alone, 0.0, log_weights)
    return Sources(squares, log_weights)


def posterior_means(
    x: jax.Array, noise: jax.Array, sigma: Vector, sources: Sources
) -> tuple[jax.Array, Vector]:
    """The means of `ε` and of `|ε|²` given a noisy example, over its sources among `x`."""
    if sources.squares.shape[1] == 1:
        return noise, sources.squares[:, 0]
    flat = x.reshape(len(x), -1)
    flat = flat - jnp.mean(flat, 0, keepdims=True)
    weights = jax.nn.softmax(sources.log_weights - 0.5 * sources.squares, 1)
    # by default, a GPU multiplies in lower precision
    means = jnp.matmul(weights, flat, precision=jax.lax.Precision.HIGHEST)
    shift = (flat[: len(means)] - means) / sigma[:, None]
    return noise + shift.reshape(noise.shape), jnp.sum(weights * sources.squares, 1)


def sigma_of(negatives: Examples) -> Vector:
    """The standard deviation of each example's noise."""
    assert negatives.y is not None
    return negatives.y if negatives.y.ndim == 1 else negatives.y[:, 0]


def squares_of(noise: jax.Array) -> Vector:
    """`|ε|²` of each example."""
    return jnp.sum(noise.reshape(len(noise), -1) ** 2, 1)
