"""Whether a classifier can tell two sets of examples apart."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._arguments import guarded
from ..._types import Key
from ._out_of_distribution import auroc
from ._pairwise import blocks, squared_distances, two_sets

Score = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray], Score]


@guarded
@dataclasses.dataclass(frozen=True)
class LogisticRegression:
    """A linear classifier of standardised features, fitted by Newton's method.

    It minimises the mean log loss plus `ridge / 2 · |w|²` for features of mean 0 and variance 1;
    the intercept is free.

    Args:
        ridge: the weight of the squared coefficients, positive.
        num_steps: how many steps of Newton's method.

    Raises:
        ValueError: if `ridge` is not positive.
    """

    ridge: float = 1e-2
    num_steps: int = 20

    def __post_init__(self):
        _checks.positive("ridge", self.ridge)
        _checks.at_least("num_steps", self.num_steps, 1)

    def __call__(self, x: np.ndarray, labels: np.ndarray) -> Score:
        """Fit to features `(num, features)` and labels of 0 and 1; a function that scores."""
        mean, scale = x.mean(0), x.std(0)
        # a feature that is constant here says nothing
        inverse = np.where(scale > 1e-9 * (np.abs(mean) + 1), 1 / np.maximum(scale, 1e-300), 0.0)

        def design(x: np.ndarray) -> np.ndarray:
            return np.concatenate([(x - mean) * inverse, np.ones((len(x), 1))], 1)

        weights = _newton(design(x), labels, self.ridge, self.num_steps)
        return lambda x: design(x) @ weights


@guarded
@dataclasses.dataclass(frozen=True)
class NearestNeighbours:
    """The share of ones among the `k` nearest rows, by the distance of the features as they are.

    Args:
        k: how many rows, at least 1.

    Raises:
        ValueError: if `k` is below 1, or above the number of rows.
    """

    k: int = 10

    def __post_init__(self):
        _checks.at_least("k", self.k, 1)

    def __call__(self, x: np.ndarray, labels: np.ndarray) -> Score:
        """Keep features `(num, features)` and labels of zeros and ones; a function that scores."""
        fix = f"give at most {len(x)}, as many as there are to compare with"
        _checks.require(self.k <= len(x), "k", self.k, fix)

        def share(rows: np.ndarray) -> np.ndarray:
            nearest = np.argpartition(squared_distances(rows, x), self.k - 1, axis=1)[:, : self.k]
            return labels[nearest].mean(1)

        return lambda new: np.concatenate([share(new[i]) for i in blocks(len(new), len(x))])


@guarded
def two_sample_auc(
    a: ArrayLike,
    b: ArrayLike,
    *,
    classifier: Fit | None = None,
    num_folds: int = 5,
    key: Key,
) -> float:
    """The area under the ROC curve of a classifier that tells `a` from `b`, on rows held out.

    ½ if it cannot tell them apart, 1 if each row gives itself away. Each fold is judged by a
    classifier that has not seen it, and the areas of the folds are averaged; below ½ is chance.

    Lopez-Paz and Oquab (2017), "Revisiting classifier two-sample tests".

    Args:
        a: features `(num, features)`, at least `num_folds` rows each. Sets of about equal sizes are
            told apart best.
        b: features `(num, features)`, at least `num_folds` rows each. Sets of about equal sizes are
            told apart best.
        classifier: a function of features and labels (0 for `a`, 1 for `b`) that returns a function
            from features to scores: `LogisticRegression()`, if not given, `NearestNeighbours(k)` or
            one's own.
        num_folds: into how many parts the rows are dealt, at least 2.
        key: a key for the dealing.

    Returns:
        An area in [0, 1].

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.
    """
    _checks.at_least("num_folds", num_folds, 2)
    a, b = two_sets(a, b, num_folds)
    fit = LogisticRegression() if classifier is None else classifier
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))
    fold_a, fold_b = (rng.permutation(len(x)) % num_folds for x in (a, b))
    areas = []
    for fold in range(num_folds):
        known = np.concatenate([a[fold_a != fold], b[fold_b != fold]])
        labels = np.repeat([0.0, 1.0], [np.sum(fold_a != fold), np.sum(fold_b != fold)])
        score = fit(known, labels)
        areas.append(auroc(score(a[fold_a == fold]), score(b[fold_b == fold])))
    return float(np.mean(areas))


def _newton(x: np.ndarray, labels: np.ndarray, ridge: float, num_steps: int) -> np.ndarray:
    """Weights that minimise the mean log loss plus the penalty; the last one is free."""
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 0.0

    def loss(weights: np.ndarray) -> float:
        logits = x @ weights
        return float(
            np.mean(np.logaddexp(0, logits) - labels * logits) + 0.5 * penalty @ weights**2
        )

    weights = np.zeros(x.shape[1])
    for _ in range(num_steps):
        p = 0.5 * (1 + np.tanh(0.5 * (x @ weights)))
        gradient = x.T @ (p - labels) / len(x) + penalty * weights
        hessian = (x.T * (p * (1 - p))) @ x / len(x) + np.diag(penalty + 1e-12)
        step = np.linalg.solve(hessian, gradient)
        share = 1.0
        while share > 1e-6 and loss(weights - share * step) > loss(weights):
            share /= 2
        weights = weights - share * step
    return weights
