"""Two distances that are zero for equal distributions only: energy and sliced Wasserstein."""

import jax
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key
from ._pairwise import blocks, squared_distances, two_sets


def energy_distance(samples: ArrayLike, data: ArrayLike) -> float:
    """The squared energy distance, `2 E|X - Y| - E|X - X'| - E|Y - Y'|`, in units of the features.

    `scipy.stats.energy_distance` is its square root. The means are over all pairs, also of a row
    with itself, so it is never negative. For two sets from one distribution its expectation is the
    mean distance times `1 / num_samples + 1 / num_data`.

    Székely and Rizzo (2013), "Energy statistics: a class of statistics based on distances".

    Args:
        samples: features `(num_samples, features)`, at least one row.
        data: features `(num_data, features)`, at least one row.

    Returns:
        The squared distance, in units of the features.

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.
    """
    samples, data = two_sets(samples, data, 1)
    within = _mean_distance(samples, samples) + _mean_distance(data, data)
    return 2 * _mean_distance(samples, data) - within


def sliced_wasserstein(
    samples: ArrayLike,
    data: ArrayLike,
    *,
    num_projections: int = 256,
    order: float = 2.0,
    key: Key,
) -> float:
    """The Wasserstein distance of projections onto lines, averaged over random directions.

    `(E_u W_p(u·X, u·Y)^p)^(1/p)` for directions `u` uniform on the sphere. In one dimension it is
    the Wasserstein distance.

    Bonneel et al. (2015), "Sliced and Radon Wasserstein barycenters of measures".

    Args:
        samples: features `(num, features)`, at least one row.
        data: features `(num, features)`, at least one row; the numbers may differ.
        num_projections: number of directions.
        order: `p`, at least 1.
        key: a key for the directions.

    Returns:
        The distance (not squared), in units of the features.

    Raises:
        ValueError: if the numbers of features differ, rows are missing, values are not finite or
            `order` is below 1.
    """
    samples, data = two_sets(samples, data, 1)
    _checks.at_least("num_projections", num_projections, 1)
    _checks.require(1 <= order < np.inf, "order", order, "give a finite number of at least 1")
    normals = np.asarray(jax.random.normal(key, (num_projections, samples.shape[1])), np.float64)
    directions = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    # both quantile functions are constant between two neighbours of these probabilities
    sizes = len(samples), len(data)
    ends = np.union1d(*(np.arange(1, num + 1) / num for num in sizes))
    widths = np.diff(ends, prepend=0.0)
    middles = ends - widths / 2
    rows = [np.minimum((middles * num).astype(int), num - 1) for num in sizes]
    total = 0.0
    for i in blocks(num_projections, len(widths)):
        a, b = (
            np.sort(x @ directions[i].T, axis=0)[row]
            for x, row in zip((samples, data), rows, strict=True)
        )
        total += float(np.sum(widths @ np.abs(a - b) ** order))
    return (total / num_projections) ** (1 / order)


def _mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    total = sum(float(np.sum(np.sqrt(squared_distances(a[i], b)))) for i in blocks(len(a), len(b)))
    return total / (len(a) * len(b))
