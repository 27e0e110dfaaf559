"""Deterministic log Z: quadrature in one and two dimensions, enumeration of discrete examples."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import EnergyFn
from ...energies import energy as energies_of
from ...energies._batch import shape_of
from ...energies._discrete import CATEGORICAL, discrete_part

_CHUNK = 2**14
_MOST_BITS = 26


def log_z_by_quadrature(
    energy: EnergyFn,
    low: ArrayLike | Sequence[float],
    high: ArrayLike | Sequence[float],
    *,
    num_points: int = 1001,
) -> float:
    """`log ∫ exp(-E(x)) dx` over an interval or a rectangle, by the midpoint rule.

    For `n = num_points` the error decreases faster than any power of `n` if the density is smooth
    and vanishes at the edges, as `1 / n²` for other smooth densities, and as `1 / n` if the density
    has jumps inside. The region outside is not counted.

    Args:
        energy: an energy of examples `(1,)` or `(2,)`.
        low: the lower corner, `(1,)` or `(2,)`.
        high: the upper corner, `(1,)` or `(2,)`.
        num_points: number of points along each side; twenty per length on which the density changes
            are plenty.

    Returns:
        `log Z`, in nats. Energies have the precision of the energy, sums are in float64.

    Raises:
        ValueError: if the corners or the energy have other shapes, or `low < high` does not hold.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    fix = "give corners of shape (1,) or (2,); above two dimensions use adaptive_smc"
    _checks.require(low.shape in ((1,), (2,)), "low.shape", low.shape, fix)
    _checks.require(high.shape == low.shape, "high.shape", high.shape, f"give {low.shape}")
    _checks.positive("high - low", high - low, "give low < high for each coordinate")
    shape = shape_of(energy)
    fix = f"the corners have shape {low.shape}: give an energy of examples of that shape"
    _checks.require(shape in (None, low.shape), "energy.shape", shape, fix)
    _checks.at_least("num_points", num_points, 2)
    width = (high - low) / num_points

    def points(index: np.ndarray) -> np.ndarray:
        cells = np.stack(np.unravel_index(index, (num_points,) * low.size), -1)
        return low + (cells + 0.5) * width

    return _log_sum(energy, points, num_points**low.size) + float(np.sum(np.log(width)))


def log_z_by_enumeration(
    energy: EnergyFn, num_bits: int | None = None, *, categorical: bool = False
) -> float:
    """`log Σ_x exp(-E(x))` over all `x` of zeros and ones, or over all categories.

    `BernoulliRBM.log_z` is faster, since it marginalises one layer in closed form.

    Args:
        energy: an energy of examples of zeros and ones, of any shape.
        num_bits: number of bits, if the energy has no `shape`.
        categorical: whether examples are one-hot along the last axis, `(*sites, num_categories)`.

    Returns:
        `log Z`, in nats. Energies have the precision of the energy, sums are in float64.

    Raises:
        ValueError: if the number of bits is unknown or above 26, or the number of examples is
            above `2²⁶`.
    """
    shape = shape_of(energy)
    part = discrete_part(energy)
    if part is not None:
        fix = f"examples of {type(part).__name__} are " + (
            "one-hot: give True"
            if isinstance(part, CATEGORICAL)
            else "zeros and ones: leave it out"
        )
        ok = categorical == isinstance(part, CATEGORICAL)
        _checks.require(ok, "categorical", categorical, fix)
    if categorical:
        return _over_categories(energy, shape)
    if shape is None and num_bits is None:
        _checks.invalid("num_bits", num_bits, "the energy has no shape: give the number of bits")
    shape = (num_bits or 0,) if shape is None else shape
    size = math.prod(shape)
    _checks.at_least("num_bits", size, 1)
    fix = f"the energy takes {size}"
    _checks.require(num_bits in (None, size), "num_bits", num_bits, fix)
    fix = f"at most {_MOST_BITS} bits can be enumerated: use adaptive_smc"
    _checks.require(size <= _MOST_BITS, "num_bits", size, fix)

    def points(index: np.ndarray) -> np.ndarray:
        return ((index[:, None] >> np.arange(size)) & 1).reshape(-1, *shape)

    return _log_sum(energy, points, 2**size)


def _over_categories(energy: EnergyFn, shape: tuple[int, ...] | None) -> float:
    """The log of the sum over all one-hot examples."""
    fix = "give an energy of examples (*sites, num_categories), such as Function(energy, shape)"
    if shape is None or not shape:
        _checks.invalid("energy.shape", shape, fix)
    sites, num = math.prod(shape[:-1]), shape[-1]
    fix = "at most 2^26 examples can be enumerated: use adaptive_smc"
    _checks.require(num**sites <= 2**_MOST_BITS, "energy.shape", shape, fix)
    places = num ** np.arange(sites)

    def points(index: np.ndarray) -> np.ndarray:
        return np.eye(num)[(index[:, None] // places) % num].reshape(-1, *shape)

    return _log_sum(energy, points, num**sites)


def _log_sum(energy: EnergyFn, points: Any, count: int) -> float:
    """`log Σ exp(-E)` over points that are generated in chunks."""
    from scipy.special import logsumexp  # late: a faster `import ebmx`

    parts = []
    for first in range(0, count, _CHUNK):
        index = np.arange(first, min(first + _CHUNK, count))
        # a whole chunk each time, so that the energy is compiled once
        x = jnp.asarray(points(np.resize(index, min(_CHUNK, count))), float)
        log = -np.asarray(energies_of(energy, x), np.float64)[: len(index)]
        fix = "it is NaN at a point of the grid: give corners between which it is defined"
        _checks.require(not np.isnan(log).any(), "energy(x)", "NaN", fix)
        parts.append(logsumexp(log))
    return float(logsumexp(parts))
