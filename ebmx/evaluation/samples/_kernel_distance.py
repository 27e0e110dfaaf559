"""The kernel distance: an unbiased estimate of the squared maximum mean discrepancy."""

from typing import overload

import jax
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key
from ._pairwise import blocks, two_sets


@overload
def kernel_distance(samples: ArrayLike, data: ArrayLike, *, degree: int = 3) -> float: ...
@overload
def kernel_distance(
    samples: ArrayLike,
    data: ArrayLike,
    *,
    degree: int = 3,
    num_subsets: int,
    subset_size: int = 1000,
    key: Key,
) -> np.ndarray: ...
def kernel_distance(
    samples: ArrayLike,
    data: ArrayLike,
    *,
    degree: int = 3,
    num_subsets: int | None = None,
    subset_size: int = 1000,
    key: Key | None = None,
) -> float | np.ndarray:
    """The squared maximum mean discrepancy of two sets of features, with a polynomial kernel.

    `k(x, y) = (x·y / d + 1)^degree`. The estimate is unbiased: it is about zero, and may be
    negative, for two sets from one distribution. Unlike the Fréchet distance it needs no
    covariance and can be used with few rows.

    Bińkowski et al. (2018), "Demystifying MMD GANs"; Gretton et al. (2012), "A kernel two-sample
    test".

    Args:
        samples: features `(num, features)`, at least two rows.
        data: features `(num, features)`, at least two rows.
        degree: degree of the kernel, at least 1.
        num_subsets: number of random subsets. The literature reports the mean and the standard
            deviation over 100 subsets. By default all rows are used once.
        subset_size: number of rows in each subset, chosen without replacement; all rows of a set
            that has fewer.
        key: a key for the choice of subsets, only needed with `num_subsets`.

    Returns:
        The estimate, without a unit; with `num_subsets` an array `(num_subsets,)` of estimates.

    Raises:
        ValueError: if the numbers of features differ, rows are missing, values are not finite, or
            there are subsets and no key.
    """
    samples, data = two_sets(samples, data)
    _checks.at_least("degree", degree, 1)
    _checks.at_least("subset_size", subset_size, 2)
    if num_subsets is None:
        return _estimate(samples, data, degree)
    _checks.at_least("num_subsets", num_subsets, 1)
    if key is None:
        _checks.invalid("key", key, "give a key, which chooses the subsets")
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))

    def rows(x: np.ndarray) -> np.ndarray:
        return x[rng.permutation(len(x))[:subset_size]]

    return np.array([_estimate(rows(samples), rows(data), degree) for _ in range(num_subsets)])


def _estimate(a: np.ndarray, b: np.ndarray, degree: int) -> float:
    within = _off_diagonal(a, degree) + _off_diagonal(b, degree)
    return within - 2 * _total(a, b, degree) / (len(a) * len(b))


def _total(a: np.ndarray, b: np.ndarray, degree: int) -> float:
    size = a.shape[1]
    return sum(float(np.sum((a[i] @ b.T / size + 1) ** degree)) for i in blocks(len(a), len(b)))


def _off_diagonal(x: np.ndarray, degree: int) -> float:
    """The mean over pairs of different rows."""
    diagonal = np.sum((np.sum(x**2, 1) / x.shape[1] + 1) ** degree)
    return float(_total(x, x, degree) - diagonal) / (len(x) * (len(x) - 1))
