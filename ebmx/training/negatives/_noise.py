"""Noise distributions, where chains start."""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Key, Number, Scalar, X
from ...samplers._fields import cast, number


class AbstractNoise(eqx.Module):
    """A distribution over examples of any shape, with independent coordinates."""

    @abc.abstractmethod
    def sample(self, shape: tuple[int, ...], *, key: Key) -> X:
        """One example of this shape."""

    @abc.abstractmethod
    def log_density(self, x: X) -> Scalar:
        """The log density of one example, in nats."""


class UniformNoise(AbstractNoise):
    """Each coordinate uniform on `[low, high)`.

    Args:
        low: the lower end, in units of `x`.
        high: the upper end, above `low`.

    Raises:
        ValueError: if a number is out of its range.
    """

    low: Number = number(default=-1.0)
    high: Number = number(default=1.0)

    def __check_init__(self):
        _checks.positive("high - low", self.high - self.low, "give low < high")

    def sample(self, shape: tuple[int, ...], *, key: Key) -> X:
        """One example of this shape."""
        return jax.random.uniform(key, shape, minval=self.low, maxval=self.high)

    def log_density(self, x: X) -> Scalar:
        """The log density of one example, in nats; `-inf` outside the box."""
        low, high = (cast(end, x) for end in (self.low, self.high))
        inside = jnp.all((x >= low) & (x <= high))
        return jnp.where(inside, -x.size * jnp.log(high - low), -jnp.inf)


class GaussianNoise(AbstractNoise):
    """Each coordinate normal with this mean and standard deviation.

    Args:
        mean: in units of `x`.
        scale: the standard deviation, positive.

    Raises:
        ValueError: if a number is out of its range.
    """

    mean: Number = number(default=0.0)
    scale: Number = number(default=1.0)

    def __check_init__(self):
        _checks.finite_value("mean", self.mean)
        _checks.positive("scale", self.scale)

    def sample(self, shape: tuple[int, ...], *, key: Key) -> X:
        """One example of this shape."""
        return jnp.asarray(self.mean + self.scale * jax.random.normal(key, shape))

    def log_density(self, x: X) -> Scalar:
        """The log density of one example, in nats."""
        mean, scale = cast(self.mean, x), cast(self.scale, x)
        z = (x - mean) / scale
        return -jnp.sum(0.5 * z**2 + jnp.log(scale) + 0.5 * math.log(2 * math.pi))
