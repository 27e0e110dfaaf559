"""Noise distributions, where chains start."""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ..._types import Key, Number, Scalar, X
from ...energies._constants import as_number
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


class BernoulliNoise(AbstractNoise):
    """Each coordinate one with this probability, else zero: for binary data.

    Args:
        probability: a number in [0, 1], or one for each coordinate, of the shape of one example,
            such as the mean of the data.

    Raises:
        ValueError: if a number is out of its range.
    """

    probability: jax.Array = eqx.field(converter=as_number, default=0.5)

    def __check_init__(self):
        if _checks.is_concrete(self.probability):
            p = np.asarray(self.probability)
            ok = p.size > 0 and bool(np.all((p >= 0) & (p <= 1)))
            fix = "give probabilities, in [0, 1]"
            _checks.require(ok, "probability", self.probability, fix)

    def sample(self, shape: tuple[int, ...], *, key: Key) -> X:
        """One example of this shape, of zeros and ones."""
        fix = f"give a number, or an array of the shape of one example, {shape}"
        ok = self.probability.shape in ((), shape)
        _checks.require(ok, "probability.shape", self.probability.shape, fix)
        return jax.random.bernoulli(key, self.probability, shape).astype(float)

    def log_density(self, x: X) -> Scalar:
        """The log probability of one example, in nats; `-inf` if it is not of zeros and ones."""
        p = cast(self.probability, x)
        terms = jnp.where(x == 1, jnp.log(p), jnp.where(x == 0, jnp.log1p(-p), -jnp.inf))
        return jnp.sum(terms)


class CategoricalNoise(AbstractNoise):
    """Each site in one category, one-hot along the last axis: for categorical data.

    Args:
        weights: the relative frequency of each category, `(num_categories,)`; equal if not given.

    Raises:
        ValueError: if a weight is not positive.
    """

    weights: jax.Array | None = number(default=None)

    def __check_init__(self):
        if self.weights is not None:
            shape, fix = self.weights.shape, "give one for each category, at least two"
            ok = len(shape) == 1 and shape[0] > 1
            _checks.require(ok, "weights.shape", shape, fix)
            _checks.positive("weights", self.weights)

    def sample(self, shape: tuple[int, ...], *, key: Key) -> X:
        """One example of this shape, `(*sites, num_categories)`."""
        log_p = self._log_probabilities(shape)
        index = jax.random.categorical(key, jnp.broadcast_to(log_p, shape))
        return jax.nn.one_hot(index, shape[-1], dtype=log_p.dtype)

    def log_density(self, x: X) -> Scalar:
        """The log probability of one example, in nats; `-inf` if it is not one-hot."""
        log_p = jnp.broadcast_to(cast(self._log_probabilities(x.shape), x), x.shape)
        one_hot = jnp.all((x == 0) | (x == 1)) & jnp.all(jnp.sum(x, -1) == 1)
        return jnp.where(one_hot, jnp.sum(x * log_p), -jnp.inf)

    def _log_probabilities(self, shape: tuple[int, ...]) -> jax.Array:
        num = shape[-1] if shape else 0
        fix = "give examples (*sites, num_categories) with at least two categories"
        _checks.require(num > 1, "shape", shape, fix)
        weights = jnp.ones(num) if self.weights is None else self.weights
        fix = f"give examples (*sites, num_categories) with {weights.size} categories"
        _checks.require(num == weights.size, "shape", shape, fix)
        return jnp.log(weights / jnp.sum(weights))
