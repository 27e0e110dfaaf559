"""The kernel Stein discrepancy of samples from an energy, without its log Z."""

from typing import NamedTuple

import jax
import numpy as np

from ... import _checks
from ..._types import EnergyFn, Key, XBatch
from ...energies import score as scores_of
from ...energies._batch import shape_of
from ._pairwise import blocks, median_squared_distance, squared_distances


class SteinDiscrepancy(NamedTuple):
    """The result of `kernel_stein_discrepancy`. Both statistics are squared discrepancies."""

    u_statistic: float
    v_statistic: float
    p_value: float


def kernel_stein_discrepancy(
    energy: EnergyFn,
    x: XBatch,
    *,
    bandwidth: float | None = None,
    exponent: float = -0.5,
    num_bootstrap: int = 1000,
    key: Key,
) -> SteinDiscrepancy:
    """The squared discrepancy of samples from the density of an energy, from its score alone.

    The kernel is the inverse multiquadric, `k(x, y) = (c² + |x - y|²)^β`, for which the
    discrepancy tends to zero only if the samples converge to the density.

    Gorham and Mackey (2017), "Measuring sample quality with kernels"; Liu, Lee and Jordan (2016),
    "A kernelized Stein discrepancy for goodness-of-fit tests", for the bootstrap.

    It is blind to the weights of modes that lie far apart, since the score does not depend on them.

    Args:
        energy: an energy, or any callable from one example to a scalar.
        x: samples `(num, *shape)`, at least two; the time grows as `num²`, memory as `num`.
        bandwidth: `c`, in units of `x`; by default the median distance of two samples.
        exponent: `β`, in (-1, 0).
        num_bootstrap: number of resamplings for the p-value; each takes `num` float64 of memory.
        key: a key for the resamplings.

    Returns:
        A named tuple `(u_statistic, v_statistic, p_value)`: the unbiased estimate of the squared
        discrepancy; that of the empirical distribution, which is never negative; and the
        probability of a U-statistic at least as large for independent samples of the energy.

    Raises:
        ValueError: if `x` or a number does not fit, or a score is not finite.
    """
    x = _checks.batch(x, "x", shape_of(energy))
    _checks.require(len(x) >= 2, "x.shape", x.shape, "give at least two samples")
    _checks.require(-1 < exponent < 0, "exponent", exponent, "give a number in (-1, 0)")
    _checks.at_least("num_bootstrap", num_bootstrap, 1)
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    _checks.finite(flat, "x")
    score = np.asarray(scores_of(energy, x), np.float64).reshape(len(x), -1)
    _checks.finite(score, "score(x)")
    if bandwidth is None:
        bandwidth = float(np.sqrt(median_squared_distance(flat)))
        fix = "half of the samples are equal: give a bandwidth"
        _checks.require(bandwidth > 0, "bandwidth", bandwidth, fix)
    _checks.positive("bandwidth", bandwidth)
    # a JAX array of float32 would lower the precision of the kernel
    square, exponent, num = float(bandwidth) ** 2, float(exponent), len(x)
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))
    # multinomial, less their mean: those of the U-statistic under the null hypothesis
    weights = rng.multinomial(num, np.full(num, 1 / num), num_bootstrap) / num
    weights -= 1 / num
    total, chance = _upper_sums(flat, score, square, exponent, weights)
    trace = -2 * exponent * square ** (exponent - 1) * flat.size
    diagonal = float(np.sum(score**2)) * square**exponent + trace  # Σ h(xᵢ, xᵢ)
    u_statistic = 2 * total / (num * (num - 1))
    more = int(np.sum(2 * chance >= u_statistic * (num - 1) / num))
    v_statistic = (2 * total + diagonal) / num**2
    return SteinDiscrepancy(u_statistic, v_statistic, (1 + more) / (1 + num_bootstrap))


def _upper_sums(
    x: np.ndarray, score: np.ndarray, square: float, exponent: float, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """`Σ h(xᵢ, xⱼ)` over pairs `i < j`, unweighted and with `wᵢ wⱼ` for each row of weights."""
    total, weighted = 0.0, np.zeros(len(weights))
    for i in blocks(len(x), len(x)):
        # the kernel is symmetric: columns from the first of these rows on
        kernel = _stein_kernel(x[i], score[i], x[i.start :], score[i.start :], square, exponent)
        kernel = np.triu(kernel, 1)
        total += float(kernel.sum())
        weighted += np.sum((kernel @ weights[:, i.start :].T) * weights[:, i].T, 0)
    return total, weighted


def _stein_kernel(
    x: np.ndarray, s: np.ndarray, y: np.ndarray, t: np.ndarray, square: float, exponent: float
) -> np.ndarray:
    """`h(x, y) = s(x)·s(y) k + s(x)·∇ᵧk + s(y)·∇ₓk + tr ∇ₓ∇ᵧk`, for all pairs of `x` and `y`."""
    distances = squared_distances(x, y)
    base = square + distances
    kernel = base**exponent
    slope = 2 * exponent * kernel / base  # ∇ₓk = slope (x - y)
    # s(y)·(x - y) - s(x)·(x - y)
    cross = x @ t.T - np.sum(y * t, 1)[None] - np.sum(x * s, 1)[:, None] + s @ y.T
    trace = -x.shape[1] * slope - 2 * (exponent - 1) * slope * distances / base
    return (s @ t.T) * kernel + slope * cross + trace
