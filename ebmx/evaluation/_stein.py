"""The kernel Stein discrepancy: how far samples lie from an energy, without its log Z."""

from typing import NamedTuple

import jax
import numpy as np

from .. import _checks
from .._arguments import guarded
from .._types import EnergyFn, Key, XBatch
from ..energies import score as scores_of
from ..energies import shape_of
from ._features import squared_distances


class SteinDiscrepancy(NamedTuple):
    """What `kernel_stein_discrepancy` finds. All are squared discrepancies."""

    u_statistic: float
    """Without bias: about zero, and maybe negative, for samples of the energy."""
    v_statistic: float
    """Never negative; its root is the discrepancy of the points as they are."""
    p_value: float
    """How often chance alone would make the U-statistic as large for independent samples."""


@guarded
def kernel_stein_discrepancy(
    energy: EnergyFn,
    x: XBatch,
    *,
    bandwidth: float | None = None,
    exponent: float = -0.5,
    num_bootstrap: int = 1000,
    key: Key,
) -> SteinDiscrepancy:
    """How far samples lie from the density of an energy, by its score alone.

    With the inverse multiquadric kernel `k(x, y) = (c² + |x - y|²)^β`, for which the discrepancy
    goes to zero only where the samples go to the density.

    Gorham and Mackey (2017), "Measuring sample quality with kernels"; Liu, Lee and Jordan (2016),
    "A kernelized Stein discrepancy for goodness-of-fit tests", for the bootstrap.

    It does not see the weights of modes that lie far apart, since the score does not know them.

    **Arguments:**

    - `energy`: an energy, or any callable from one example to a scalar.
    - `x`: samples `(num, *shape)`, at least two; time and memory grow as `num²`, a matrix of
        float64.
    - `bandwidth`: `c`, in units of `x`; the median distance of two samples, if not given.
    - `exponent`: `β`, in (-1, 0).
    - `num_bootstrap`: from how many resamplings the p-value is taken.
    - `key`: a key for these.

    **Returns:**

    A `SteinDiscrepancy`.

    **Raises:**

    `ValueError` if `x` or a number does not fit, or a score is not finite.
    """
    x = _checks.batch(x, "x", shape_of(energy))
    _checks.require(len(x) >= 2, "x.shape", x.shape, "give at least two samples")
    _checks.require(-1 < exponent < 0, "exponent", exponent, "give a number in (-1, 0)")
    _checks.at_least("num_bootstrap", num_bootstrap, 1)
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    _checks.finite(flat, "x")
    score = np.asarray(scores_of(energy, x), np.float64).reshape(len(x), -1)
    _checks.finite(score, "score(x)")
    distances = squared_distances(flat, flat)
    if bandwidth is None:
        bandwidth = float(np.sqrt(np.median(distances[np.triu_indices(len(x), 1)])))
        fix = "half of the samples are the same: give a bandwidth"
        _checks.require(bandwidth > 0, "bandwidth", bandwidth, fix)
    _checks.positive("bandwidth", bandwidth)
    # a JAX array of float32 would take the kernel to its precision
    kernel = _stein_kernel(flat, score, distances, float(bandwidth) ** 2, float(exponent))
    num, diagonal = len(x), float(np.trace(kernel))
    v_statistic = float(kernel.mean())
    u_statistic = (num**2 * v_statistic - diagonal) / (num * (num - 1))
    np.fill_diagonal(kernel, 0.0)
    chance = _bootstrap(kernel, num_bootstrap, key)
    more = int(np.sum(chance >= u_statistic * (num - 1) / num))
    return SteinDiscrepancy(u_statistic, v_statistic, (1 + more) / (1 + num_bootstrap))


def _stein_kernel(
    x: np.ndarray, score: np.ndarray, distances: np.ndarray, square: float, exponent: float
) -> np.ndarray:
    """`s(x)·s(y) k + s(x)·∇ᵧk + s(y)·∇ₓk + tr ∇ₓ∇ᵧk`, for all pairs."""
    base = square + distances
    slope = 2 * exponent * base ** (exponent - 1)  # ∇ₓk = slope (x - y)
    along = score @ x.T  # s(xᵢ)·xⱼ
    own = np.diag(along)
    # s(y)·(x - y) - s(x)·(x - y)
    cross = along.T - own[None] - own[:, None] + along
    curvature = 4 * exponent * (exponent - 1) * distances * base ** (exponent - 2)
    trace = -x.shape[1] * slope - curvature
    return (score @ score.T) * base**exponent + slope * cross + trace


def _bootstrap(kernel: np.ndarray, num_bootstrap: int, key: Key) -> np.ndarray:
    """The U-statistic under the null hypothesis, by multinomial weights."""
    num = len(kernel)
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))
    weights = rng.multinomial(num, np.full(num, 1 / num), num_bootstrap) / num - 1 / num
    return np.sum((weights @ kernel) * weights, 1)
