"""Precision and recall of samples, and what lies nearest to them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._arguments import guarded
from ._pairwise import blocks, squared_distances, two_sets


class PrecisionRecall(NamedTuple):
    """What `precision_recall` finds."""

    precision: float
    """The share of the generated examples that lie on the manifold of the real ones: quality."""
    recall: float
    """The share of the real examples that lie on the manifold of the generated ones: coverage."""


@guarded
def precision_recall(real: ArrayLike, fake: ArrayLike, *, k: int = 3) -> PrecisionRecall:
    """The shares of each set that lie on the manifold of the other one.

    The manifold of a set is the union of balls around its examples that reach to the `k`-th nearest
    other one of the set.

    Kynkäänniemi et al. (2019), "Improved precision and recall metric for assessing generative
    models". Both grow with the number of examples: compare sets of equal sizes.

    Args:
        real: features `(num, features)`, more than `k` rows each.
        fake: features `(num, features)`, more than `k` rows each.
        k: which neighbour a ball reaches to.

    Returns:
        Both shares, in [0, 1].

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.
    """
    _checks.at_least("k", k, 1)
    real, fake = two_sets(real, fake, k + 1, ("real", "fake"))
    return PrecisionRecall(_covered(fake, real, k), _covered(real, fake, k))


@guarded
def nearest_distances(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """The distance of each row of `a` to the nearest row of `b`, `(len(a),)`.

    Generated examples that repeat those of training are much nearer to them than unseen real ones.

    Args:
        a: features `(num, features)`, at least one row each.
        b: features `(num, features)`, at least one row each.

    Returns:
        Distances `(len(a),)`, in units of the features.

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.
    """
    a, b = two_sets(a, b, 1)
    return np.sqrt(kth_squared(a, b, 1))


def kth_squared(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    """The squared distance of each row of `a` to the `k`-th nearest row of `b`."""
    # copies: a column alone would keep its whole block in memory
    parts = [
        np.partition(squared_distances(a[i], b), k - 1, axis=1)[:, k - 1].copy()
        for i in blocks(len(a), len(b))
    ]
    return np.concatenate(parts)


def _covered(a: np.ndarray, b: np.ndarray, k: int) -> float:
    """The share of `a` in the balls of `b`."""
    # each row is the nearest to itself
    radii = kth_squared(b, b, k + 1)
    inside = [
        np.any(squared_distances(a[i], b) <= radii[None], axis=1) for i in blocks(len(a), len(b))
    ]
    return float(np.mean(np.concatenate(inside)))
