"""Negatives without chains: perturbed data, noise, directions, quadrature points."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Number
from ...energies._constants import as_number
from ...samplers._fields import cast, number
from .._batch import Examples
from ._base import AbstractNegatives, draw_noise
from ._noise import AbstractNoise

Stateless = tuple[Examples, None, None]


class AbstractStateless(AbstractNegatives[None]):
    """Negatives that keep nothing from update to update, and run no chain."""

    def init(self, shape: tuple[int, ...], *, key: Key) -> None:
        """Nothing is kept from update to update."""
        del shape, key


class DataOnly(AbstractStateless):
    """For losses of the data alone; returns the positives."""

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """The positives."""
        del energy, key
        return positives, state, None


class Perturbed(AbstractStateless):
    """Data with Gaussian noise, `x̃ = x + σ ξ`, for denoising score matching.

    With several `σ`, each example draws one of them, and `log σ` is its condition, `(batch, 1)`:
    for a conditional energy with `condition_dim=1`.

    Args:
        sigma: the standard deviation, in units of the data; or several, `(levels,)`.

    Raises:
        ValueError: if it is not positive.
    """

    sigma: jax.Array = eqx.field(converter=as_number)

    def __check_init__(self):
        fix = "give a number, or a vector of them"
        ok = self.sigma.ndim < 2 and self.sigma.size > 0
        _checks.require(ok, "sigma.shape", self.sigma.shape, fix)
        _checks.positive("sigma", self.sigma)

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """The perturbed data, in the order of the positives."""
        del energy
        x = positives.x
        level_key, noise_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, x.shape, x.dtype)
        if self.sigma.ndim == 0:
            return positives.with_x(x + cast(self.sigma, x) * noise), state, None
        level = jax.random.randint(level_key, (len(x),), 0, len(self.sigma))
        sigma = self.sigma[level].astype(x.dtype)
        wide = sigma.reshape(-1, *(1,) * (x.ndim - 1))
        conditions = jnp.log(sigma)[:, None]
        return Examples(x + wide * noise, conditions, positives.log_weights), state, None


class RandomProjections(AbstractStateless):
    """Random directions with entries ±1, one for each example, for sliced score matching."""

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """Directions of the shape of the positives."""
        del energy
        x = positives.x
        return positives.with_x(jax.random.rademacher(key, x.shape, x.dtype)), state, None


class NoiseSamples(AbstractStateless):
    """Samples of a noise distribution, for noise-contrastive estimation.

    Args:
        noise: the distribution.
        ratio: how many for each example, at least 1.

    Raises:
        ValueError: if a number is out of its range.
    """

    noise: AbstractNoise
    ratio: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        _checks.at_least("ratio", self.ratio, 1)

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """`ratio` times as many samples as there are positives."""
        del energy
        x = positives.x
        noise = draw_noise(self.noise, self.ratio * len(x), x.shape[1:], key=key)
        return positives.with_x(noise.astype(x.dtype)), state, None


class PerturbedTwice(AbstractStateless):
    """Negatives `x + √t ξ + √t ξ'` for energy discrepancy; those of one example have the same `ξ`.

    Args:
        time: `t > 0`, the variance of each perturbation.
        num_negatives: how many for each example, at least 1.

    Raises:
        ValueError: if a number is out of its range.
    """

    time: Number = number(default=0.25)
    num_negatives: int = eqx.field(static=True, default=16)

    def __check_init__(self):
        _checks.positive("time", self.time)
        _checks.at_least("num_negatives", self.num_negatives, 1)

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """`num_negatives` for each positive; those of example `i` are `i, i + batch, …`."""
        del energy
        x = positives.x
        once_key, twice_key = jax.random.split(key)
        scale = jnp.sqrt(cast(self.time, x))
        once = x + scale * jax.random.normal(once_key, x.shape, x.dtype)
        twice = scale * jax.random.normal(twice_key, (self.num_negatives, *x.shape), x.dtype)
        return positives.with_x((once[None] + twice).reshape(-1, *x.shape[1:])), state, None


class Neighbours(AbstractStateless):
    """`num_neighbours` neighbours `x + σ ξ` of each example, for minimum probability flow.

    Args:
        sigma: how far the neighbours are, in units of the data.
        num_neighbours: how many for each example, at least 1.

    Raises:
        ValueError: if a number is out of its range.
    """

    sigma: Number = number(default=0.3)
    num_neighbours: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        _checks.positive("sigma", self.sigma)
        _checks.at_least("num_neighbours", self.num_neighbours, 1)

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """`num_neighbours` for each positive; those of example `i` are `i, i + batch, …`."""
        del energy
        x = positives.x
        noise = jax.random.normal(key, (self.num_neighbours, *x.shape), x.dtype)
        neighbours = x[None] + cast(self.sigma, x) * noise
        return positives.with_x(neighbours.reshape(-1, *x.shape[1:])), state, None


class QuadraturePoints(AbstractStateless):
    """The points of a grid over a box of one or two dimensions, for maximum likelihood.

    The shifts are those of Cranley and Patterson (1976), "Randomization of number theoretic methods
    for multiple integration".

    Args:
        low: the lower corner of the box, `(d,)` with `d` 1 or 2.
        high: the upper corner of the box, `(d,)`.
        num_points: how many points on each axis, at the centres of equal cells.
        shifted: whether each update shifts the points by a random part of a cell, within the box.
            The estimate of the integral of `exp(-E)` is then unbiased, and a spike of the density
            between fixed points cannot go unseen, so that fewer points are enough.

    Raises:
        ValueError: if the corners are not vectors of one or two numbers in order, or `num_points`
            is below 2.
    """

    low: jax.Array = number()
    high: jax.Array = number()
    num_points: int = eqx.field(static=True, default=200)
    shifted: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        fix = "give corners (1,) or (2,) of the same shape"
        ok = self.low.shape == self.high.shape and self.low.shape in ((1,), (2,))
        _checks.require(ok, "low.shape", self.low.shape, fix)
        _checks.positive("high - low", self.high - self.low, "give low < high")
        _checks.at_least("num_points", self.num_points, 2)

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """The points `(num_points ** d, d)`, weighted by the volume of a cell, and their box."""
        del energy
        dtype, dim = positives.x.dtype, len(self.low)
        low, high = self.low.astype(dtype), self.high.astype(dtype)
        shift = jnp.full((dim, 1), 0.5, dtype)
        if self.shifted:
            shift = jax.random.uniform(key, (dim, 1), dtype)
        places = (jnp.arange(self.num_points, dtype=dtype)[None] + shift) / self.num_points
        axes = low[:, None] + (high - low)[:, None] * places
        points = jnp.stack([a.reshape(-1) for a in jnp.meshgrid(*axes, indexing="ij")], -1)
        cell = jnp.sum(jnp.log((high - low) / self.num_points))
        return Examples(points, None, jnp.full(len(points), cell), (low, high)), state, None
