"""How far two sets of examples lie apart."""

import numpy as np

from ... import _warnings
from ..._arguments import guarded
from ._covariance import ledoit_wolf
from ._pairwise import two_sets


@guarded
def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance of Gaussians fitted to two sets of features.

    `|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`, in squared units of the features.

    Heusel et al. (2017), "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium".

    Args:
        a: features `(num, features)`, at least two rows each. Distances of sets of different sizes
            are not comparable, those of fewer rows than features say little.
        b: features `(num, features)`, at least two rows each. Distances of sets of different sizes
            are not comparable, those of fewer rows than features say little.

    Returns:
        The squared distance, in squared units of the features.

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.

    Warns:
        UserWarning: if a set has no more rows than features, so that its covariance is singular; it
            is then shrunk towards a sphere, as by `fit_gaussian`.
    """
    a, b = two_sets(a, b)
    for name, features in (("a", a), ("b", b)):
        num, size = features.shape
        if num <= size:
            text = (
                f"{name} has {num} rows of {size} features, so that its covariance is singular and "
                f"was shrunk towards a sphere: give more than {size} rows, or use kernel_distance, "
                "which needs no covariance."
            )
            _warnings.warn(text, UserWarning)
    return fitted_distance(a, b)


def fitted_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The distance of features that are known to fit, without a warning."""
    cov_a, cov_b = _covariance(a), _covariance(b)
    root_a = _root(cov_a)
    cross = np.trace(_root(root_a @ cov_b @ root_a))
    mean = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return float(mean + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def _covariance(x: np.ndarray) -> np.ndarray:
    """The sample covariance; shrunk, if it is singular by the number of rows."""
    num, size = x.shape
    covariance = np.atleast_2d(np.cov(x, rowvar=False))
    if num > size:
        return covariance
    centred, scale = x - x.mean(0), np.trace(covariance) / size
    sample = centred.T @ centred / num
    shrinkage = ledoit_wolf(centred, sample, np.trace(sample) / size)
    return (1 - shrinkage) * covariance + shrinkage * scale * np.eye(size)


def _root(matrix: np.ndarray) -> np.ndarray:
    """The square root of a symmetric positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
