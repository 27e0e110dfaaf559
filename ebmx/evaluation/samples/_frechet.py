"""The Fréchet distance of two sets of features."""

import numpy as np
from jaxtyping import ArrayLike

from ... import _warnings
from ._covariance import ledoit_wolf
from ._pairwise import two_sets


def frechet_distance(samples: ArrayLike, data: ArrayLike) -> float:
    """The squared Fréchet distance of Gaussians fitted to two sets of features.

    `|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`, in squared units of the features. It depends on the
    numbers of rows, so compare sets of equal sizes only, with many more rows than features.

    Heusel et al. (2017), "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium".

    Args:
        samples: features `(num, features)`, at least two rows.
        data: features `(num, features)`, at least two rows.

    Returns:
        The squared distance, in squared units of the features.

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.

    Warns:
        UserWarning: if a set does not have more rows than features, so that its covariance is
            singular. The covariance is then shrunk towards a multiple of the identity, as by
            `fit_gaussian`.

    Examples:
        >>> import numpy as np
        >>> from ebmx.evaluation import frechet_distance
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2)) + [3, 0]
        >>> round(frechet_distance(x, y))  # the squared distance of the means: 9
        9
    """
    samples, data = two_sets(samples, data)
    for name, features in (("samples", samples), ("data", data)):
        num, size = features.shape
        if num <= size:
            text = (
                f"{num} examples ({name}) are few for a Fréchet distance of {size} features, whose "
                f"covariance was shrunk towards a multiple of the identity: give more than {size}, "
                "or read kernel_distance, which needs no covariance."
            )
            _warnings.warn(text, UserWarning)
    return fitted_distance(samples, data)


def fitted_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance of checked features, without a warning."""
    cov_a, cov_b = _covariance(a), _covariance(b)
    # tr (Σ₁Σ₂)^½ by symmetric matrices: twice as fast as `scipy.linalg.sqrtm` of the product
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0))
    mean = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return float(mean + np.trace(cov_a) + np.trace(cov_b) - 2 * roots.sum())


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
