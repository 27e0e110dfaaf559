"""Encodings of the positions in a replay buffer."""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ..._types import Key, Number
from ...samplers._fields import cast, number


class AbstractStorage(eqx.Module):
    """An encoding of positions."""

    @abc.abstractmethod
    def check(self, x: jax.Array) -> None:
        """Check that these positions can be stored."""

    @abc.abstractmethod
    def encode(self, x: jax.Array, *, key: Key | None) -> jax.Array:
        """Encode positions; without a key, if it does not round at random."""

    @abc.abstractmethod
    def decode(self, code: jax.Array, *, key: Key) -> jax.Array:
        """Decode positions."""


class BFloat16(AbstractStorage):
    """Positions in half the memory, rounded up or down at random without bias."""

    def check(self, x: jax.Array) -> None:
        """Any position can be stored."""
        del x

    def encode(self, x: jax.Array, *, key: Key | None) -> jax.Array:
        """Positions rounded to eight bits of mantissa."""
        if key is None:
            _checks.invalid("key", None, "this storage rounds at random: give a key")
        # a bfloat16 is the upper half of a float32: 16 random bits, added to the lower half, carry
        # into the upper one with a probability equal to the fraction that is cut off
        bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.uint32)
        bits = bits + jax.random.bits(key, x.shape, jnp.uint16).astype(jnp.uint32)
        return jax.lax.bitcast_convert_type((bits >> 16).astype(jnp.uint16), jnp.bfloat16)

    def decode(self, code: jax.Array, *, key: Key) -> jax.Array:
        """Positions in full precision."""
        del key
        return code.astype(jnp.result_type(float))


class UInt8(AbstractStorage):
    """Positions in 256 levels over a range, with uniform noise within a level when they are read.

    An error is below 1/255 of the range.

    Args:
        low: the lower end of the range; values outside the range are clipped.
        high: the upper end of the range.

    Raises:
        ValueError: if `low < high` does not hold.
    """

    low: Number = number(default=-1.0)
    high: Number = number(default=1.0)

    def __check_init__(self):
        _checks.positive("high - low", self.high - self.low, "give low < high")

    def check(self, x: jax.Array) -> None:
        """Check that these positions are within the range."""
        if all(_checks.is_concrete(value) for value in (x, self.low, self.high)):
            # by NumPy, since JAX would trace the comparison
            values, low, high = (np.asarray(value) for value in (x, self.low, self.high))
            fix = f"give positions in the range that is stored, [{low}, {high}]"
            ok = bool(np.all((values >= low) & (values <= high)))
            _checks.require(ok, "x", (float(values.min()), float(values.max())), fix)

    def encode(self, x: jax.Array, *, key: Key | None) -> jax.Array:
        """The level of each value."""
        del key
        low, high = cast(self.low, x), cast(self.high, x)
        level = jnp.floor((x - low) / (high - low) * 256)
        return jnp.clip(level, 0, 255).astype(jnp.uint8)

    def decode(self, code: jax.Array, *, key: Key) -> jax.Array:
        """A value within the level of each."""
        dtype = jnp.result_type(float)
        fraction = (code.astype(dtype) + jax.random.uniform(key, code.shape, dtype)) / 256
        low, high = cast(self.low, fraction), cast(self.high, fraction)
        return low + fraction * (high - low)


class PackedBits(AbstractStorage):
    """Zeros and ones in one bit each, exactly: a 32nd of the memory.

    Args:
        shape: of one example; a config fills it in.

    Raises:
        ValueError: if the shape is not of positive integers.
    """

    shape: tuple[int, ...] = eqx.field(static=True, converter=tuple)

    def __check_init__(self):
        _checks.dimensions("shape", self.shape)

    def check(self, x: jax.Array) -> None:
        """Check that these positions are zeros and ones."""
        if _checks.is_concrete(x):
            values = np.asarray(x)
            ok = bool(np.all((values == 0) | (values == 1)))
            found = f"values from {values.min():.3g} to {values.max():.3g}"
            fix = "this storage has a bit for each: give zeros and ones"
            _checks.require(ok, "x", found, fix)

    def encode(self, x: jax.Array, *, key: Key | None) -> jax.Array:
        """Bits of the flattened example, eight in a byte."""
        del key
        flat = x.reshape(*_leading(x, self.shape), -1)
        return jnp.packbits(flat > 0.5, axis=-1)

    def decode(self, code: jax.Array, *, key: Key) -> jax.Array:
        """Zeros and ones."""
        del key
        bits = jnp.unpackbits(code, axis=-1, count=math.prod(self.shape))
        return bits.reshape(*code.shape[:-1], *self.shape).astype(float)


class PackedCategories(AbstractStorage):
    """One-hot categories in one byte a site, exactly.

    Args:
        shape: of one example, `(*sites, num_categories)` with at most 256 categories; a config
            fills it in.

    Raises:
        ValueError: if the shape is not of positive integers, or there are more categories.
    """

    shape: tuple[int, ...] = eqx.field(static=True, converter=tuple)

    def __check_init__(self):
        _checks.dimensions("shape", self.shape)
        fix = "give (*sites, num_categories) with 2 to 256 categories, which a byte tells apart"
        ok = len(self.shape) > 0 and 2 <= self.shape[-1] <= 256
        _checks.require(ok, "shape", self.shape, fix)

    def check(self, x: jax.Array) -> None:
        """Check that these positions are one-hot along the last axis."""
        if _checks.is_concrete(x):
            values = np.asarray(x)
            ok = bool(np.all((values == 0) | (values == 1)) and np.all(values.sum(-1) == 1))
            found = f"values from {values.min():.3g} to {values.max():.3g}"
            fix = "this storage has the index of the one: give one-hot vectors along the last axis"
            _checks.require(ok, "x", found, fix)

    def encode(self, x: jax.Array, *, key: Key | None) -> jax.Array:
        """The index of the category of each site."""
        del key
        _leading(x, self.shape)
        return jnp.argmax(x, axis=-1).astype(jnp.uint8)

    def decode(self, code: jax.Array, *, key: Key) -> jax.Array:
        """One-hot categories."""
        del key
        return jax.nn.one_hot(code, self.shape[-1], dtype=float)


def _leading(x: jax.Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes before those of an example, whose shape is checked."""
    split = x.ndim - len(shape)
    ok = split >= 0 and x.shape[split:] == shape
    _checks.require(ok, "storage.shape", shape, f"the positions are of shape {x.shape}")
    return x.shape[:split]


def decode(storage: AbstractStorage | None, code: jax.Array, *, key: Key) -> jax.Array:
    """Positions as a storage has them; without one they are in full precision already."""
    return code if storage is None else storage.decode(code, key=key)


def decoded_shape(storage: AbstractStorage | None, code: jax.Array) -> tuple[int, ...]:
    """The shape of stored positions when they are read."""
    if storage is None:
        return code.shape
    read = lambda code: storage.decode(code, key=jax.random.key(0))  # noqa: E731
    return jax.eval_shape(read, code).shape
