"""Exact densities fitted to examples, as the start of annealing."""

import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ...energies import Categorical, Gaussian
from ...energies.exact._bernoulli import Bernoulli
from ..samples._covariance import ledoit_wolf


def fit_bernoulli(x: ArrayLike) -> Bernoulli:
    """Independent bits with the means of examples, after adding one 0 and one 1 to each bit.

    Args:
        x: examples `(num, *shape)` in [0, 1].

    Returns:
        A base of bits, with exact `log Z` and exact samples.

    Raises:
        ValueError: if a number is outside [0, 1] or there is no example.
    """
    x = np.asarray(x, np.float64)
    _checks.require(x.ndim > 1 and len(x) > 0, "x.shape", x.shape, "give (num, *shape)")
    ok = bool(np.all((x >= 0) & (x <= 1)))
    _checks.require(ok, "x", f"{x.min()} to {x.max()}", "give numbers in [0, 1]")
    mean = (x.sum(0) + 1) / (len(x) + 2)
    return Bernoulli(np.log(mean) - np.log1p(-mean))


def fit_categorical(x: ArrayLike) -> Categorical:
    """Independent categories with the frequencies of examples, after adding one of each.

    Args:
        x: examples `(num, *sites, num_categories)`, one-hot along the last axis, or probabilities.

    Returns:
        A base of categories, with exact `log Z` and exact samples.

    Raises:
        ValueError: if a number is outside [0, 1], the last axis does not sum to 1, or there is no
            example.
    """
    x = np.asarray(x, np.float64)
    fix = "give (num, *sites, num_categories) with at least two categories"
    ok = x.ndim > 1 and len(x) > 0 and x.shape[-1] > 1
    _checks.require(ok, "x.shape", x.shape, fix)
    ok = bool(np.all((x >= 0) & (x <= 1))) and bool(np.allclose(x.sum(-1), 1, atol=1e-4))
    fix = "give one-hot categories along the last axis"
    _checks.require(ok, "x", f"{x.min()} to {x.max()}", fix)
    return Categorical(np.log((x.sum(0) + 1) / (len(x) + x.shape[-1])))


def fit_gaussian(x: ArrayLike, *, shrinkage: float | None = None) -> Gaussian:
    """The Gaussian with the mean and the shrunk covariance of examples.

    `Σ = (1 - s) S + s tr(S) / d · I`, which is positive definite also with fewer examples than
    coordinates. By default `s` is that of Ledoit and Wolf (2004), "A well-conditioned estimator for
    large-dimensional covariance matrices", and 1 for two examples, for which it is not defined.

    Args:
        x: examples `(num, *shape)`, at least two.
        shrinkage: `s`, in [0, 1].

    Returns:
        A `Gaussian`, with exact `log Z` and exact samples.

    Raises:
        ValueError: if there are fewer than two examples, they are not finite or all equal, or the
            covariance is singular for this `shrinkage`.
    """
    x = np.asarray(x, np.float64)
    fix = "give at least two examples, (num, *shape)"
    _checks.require(x.ndim > 1 and len(x) > 1, "x.shape", x.shape, fix)
    _checks.finite(x, "x")
    mean = x.mean(0)
    centred = (x - mean).reshape(len(x), -1)
    sample = centred.T @ centred / len(x)
    scale = np.trace(sample) / len(sample)
    _checks.require(scale > 0, "x", "constant", "give examples that differ")
    if shrinkage is None:
        shrinkage = ledoit_wolf(centred, sample, scale)
        # the estimate is 0 for two examples, and for a multiple of the identity, where any will do
        shrinkage = 1.0 if shrinkage < 1e-9 else shrinkage
    _checks.probability("shrinkage", shrinkage)
    covariance = (1 - shrinkage) * sample + shrinkage * scale * np.eye(len(sample))
    return Gaussian(mean, covariance)
