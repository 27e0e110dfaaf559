"""How far two sets of examples lie apart."""

import numpy as np

from .. import _checks
from .._arguments import guarded


@guarded
def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance of Gaussians fitted to two sets of features.

    `|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`, in squared units of the features.

    Heusel et al. (2017), "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium".

    **Arguments:**

    - `a`, `b`: features `(num, features)`, at least two rows each.

    **Raises:**

    `ValueError` if the numbers of features differ, rows are missing or values are not finite.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    for name, features in (("a", a), ("b", b)):
        ok = features.ndim == 2 and len(features) >= 2
        _checks.require(ok, f"{name}.shape", features.shape, "give (num, features) with num ≥ 2")
        _checks.finite(features, name)
    ok = a.shape[1] == b.shape[1]
    _checks.require(ok, "b.shape", b.shape, f"give {a.shape[1]} features, as `a` has")
    cov_a = np.atleast_2d(np.cov(a, rowvar=False))
    cov_b = np.atleast_2d(np.cov(b, rowvar=False))
    root_a = _root(cov_a)
    cross = np.trace(_root(root_a @ cov_b @ root_a))
    mean = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return float(mean + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def _root(matrix: np.ndarray) -> np.ndarray:
    """The square root of a symmetric positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
