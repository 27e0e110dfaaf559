"""Standard increments: random numbers of mean 0 and variance 1 that drive a chain.

A scheme of weak order one, such as unadjusted Langevin, needs increments that match the normal
distribution in their first three moments only (Kloeden and Platen, 1992, "Numerical solution of
stochastic differential equations", section 14.2). Cheaper ones are as good for training; an
adjusted sampler needs the normal ones.
"""

import math

import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Key


def normal(shape: tuple[int, ...], dtype: jnp.dtype, *, key: Key) -> jax.Array:
    """Normal increments.

    Args:
        shape: the shape of the array of increments.
        dtype: its dtype, floating point.
        key: a key.

    Returns:
        Independent numbers of mean 0 and variance 1, of this shape.

    Raises:
        ValueError: if the shape is not one of integers of at least 0.
    """
    shape = _checks.sizes("shape", shape)
    return jax.random.normal(key, shape, dtype)


def rademacher(shape: tuple[int, ...], dtype: jnp.dtype, *, key: Key) -> jax.Array:
    """`-1` or `1`, each with probability ½, from one random bit each.

    Args:
        shape: the shape of the array of increments.
        dtype: its dtype, floating point.
        key: a key.

    Returns:
        Independent numbers of mean 0 and variance 1, of this shape.

    Raises:
        ValueError: if the shape is not one of integers of at least 0.
    """
    shape = _checks.sizes("shape", shape)
    bits = _pieces(_words(key, shape, 32), 1, shape)
    return (2 * bits.astype(jnp.int32) - 1).astype(dtype)


def binomial(shape: tuple[int, ...], dtype: jnp.dtype, *, key: Key) -> jax.Array:
    """A centred binomial of 8 bits, `(k - 4) / √2`: nine values, nearly normal in its bulk.

    Args:
        shape: the shape of the array of increments.
        dtype: its dtype, floating point.
        key: a key.

    Returns:
        Independent numbers of mean 0 and variance 1, of this shape.

    Raises:
        ValueError: if the shape is not one of integers of at least 0.
    """
    shape = _checks.sizes("shape", shape)
    words = _words(key, shape, 4)
    # the ones in each byte of a word, added up in pairs, nibbles and bytes
    words = words - ((words >> 1) & 0x55555555)
    words = (words & 0x33333333) + ((words >> 2) & 0x33333333)
    words = (words + (words >> 4)) & 0x0F0F0F0F
    ones = _pieces(words, 8, shape).astype(jnp.int32)
    return (ones - 4).astype(dtype) / math.sqrt(2)


def _words(key: Key, shape: tuple[int, ...], per_word: int) -> jax.Array:
    """Random words, enough for `shape` with so many numbers from each."""
    return jax.random.bits(key, (-(-math.prod(shape) // per_word),), jnp.uint32)


def _pieces(words: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    """Words cut into pieces of `width` bits, as many as `shape` has."""
    shifts = jnp.arange(0, 32, width, dtype=jnp.uint32)
    pieces = (words[:, None] >> shifts[None]) & (2**width - 1)
    return pieces.reshape(-1)[: math.prod(shape)].reshape(shape)
