"""The data that a noisy example may come from, and means over them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._types import Vector
from .._batch import Examples


class Sources(eqx.Module):
    """The data that a noisy example may come from, `(batch, sources)`."""

    squares: jax.Array
    """`|ε|²` of the noise that would be needed."""
    log_weights: jax.Array
    """Log weights of the data in the mean over examples, minus infinity for those of no weight."""


def own_sources(noise: jax.Array) -> Sources:
    """The example alone that noise was added to."""
    squares = squares_of(noise)[:, None]
    return Sources(squares, jnp.zeros_like(squares))


def all_sources(energy: Any, positives: Examples, negatives: Examples, noise: jax.Array) -> Sources:
    """All data of the batch, of the same class if the energy has classes."""
    num, sigma = len(noise), sigma_of(negatives)
    x, own = positives.x.reshape(num, -1), noise.reshape(num, -1)
    # |ε_i + (x_i - x_j)/σ_i|² by products of matrices, exact for the example itself
    apart = squares_of(x)[:, None] + squares_of(x)[None] - 2 * x @ x.T
    along = jnp.sum(own * x, 1)[:, None] - own @ x.T
    squares = squares_of(own)[:, None] + 2 * along / sigma[:, None] + apart / sigma[:, None] ** 2
    itself = jnp.eye(num, dtype=bool)
    squares = jnp.where(itself, squares_of(own)[:, None], jnp.maximum(squares, 0.0))
    log_weights = jnp.zeros_like(squares)
    if positives.log_weights is not None:
        log_weights = log_weights + positives.log_weights[None]
    if energy.num_classes is not None and positives.y is not None and negatives.y is not None:
        label = negatives.y[:, 1:]
        of_class = (label == positives.y[None].astype(label.dtype)) | (label < 0) | itself
        log_weights = jnp.where(of_class, log_weights, -jnp.inf)
    return Sources(squares, log_weights)


def posterior_means(
    x: jax.Array, noise: jax.Array, sigma: Vector, sources: Sources
) -> tuple[jax.Array, Vector]:
    """The means of `ε` and of `|ε|²` given a noisy example, over its sources."""
    if sources.squares.shape[1] == 1:
        return noise, sources.squares[:, 0]
    flat = x.reshape(len(x), -1)
    weights = jax.nn.softmax(sources.log_weights - 0.5 * sources.squares, 1)
    shift = (flat - weights @ flat) / sigma[:, None]
    return noise + shift.reshape(noise.shape), jnp.sum(weights * sources.squares, 1)


def sigma_of(negatives: Examples) -> Vector:
    """The standard deviation of each example's noise."""
    assert negatives.y is not None
    return negatives.y if negatives.y.ndim == 1 else negatives.y[:, 0]


def squares_of(noise: jax.Array) -> Vector:
    """`|ε|²` of each example."""
    return jnp.sum(noise.reshape(len(noise), -1) ** 2, 1)
