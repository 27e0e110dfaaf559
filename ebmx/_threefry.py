"""JAX's default random numbers, bit for bit, at a fraction of their time on a CPU.

JAX compiles threefry on a CPU as a loop of five rounds that copies its state in each. Unrolled,
XLA fuses it into the code that uses the numbers. `python benchmarks/increments.py` times both.

Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl

from . import _checks
from ._types import Keys

_ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
_DTYPES = {8: jnp.uint8, 16: jnp.uint16, 32: jnp.uint32, 64: jnp.uint64}


def fuse(key: Keys) -> Keys:
    """The same key, or keys, for numbers that are fused into the code that uses them.

    `jax.random` gives the same numbers with it. Keys that are not threefry keys stay what they are.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    if str(jax.random.key_impl(key)) != "threefry2x32":
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=_FUSED)


def _threefry(key: jax.Array, high: jax.Array, low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two random words for each pair of words of a counter."""
    parts = key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA)
    a, b = high + parts[0], low + parts[1]
    for i, rotations in zip(range(5), itertools.cycle(_ROTATIONS), strict=False):
        for r in rotations:
            a = a + b
            b = a ^ ((b << np.uint32(r)) | (b >> np.uint32(32 - r)))
        a = a + parts[(i + 1) % 3]
        b = b + (parts[(i + 2) % 3] + np.uint32(i + 1))
    return a, b


def _counted(key: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Two random words for each element of an array of this shape."""
    size = math.prod(shape)
    if size >= 2**32:
        fix = "a key has at most 2³² - 1 numbers here: split it"
        _checks.invalid("shape", shape, fix)
    # one 64-bit counter an element, as JAX has with `jax_threefry_partitionable`: the older scheme
    # pairs elements of the two halves of an array, which cannot be fused into what uses them
    low = jax.lax.iota(jnp.uint32, size).reshape(shape)
    return _threefry(key, jnp.zeros_like(low), low)


def _random_bits(key: jax.Array, bit_width: int, shape: tuple[int, ...]) -> jax.Array:
    a, b = _counted(key, shape)
    if bit_width == 64:
        return (a.astype(jnp.uint64) << np.uint64(32)) | b.astype(jnp.uint64)
    return (a ^ b).astype(_DTYPES[bit_width])


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jnp.stack(_counted(key, shape), axis=-1)


def _fold_in(key: jax.Array, data: Any) -> jax.Array:
    low = jnp.asarray(data, jnp.uint32)
    return jnp.stack(_threefry(key, jnp.zeros_like(low), low))


def _seed(seed: jax.Array) -> jax.Array:
    return jax.random.key_data(jax.random.key(seed, impl="threefry2x32"))


_FUSED = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="threefry2x32_fused",
    tag="ffry",
)
