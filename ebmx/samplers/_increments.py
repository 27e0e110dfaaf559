"""Standard increments: random numbers of mean 0 and variance 1 that drive a chain.

A scheme of weak order one, such as unadjusted Langevin, needs increments that match the normal
distribution in their first three moments only (Kloeden and Platen, 1992, "Numerical solution of
stochastic differential equations", section 14.2). Cheaper ones are as good for training; an
adjusted sampler needs the normal ones.
"""

import math

import jax
import jax.numpy as jnp

from .._types import Key


def normal(key: Key, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """Normal increments."""
    return jax.random.normal(key, shape, dtype)


def rademacher(key: Key, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """`-1` or `1`, each with probability ½: one random bit each."""
    size = math.prod(shape)
    words = jax.random.bits(key, (-(-size // 32),), jnp.uint32)
    bits = (words[:, None] >> jnp.arange(32, dtype=jnp.uint32)[None]) & 1
    return (2 * bits.reshape(-1)[:size].reshape(shape).astype(jnp.int32) - 1).astype(dtype)


def binomial(key: Key, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """A centred binomial of 8 bits, `(k - 4) / √2`: nine values, nearly normal in its bulk."""
    bits = jax.random.bits(key, shape, jnp.uint8)
    ones = jax.lax.population_count(bits).astype(dtype)
    return (ones - 4) / math.sqrt(2)
