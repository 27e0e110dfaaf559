"""Levels of noise, at which an energy `E(x, σ)` is defined."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .. import _checks
from .._types import Number
from ._constants import as_number, constant


class NoiseLevels(eqx.Module):
    """Standard deviations of noise `σ₀ < σ₁ < …`, and how often training draws each.

    Args:
        sigma: ascending positive numbers, `(levels,)`, at least two, in units of the data.
        weights: how often each is drawn in training, positive numbers `(levels,)`; all equally
            often if not given.

    Raises:
        ValueError: if the levels are not positive and ascending, or the weights are not positive
            or not as many.
    """

    sigma: jax.Array = constant()
    log_prior: jax.Array = constant()
    """The log probabilities of the levels in training, `(levels,)`."""

    def __init__(self, sigma: ArrayLike, weights: ArrayLike | None = None):
        sigma = as_number(sigma)
        fix = "give a vector of at least two standard deviations, ascending"
        _checks.require(sigma.ndim == 1 and sigma.size > 1, "sigma.shape", sigma.shape, fix)
        _checks.positive("sigma", sigma)
        rising = not _checks.is_concrete(sigma) or bool(np.all(np.diff(np.asarray(sigma)) > 0))
        _checks.require(rising, "sigma", sigma, "give ascending levels, such as [0.01, 0.1, 1.0]")
        weights = jnp.ones_like(sigma) if weights is None else as_number(weights)
        fix = f"give a positive number for each of the {sigma.size} levels"
        _checks.require(weights.shape == sigma.shape, "weights.shape", weights.shape, fix)
        _checks.positive("weights", weights, fix)
        self.sigma = sigma
        self.log_prior = jnp.log(weights / jnp.sum(weights))

    def nearest(self, sigma: jax.Array) -> jax.Array:
        """The number of the level that is nearest to `sigma` in its logarithm."""
        middle = jnp.sqrt(self.sigma[1:] * self.sigma[:-1]).astype(sigma.dtype)
        return jnp.searchsorted(middle, sigma)


def geometric_levels(
    low: Number, high: Number, num_levels: int, *, tilt: Number = 1.0
) -> NoiseLevels:
    """Levels in a geometric series, as in Song and Ermon (2019).

    Args:
        low: the lowest level, in units of the data.
        high: the highest one.
        num_levels: how many, at least 2.
        tilt: above 1, low levels are drawn more often in training: level `⌊num_levels · u^tilt⌋`
            for a uniform `u`.

    Returns:
        The levels.

    Raises:
        ValueError: if a number is out of its range, or the levels are not ascending.
    """
    _checks.at_least("num_levels", num_levels, 2)
    _checks.positive("low", low)
    _checks.positive("tilt", tilt)
    _checks.positive("high - low", jnp.asarray(high) - jnp.asarray(low), "give low < high")
    ends = jnp.arange(num_levels + 1) / num_levels
    weights = jnp.diff(ends ** (1 / as_number(tilt)))
    return NoiseLevels(jnp.geomspace(as_number(low), as_number(high), num_levels), weights)


def cosine_levels(
    low: Number, high: Number, num_levels: int, *, scale: Number = 1.0
) -> NoiseLevels:
    """Levels at equal angles, `σ = scale · tan φ`: densest where the noise is as large as the data.

    They are the levels of the cosine schedule of Nichol and Dhariwal (2021), "Improved denoising
    diffusion probabilistic models", in units of noise that is added to unscaled data.

    Args:
        low: as for `geometric_levels`.
        high: as for `geometric_levels`.
        num_levels: as for `geometric_levels`.
        scale: the standard deviation of the data.

    Returns:
        The levels, drawn equally often.

    Raises:
        ValueError: as for `geometric_levels`.
    """
    _checks.at_least("num_levels", num_levels, 2)
    _checks.positive("low", low)
    _checks.positive("scale", scale)
    _checks.positive("high - low", jnp.asarray(high) - jnp.asarray(low), "give low < high")
    ends = jnp.arctan(as_number(low) / scale), jnp.arctan(as_number(high) / scale)
    return NoiseLevels(scale * jnp.tan(jnp.linspace(*ends, num_levels)))
