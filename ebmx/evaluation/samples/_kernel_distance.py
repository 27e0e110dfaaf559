"""The kernel distance: how far two sets of features lie apart, without bias."""

import jax
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._arguments import guarded
from ..._types import Key
from ._pairwise import blocks, two_sets


@guarded
def kernel_distance(a: ArrayLike, b: ArrayLike, *, degree: int = 3) -> float:
    """The squared maximum mean discrepancy of two sets of features, with a polynomial kernel.

    `k(x, y) = (x·y / d + 1)^degree`. It is estimated without bias, so that it is about zero, and
    may be negative, for sets from one distribution; other than the Fréchet distance it needs no
    covariance and may be used with few examples.

    Bińkowski et al. (2018), "Demystifying MMD GANs"; Gretton et al. (2012), "A kernel two-sample
    test".

    Args:
        a: features `(num, features)`, at least two rows each.
        b: features `(num, features)`, at least two rows each.
        degree: of the kernel, at least 1.

    Returns:
        The estimate, without a unit.

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.
    """
    a, b = two_sets(a, b)
    _checks.at_least("degree", degree, 1)
    within = _off_diagonal(a, degree) + _off_diagonal(b, degree)
    return within - 2 * _total(a, b, degree) / (len(a) * len(b))


@guarded
def kernel_distance_subsets(
    a: ArrayLike,
    b: ArrayLike,
    *,
    num_subsets: int = 100,
    subset_size: int = 1000,
    degree: int = 3,
    key: Key,
) -> np.ndarray:
    """The `kernel_distance` of random subsets, of which the literature gives mean and deviation.

    Args:
        a: as for `kernel_distance`.
        b: as for `kernel_distance`.
        degree: as for `kernel_distance`.
        num_subsets: how many subsets.
        subset_size: rows of each, drawn without replacement; all rows of a set that has fewer.
        key: a key.

    Returns:
        `(num_subsets,)`.

    Raises:
        ValueError: as for `kernel_distance`.
    """
    a, b = two_sets(a, b)
    _checks.at_least("num_subsets", num_subsets, 1)
    _checks.at_least("subset_size", subset_size, 2)
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))

    def rows(x: np.ndarray) -> np.ndarray:
        return x[rng.permutation(len(x))[:subset_size]]

    values = [kernel_distance(rows(a), rows(b), degree=degree) for _ in range(num_subsets)]
    return np.array(values)


def _total(a: np.ndarray, b: np.ndarray, degree: int) -> float:
    size = a.shape[1]
    return sum(float(np.sum((a[i] @ b.T / size + 1) ** degree)) for i in blocks(len(a), len(b)))


def _off_diagonal(x: np.ndarray, degree: int) -> float:
    """The mean over pairs of different rows."""
    diagonal = np.sum((np.sum(x**2, 1) / x.shape[1] + 1) ** degree)
    return float(_total(x, x, degree) - diagonal) / (len(x) * (len(x) - 1))
