"""The Fréchet distance of two sets of features, and its ratio to that of training data."""

from typing import NamedTuple

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
    warn_of_few(samples=samples, data=data)
    return fitted_distance(samples, data)


def frechet_ratio(
    samples: ArrayLike, train: ArrayLike, test: ArrayLike, *, num_sets: int | None = None
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
        num_sets: how many sets are drawn, at least 1; by default 4,096 over the number of features,
            from 4 to 64. One set may be off by a fifth where the test data are a few hundred.

    Returns:
        The ratio; infinite if the training data, or as many of them, are at no distance from the
        test data.

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
    test, train = two_sets(test, train, names=("test", "train"))
    if num_sets is not None:
        _checks.at_least("num_sets", num_sets, 1)
    warn_of_few(samples=samples, train=train, test=test)
    num = min(len(samples), len(train))
    return ratio_of(*(mean_distance(x, test, num, num_sets) for x in (samples, train)))


def ratio_of(distance: float, unit: float) -> float:
    """A distance over that of the training data; infinite if the latter is 0."""
    return distance / unit if unit > 0 else float("inf")


def mean_distance(x: np.ndarray, data: np.ndarray, num: int, num_sets: int | None = None) -> float:
    """The mean distance to data of random sets of `num` rows of `x`; features are checked."""
    x, data = np.asarray(x, np.float64), np.asarray(data, np.float64)
    if len(x) <= num:
        return fitted_distance(x, data)
    if num_sets is None:
        # distances of many features take longer, and vary less
        num_sets = min(64, max(4, 4096 // x.shape[1]))
    rng, fitted = np.random.default_rng(0), _fit(data)
    sets = (rng.choice(x, num, replace=False) for _ in range(num_sets))
    return float(np.mean([_between(fitted, rows) for rows in sets]))


def warn_of_few(**sets: np.ndarray) -> None:
    """Warn if a set does not have more rows than features."""
    for name, features in sets.items():
        num, size = features.shape
        if num <= size:
            text = (
                f"{num} examples ({name.replace('_', ' ')}) are few for a Fréchet distance of "
                f"{size} features, whose covariance was shrunk towards a multiple of the identity: "
                f"give more than {size}, or read kernel_distance, which needs no covariance."
            )
            _warnings.warn(text, UserWarning)


def fitted_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance of checked features, without a warning."""
    return _between(_fit(a), b)


class _Fit(NamedTuple):
    """A Gaussian fitted to features."""

    mean: np.ndarray
    trace: float
    """The trace of the covariance."""
    root: np.ndarray
    """The symmetric square root of the covariance."""


def _fit(x: np.ndarray) -> _Fit:
    covariance = _covariance(x)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return _Fit(x.mean(0), float(np.trace(covariance)), root)


def _between(fitted: _Fit, x: np.ndarray) -> float:
    """The squared distance from a Gaussian fitted to `x`; 0 if it is no more than rounding."""
    covariance, mean = _covariance(x), x.mean(0)
    # tr (Σ₁Σ₂)^½ by symmetric matrices: twice as fast as `scipy.linalg.sqrtm` of the product
    values = np.linalg.eigvalsh(fitted.root @ covariance @ fitted.root)
    traces = fitted.trace + float(np.trace(covariance))
    apart = float(np.sum((fitted.mean - mean) ** 2))
    spread = traces - 2 * float(np.sqrt(np.maximum(values, 0)).sum())
    apart = apart if apart > 1e-24 * float(np.sum(fitted.mean**2 + mean**2)) else 0.0
    return apart + (spread if spread > 1e-12 * traces else 0.0)


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
