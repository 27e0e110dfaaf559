"""Precision and recall of samples, and distances to the nearest neighbour."""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ._pairwise import blocks, squared_distances, two_sets
from ._scikit_learn import scikit_learn


class PrecisionRecall(NamedTuple):
    """The result of `precision_recall`: quality, and coverage."""

    precision: float
    recall: float


def precision_recall(
    samples: ArrayLike, data: ArrayLike, *, num_neighbours: int = 3
) -> PrecisionRecall:
    """The fraction of each set that lies on the manifold of the other one.

    The manifold of a set is the union of balls around its rows. The radius of a ball is the
    distance to the nearest neighbour number `num_neighbours` within the set.

    Kynkäänniemi et al. (2019), "Improved precision and recall metric for assessing generative
    models". Both numbers grow with the number of rows: compare sets of equal sizes.

    Args:
        samples: features `(num, features)`, more than `num_neighbours` rows.
        data: features `(num, features)`, more than `num_neighbours` rows.
        num_neighbours: which neighbour defines the radius of a ball.

    Returns:
        A named tuple `(precision, recall)` of two fractions in [0, 1]: `precision` of the samples
        lie on the manifold of the data, `recall` of the data on that of the samples.

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.
        ImportError: with the pip line, if scikit-learn is missing.
    """
    _checks.at_least("num_neighbours", num_neighbours, 1)
    samples, data = two_sets(samples, data, num_neighbours + 1)
    precision, recall = (
        _covered(x, other, num_neighbours) for x, other in ((samples, data), (data, samples))
    )
    return PrecisionRecall(precision, recall)


def nearest_distances(samples: ArrayLike, data: ArrayLike) -> np.ndarray:
    """The distance of each sample to the nearest row of the data, `(num_samples,)`.

    Samples that copy training examples are much closer to them than held-out data are.

    Args:
        samples: features `(num_samples, features)`, at least one row.
        data: features `(num, features)`, at least one row.

    Returns:
        Distances `(num_samples,)`, in units of the features.

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.
        ImportError: with the pip line, if scikit-learn is missing.
    """
    samples, data = two_sets(samples, data, 1)
    return np.sqrt(_squared_to_neighbour(samples, data, 1))


def _squared_to_neighbour(a: np.ndarray, b: np.ndarray, number: int) -> np.ndarray:
    """The squared distance of each row of `a` to its nearest neighbour of this number in `b`."""
    neighbours = scikit_learn("neighbors").NearestNeighbors(n_neighbors=number).fit(b)
    nearest = neighbours.kneighbors(a, return_distance=False)[:, number - 1]
    # the distances of scikit-learn are not exactly 0 between equal rows
    return np.sum((a - b[nearest]) ** 2, 1)


def _covered(a: np.ndarray, b: np.ndarray, num_neighbours: int) -> float:
    """The fraction of `a` in the balls of `b`."""
    # the first neighbour of a row is the row itself
    squared_radii = _squared_to_neighbour(b, b, num_neighbours + 1)
    inside = [
        np.any(squared_distances(a[i], b) <= squared_radii, axis=1) for i in blocks(len(a), len(b))
    ]
    return float(np.mean(np.concatenate(inside)))
