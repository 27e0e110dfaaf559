"""The uniform density on a box."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key, Scalar, X
from .._base import AbstractExactEnergy
from .._constants import constant
from .._precision import together


class Uniform(AbstractExactEnergy):
    """`E(x) = 0` within a box and infinite outside: `log Z` is the logarithm of its volume.

    Args:
        low: the lowest corner, an array of the shape of one example. Training does not change it.
        high: the highest corner, likewise.

    Raises:
        ValueError: if their shapes differ, or `low < high` does not hold everywhere.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    low: jax.Array = constant()
    high: jax.Array = constant()

    def __init__(self, low: ArrayLike, high: ArrayLike):
        self.low, self.high = jnp.asarray(low, float), jnp.asarray(high, float)
        self.shape = self.low.shape
        fix = f"give arrays of one shape; low is of shape {self.shape}"
        _checks.require(self.high.shape == self.shape, "high.shape", self.high.shape, fix)
        _checks.positive("high - low", self.high - self.low, "give low < high for each coordinate")

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        point, low, high = together(x, self.low, self.high)
        inside = jnp.all((point >= low) & (point <= high))
        return jnp.where(inside, 0.0, jnp.inf).astype(jnp.result_type(x))

    def sample(self, *, key: Key) -> X:
        fraction = jax.random.uniform(key, self.shape, self.low.dtype)
        return self.low + fraction * (self.high - self.low)

    @property
    def mean(self) -> X:
        return 0.5 * (self.low + self.high)

    @property
    def variance(self) -> X:
        return (self.high - self.low) ** 2 / 12

    @property
    def log_z(self) -> Scalar:
        return jnp.sum(jnp.log(self.high - self.low))
