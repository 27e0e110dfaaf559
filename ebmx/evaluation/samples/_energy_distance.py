"""Distances of two sets that are metrics: energy distance and sliced Wasserstein distance."""

import jax
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._arguments import guarded
from ..._types import Key
from ._pairwise import blocks, squared_distances, two_sets


@guarded
def energy_distance(a: ArrayLike, b: ArrayLike) -> float:
    """`2 E|X - Y| - E|X - X'| - E|Y - Y'|`, in units of the features; zero for equal sets only.

    All pairs count, those of an example with itself too, so that it is never negative; for sets
    from one distribution it is about the mean distance times `1/num_a + 1/num_b`.

    Székely and Rizzo (2013), "Energy statistics: a class of statistics based on distances".

    Args:
        a: features `(num, features)`, at least one row each.
        b: features `(num, features)`, at least one row each.

    Returns:
        The distance, in units of the features.

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.
    """
    a, b = two_sets(a, b, 1)
    return 2 * _mean_distance(a, b) - _mean_distance(a, a) - _mean_distance(b, b)


@guarded
def sliced_wasserstein(
    a: ArrayLike, b: ArrayLike, *, num_projections: int = 256, order: float = 2.0, key: Key
) -> float:
    """The Wasserstein distance on lines, over random directions.

    `(E_u W_p(u·X, u·Y)^p)^(1/p)` for directions `u` uniform on the sphere. In one dimension it is
    the Wasserstein distance.

    Bonneel et al. (2015), "Sliced and Radon Wasserstein barycenters of measures".

    Args:
        a: features `(num, features)`, at least one row each; the numbers may differ.
        b: features `(num, features)`, at least one row each; the numbers may differ.
        num_projections: how many directions.
        order: `p`, at least 1.
        key: a key for the directions.

    Returns:
        The distance, in units of the features.

    Raises:
        ValueError: if the numbers of features differ, rows are missing, values are not finite or
            `order` is below 1.
    """
    a, b = two_sets(a, b, 1)
    _checks.at_least("num_projections", num_projections, 1)
    _checks.require(1 <= order < np.inf, "order", order, "give a finite number of at least 1")
    normals = np.asarray(jax.random.normal(key, (num_projections, a.shape[1])), np.float64)
    directions = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    # between these shares both quantile functions are constant
    ends = np.union1d(np.arange(1, len(a) + 1) / len(a), np.arange(1, len(b) + 1) / len(b))
    widths = np.diff(ends, prepend=0.0)
    middles = ends - widths / 2
    rows_a, rows_b = (np.minimum((middles * len(x)).astype(int), len(x) - 1) for x in (a, b))
    total = 0.0
    for i in blocks(num_projections, len(widths)):
        on_a, on_b = (np.sort(x @ directions[i].T, axis=0) for x in (a, b))
        total += float(np.sum(widths @ np.abs(on_a[rows_a] - on_b[rows_b]) ** order))
    return (total / num_projections) ** (1 / order)


def _mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    total = sum(float(np.sum(np.sqrt(squared_distances(a[i], b)))) for i in blocks(len(a), len(b)))
    return total / (len(a) * len(b))
