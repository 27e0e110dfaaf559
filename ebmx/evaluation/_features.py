"""What functions of two sets of features share."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import ArrayLike

from .. import _checks

_CHUNK = 2**24  # numbers in one block of a matrix of pairs


def two_sets(
    a: ArrayLike, b: ArrayLike, least: int = 2, names: tuple[str, str] = ("a", "b")
) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features `(num, features)` in float64, at least so many rows each."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    for name, features in zip(names, (first, second), strict=True):
        ok = features.ndim == 2 and len(features) >= least and features.shape[1] > 0
        fix = f"give (num, features) with num ≥ {least}; flatten images"
        _checks.require(ok, f"{name}.shape", features.shape, fix)
        _checks.finite(features, name)
    ok = first.shape[1] == second.shape[1]
    fix = f"give {first.shape[1]} features, as `{names[0]}` has"
    _checks.require(ok, f"{names[1]}.shape", second.shape, fix)
    return first, second


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows, so that a block of pairs with all columns fits in memory."""
    step = max(1, _CHUNK // columns)
    return (slice(i, min(i + step, rows)) for i in range(0, rows, step))


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`|aᵢ - bⱼ|²`, `(len(a), len(b))`; zero, not a little more, for rows that are equal."""
    product = a @ b.T
    squares = np.sum(a**2, 1)[:, None] + np.sum(b**2, 1)[None] - 2 * product
    # what is lost in the difference of large numbers
    noise = 1e-12 * (np.sum(a**2, 1)[:, None] + np.sum(b**2, 1)[None])
    return np.where(squares > noise, squares, 0.0)
