"""Many independent double wells, with an exact normaliser, moments and samples."""

import functools
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from ... import _checks
from ..._types import Key, Scalar, X
from .._base import AbstractExactEnergy

_EDGE = 3.5  # where the energy is 80 nats above the wells
_NUM_CELLS = 8192


class ManyWell(AbstractExactEnergy):
    """`E(x) = Σᵢ (uᵢ⁴ − 6uᵢ² − uᵢ/2 + vᵢ²/2)` of pairs `(u, v)`: `2^n` wells of different masses.

    The coordinates are `u₁, v₁, u₂, v₂, …`. With 16 wells, 32 coordinates, it is the target of
    papers on sampling. Normaliser and moments are one-dimensional integrals by the trapezoidal
    rule, whose error is that of rounding. Samples are drawn from a table of the distribution
    function of `u` with 8192 cells, uniformly within a cell.

    Noé et al. (2019), "Boltzmann generators"; Midgley et al. (2023), "Flow annealed importance
    sampling bootstrap".

    Args:
        num_wells: `n`, the number of pairs.

    Raises:
        ValueError: if it is not a positive integer.
    """

    shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, num_wells: int = 16):
        _checks.at_least("num_wells", num_wells, 1)
        self.shape = (2 * num_wells,)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        u, v = x[::2], x[1::2]
        return jnp.sum(u**4 - 6 * u**2 - 0.5 * u + 0.5 * v**2)

    def sample(self, *, key: Key) -> X:
        cell_key, place_key, rest_key = jax.random.split(key, 3)
        size = (self.shape[0] // 2,)
        ends = jnp.asarray(_well().ends, float)
        cell = jnp.searchsorted(ends, ends[-1] * jax.random.uniform(cell_key, size), side="right")
        place = (cell + jax.random.uniform(place_key, size)) / _NUM_CELLS
        u = _EDGE * (2 * place - 1)
        return jnp.stack([u, jax.random.normal(rest_key, size)], -1).reshape(-1)

    def mode(self, x: X) -> Bool[Array, "wells"]:
        """The well that each pair of one example is in: `True` for the one at positive `u`."""
        _checks.example(x, self.shape)
        return x[::2] > 0

    @property
    def right_probability(self) -> Scalar:
        """The probability of `u > 0`, the same for each pair."""
        return jnp.asarray(_well().right, float)

    @property
    def mean(self) -> X:
        return jnp.tile(jnp.array([_well().mean, 0.0], float), self.shape[0] // 2)

    @property
    def variance(self) -> X:
        return jnp.tile(jnp.array([_well().variance, 1.0], float), self.shape[0] // 2)

    @property
    def log_z(self) -> Scalar:
        one = _well().log_z + 0.5 * math.log(2 * math.pi)
        return jnp.asarray(self.shape[0] // 2 * one, float)


class _Well(NamedTuple):
    """What is known of one coordinate `u`, in float64."""

    log_z: float
    mean: float
    variance: float
    right: float  # the probability of positive `u`
    ends: np.ndarray  # the distribution function at the right end of each cell


@functools.cache
def _well() -> _Well:
    u = np.linspace(-_EDGE, _EDGE, _NUM_CELLS + 1)
    density = np.exp(-(u**4) + 6 * u**2 + 0.5 * u)
    cells = 0.5 * (density[1:] + density[:-1])
    total = cells.sum()
    # the density is zero at both ends, so that sums over nodes are the trapezoidal rule
    mean = density @ u / total
    variance = density @ (u - mean) ** 2 / total
    log_z = math.log(total * (u[1] - u[0]))
    right = cells[_NUM_CELLS // 2 :].sum() / total
    return _Well(log_z, mean, variance, right, np.cumsum(cells) / total)
