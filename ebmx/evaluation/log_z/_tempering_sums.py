"""Sums over the steps of a ladder, and the estimates of log Z that they make."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...samplers.tempering._ladder import Sweep


class LogSum(NamedTuple):
    """The log of a sum of positive numbers, which neither overflows nor stops growing."""

    top: jax.Array
    rest: jax.Array

    @property
    def value(self) -> jax.Array:
        """The logarithm of the sum, -inf if it is 0."""
        return jnp.where(self.rest > 0, self.top + jnp.log(jnp.maximum(self.rest, 1e-30)), -jnp.inf)

    def add(self, log: jax.Array) -> "LogSum":
        """The sum with one more number."""
        top = jnp.maximum(self.top, log)
        return LogSum(top, self.rest * jnp.exp(self.top - top) + jnp.exp(log - top))


class Sums(NamedTuple):
    """What one chain has seen on each rung, or of each pair."""

    mean: Any
    """Of `E − E₀` where it is finite, `(rungs,)`."""
    square: Any
    """The sum of squared deviations from the mean, `(rungs,)`."""
    infinite: Any
    """How often it was not finite, `(rungs,)`."""
    down: Any
    """The sum of `√(p_cold / p_hot)`, unnormalised, over the hot one of each pair: a `LogSum`, and
    at the end its logarithm, `(rungs - 1,)`."""
    up: Any
    """The sum of `√(p_hot / p_cold)` over the cold one, `(rungs - 1,)`."""
    swaps: Any
    acceptance: Any


def nothing(rungs: int, dtype: Any) -> Sums:
    zero = jnp.zeros(rungs, dtype)
    none = LogSum(jnp.full(rungs - 1, -1e30, dtype), zero[1:])
    return Sums(zero, zero, jnp.zeros(rungs, jnp.int32), none, none, zero[1:], zero)


def added(sums: Sums, told: Sweep, temperatures: jax.Array, i: jax.Array) -> Sums:
    """The sums with one more step, after `i` earlier ones."""
    dtype = sums.mean.dtype
    energies, beta = told.energies.astype(dtype), (1 / temperatures).astype(dtype)
    finite = jnp.isfinite(energies)
    infinite = sums.infinite + (~finite).astype(jnp.int32)
    count = jnp.maximum(i + 1 - infinite, 1).astype(dtype)
    change = jnp.where(finite, energies, sums.mean) - sums.mean
    mean = sums.mean + change / count
    half = (beta[:-1] - beta[1:]) / 2
    # where one of two neighbours has no density, the bridge has none
    large = jnp.where(jnp.isnan(energies), jnp.inf, energies)
    known = jnp.where(jnp.isnan(energies), -jnp.inf, energies)
    return Sums(
        mean=mean,
        square=sums.square + change * (jnp.where(finite, energies, mean) - mean),
        infinite=infinite,
        down=sums.down.add(-half * large[1:]),
        up=sums.up.add(half * known[:-1]),
        swaps=sums.swaps + told.swaps.astype(dtype),
        acceptance=sums.acceptance + told.acceptance.astype(dtype),
    )


def stepping_stones(sums: Sums) -> tuple[float, float]:
    """`log Z − log Z₀` of all chains, and its standard error by the jackknife over chains."""
    num = len(sums.down)

    def log_means(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each pair the mean of all chains, `(rungs - 1,)`, and of all but one."""
        top = np.max(logs, 0, initial=-np.inf)
        weights = np.exp(logs - np.where(np.isfinite(top), top, 0))
        with np.errstate(divide="ignore"):
            rest = np.log((weights.sum(0) - weights) / (num - 1))
            return top + np.log(weights.mean(0)), top + rest

    (down, down_rest), (up, up_rest) = log_means(sums.down), log_means(sums.up)
    with np.errstate(invalid="ignore"):
        each = (down_rest - up_rest).sum(1)
        error = np.sqrt((num - 1) / num * np.sum((each - each.mean()) ** 2))
        return float((down - up).sum()), float(error)


def integrated(sums: Sums, betas: np.ndarray, num_steps: int) -> tuple[float, float]:
    """`∫ ⟨E − E₀⟩ dβ` from 0 to 1, and its standard error over chains."""
    infinite, num = sums.infinite.sum(0), len(sums.mean)
    if infinite.any():  # the mean over that rung is infinite, and so is the error of the rule
        return float(np.inf), float(np.inf)
    centre = sums.mean.mean(0)
    variance = sums.square / num_steps + (sums.mean - centre) ** 2
    # over `t = log(b + β)` with the least positive `β` as `b`: means change fast where β is small
    scale = betas + betas[betas > 0].min()
    steps = np.log(scale[:-1]) - np.log(scale[1:])
    # without a constant, whose integral is exact: the one for which the slope at β = 1 is 0
    constant = centre[0] - scale[0] * variance[:, 0].mean()
    rest = sums.mean - constant
    values = scale * rest
    # the slope of a mean over β is minus the variance
    slopes = scale * (rest - scale * variance)
    trapezia = steps / 2 * (values[:, :-1] + values[:, 1:])
    # the first term of Euler and Maclaurin
    corrections = steps**2 / 12 * (slopes[:, 1:] - slopes[:, :-1])
    each = constant + (trapezia + corrections).sum(1)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(num))
