"""Squared distances between all pairs of two batches, in memory proportional to the pairs."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Vector


def squared_distances(
    x: Float[Array, "num d"], y: Float[Array, "others d"]
) -> Float[Array, "num others"]:
    """`|xᵢ - yⱼ|²`, to the rounding of the squared distances from the centre of `x`."""
    centre = jnp.mean(x, 0, keepdims=True)
    x, y = x - centre, y - centre
    # by default, a GPU multiplies in lower precision
    products = jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)
    squares = jnp.sum(x**2, 1)[:, None] + jnp.sum(y**2, 1)[None] - 2 * products
    return jnp.maximum(squares, 0)


def nearest_squared_distances(x: Float[Array, "batch d"]) -> Vector:
    """`minⱼ |xᵢ - xⱼ|²` over the others, for each example of at least two.

    Four candidates for each example are found by differences of large numbers; their distances are
    then computed directly, so that the smallest is exact.
    """
    num = len(x)
    square = squared_distances(*[jax.lax.stop_gradient(x)] * 2)
    square = jnp.where(jnp.eye(num, dtype=bool), jnp.inf, square)
    _, candidates = jax.lax.top_k(-square, min(4, num - 1))

    def to(index: jax.Array) -> Vector:
        return jnp.sum((x - x[index]) ** 2, 1)

    exact = jax.lax.map(lambda index: jax.lax.stop_gradient(to(index)), candidates.T)
    nearest = jnp.take_along_axis(candidates, jnp.argmin(exact, 0)[:, None], 1)[:, 0]
    return to(nearest)
