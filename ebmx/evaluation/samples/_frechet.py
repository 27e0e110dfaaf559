"""The Fréchet distance of two sets of features, and its ratio to that of training data."""

import numpy as np
from jaxtyping import ArrayLike

from ... import _checks, _warnings
from ._covariance import ledoit_wolf
from ._pairwise import two_sets


def frechet_distance(samples: ArrayLike, data: ArrayLike) -> float:
    """The squared Fréchet distance of Gaussians fitted to two sets of features.

    `|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`, in squared units of the features. It falls with the
    numbers of rows, so compare sets of equal sizes only, with many more rows than features;
    `frechet_ratio` does.

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
    _warn_of_few(samples=samples, data=data)
    return fitted_distance(samples, data)


def frechet_ratio(
    samples: ArrayLike, train: ArrayLike, test: ArrayLike, *, num_sets: int = 16
) -> float:
    """The Fréchet distance of samples from test data, over that of as many training data.

    It is 1 for samples that are as near to the test data as the training data are. Of the larger
    one of `samples` and `train`, sets of as many rows as the smaller one has are drawn, always the
    same, and their distances averaged: 512 of 5,000 training images of digits are 2.6 times as far
    from the test images as all are.

    Args:
        samples: features `(num, features)`, at least two rows.
        train: those of the training data, `(num, features)`, at least two rows.
        test: those of the test data, `(num, features)`, at least two rows.
        num_sets: how many sets are drawn, at least 1.

    Returns:
        The ratio; infinite if the training data are at no distance from the test data.

    Raises:
        ValueError: if the numbers of features differ, rows are missing, values are not finite or
            `num_sets` is below 1.

    Warns:
        UserWarning: as `frechet_distance` does.

    Examples:
        >>> import numpy as np
        >>> from ebmx.evaluation import frechet_ratio
        >>> rng = np.random.default_rng(0)
        >>> samples, train, test = (rng.normal(size=(num, 2)) for num in (4000, 1000, 1000))
        >>> frechet_ratio(samples, train, test) < 2 < frechet_ratio(samples + 1, train, test)
        True
    """
    samples, test = two_sets(samples, test, names=("samples", "test"))
    train, test = two_sets(train, test, names=("train", "test"))
    _checks.at_least("num_sets", num_sets, 1)
    _warn_of_few(samples=samples, train=train, test=test)
    num = min(len(samples), len(train))
    unit = mean_distance(train, test, num, num_sets)
    return mean_distance(samples, test, num, num_sets) / unit if unit > 0 else float("inf")


def mean_distance(x: np.ndarray, data: np.ndarray, num: int, num_sets: int = 16) -> float:
    """The distance of sets of `num` rows of checked features from data, the mean of some."""
    x, data = np.asarray(x, np.float64), np.asarray(data, np.float64)
    if len(x) <= num:
        return fitted_distance(x, data)
    rng = np.random.default_rng(0)
    sets = (rng.choice(x, num, replace=False) for _ in range(num_sets))
    return float(np.mean([fitted_distance(rows, data) for rows in sets]))


def _warn_of_few(**sets: np.ndarray) -> None:
    for name, features in sets.items():
        num, size = features.shape
        if num <= size:
            text = (
                f"{num} examples ({name}) are few for a Fréchet distance of {size} features, whose "
                f"covariance was shrunk towards a multiple of the identity: give more than {size}, "
                "or read kernel_distance, which needs no covariance."
            )
            _warnings.warn(text, UserWarning)


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
