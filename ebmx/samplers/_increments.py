"""Increments of mean 0 and variance 1 that drive a chain; `Langevin` says when they suffice."""

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp

from .._types import Key, X

Increments: TypeAlias = Literal["normal", "rademacher", "binomial"] | Callable


def _normal(shape: tuple[int, ...], dtype: jnp.dtype, *, key: Key) -> jax.Array:
    return jax.random.normal(key, shape, dtype)


def _rademacher(shape: tuple[int, ...], dtype: jnp.dtype, *, key: Key) -> jax.Array:
    """`-1` or `1`. `jax.random.rademacher` spends 32 random bits on each, this one."""
    bits = _pieces(_words(key, shape, 32), 1, shape)
    return (2 * bits.astype(jnp.int32) - 1).astype(dtype)


def _binomial(shape: tuple[int, ...], dtype: jnp.dtype, *, key: Key) -> jax.Array:
    """A centred binomial of 8 bits, `(k - 4) / √2`."""
    words = _words(key, shape, 4)
    # Four numbers from each word at once: the ones of all four bytes are counted in parallel, by
    # adding up neighbouring bits, then pairs of bits, then nibbles, in the same few operations.
    words = words - ((words >> 1) & 0x55555555)
    words = (words & 0x33333333) + ((words >> 2) & 0x33333333)
    words = (words + (words >> 4)) & 0x0F0F0F0F
    ones = _pieces(words, 8, shape).astype(jnp.int32)
    return (ones - 4).astype(dtype) / math.sqrt(2)


INCREMENTS: dict[str, Callable] = {
    "normal": _normal,
    "rademacher": _rademacher,
    "binomial": _binomial,
}


def draw(increments: Any, x: X, *, key: Key) -> X:
    """The increments of a step from `x`, of a kind or by a function."""
    function = INCREMENTS.get(increments) or increments
    return function(x.shape, x.dtype, key=key)


def _words(key: Key, shape: tuple[int, ...], per_word: int) -> jax.Array:
    """Random words, enough for `shape` with so many numbers from each."""
    return jax.random.bits(key, (-(-math.prod(shape) // per_word),), jnp.uint32)


def _pieces(words: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    """Words cut into pieces of `width` bits, as many as `shape` has."""
    shifts = jnp.arange(0, 32, width, dtype=jnp.uint32)
    pieces = (words[:, None] >> shifts[None]) & (2**width - 1)
    return pieces.reshape(-1)[: math.prod(shape)].reshape(shape)
