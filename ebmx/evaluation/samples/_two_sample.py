"""Whether a classifier can distinguish samples from data."""

from typing import Any

import jax
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key
from ._pairwise import two_sets
from ._scikit_learn import scikit_learn

_RIDGE = 1e-2  # weight of half the squared coefficients beside the mean log loss


def two_sample_auc(
    samples: ArrayLike,
    data: ArrayLike,
    *,
    classifier: Any = None,
    num_folds: int = 5,
    key: Key,
) -> float:
    """The area under the ROC curve of a classifier of samples against data, on held-out rows.

    0.5 is chance, 1 means that every row is classified correctly. Each fold is scored by a
    classifier that was fitted to the other folds, and the areas are averaged over the folds.

    Lopez-Paz and Oquab (2017), "Revisiting classifier two-sample tests".

    Args:
        samples: features `(num, features)`, at least `num_folds` rows. The test is most powerful
            if both sets have about the same size.
        data: features `(num, features)`, at least `num_folds` rows.
        classifier: an estimator of scikit-learn with `decision_function` or `predict_proba`, such
            as `RandomForestClassifier()`. By default a logistic regression of standardised
            features with an L2 penalty.
        num_folds: number of folds of the cross-validation, at least 2.
        key: a key for the assignment of rows to folds.

    Returns:
        An area in [0, 1].

    Raises:
        ValueError: if the numbers of features differ, rows are missing or values are not finite.
        ImportError: with the pip line, if scikit-learn is missing.
    """
    _checks.at_least("num_folds", num_folds, 2)
    fix = "give an estimator of scikit-learn, such as RandomForestClassifier()"
    ok = classifier is None or hasattr(classifier, "fit")
    _checks.require(ok, "classifier", type(classifier).__name__, fix)
    samples, data = two_sets(samples, data, num_folds)
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))
    folds = [rng.permutation(len(x)) % num_folds for x in (samples, data)]
    x, is_data = np.concatenate([samples, data]), np.repeat([0, 1], [len(samples), len(data)])
    if classifier is None:
        classifier = _logistic_regression(num_rows=len(x) * (num_folds - 1) / num_folds)
    selection = scikit_learn("model_selection")
    split = selection.PredefinedSplit(np.concatenate(folds))
    options = {"cv": split, "scoring": "roc_auc", "error_score": "raise"}
    return float(np.mean(selection.cross_val_score(classifier, x, is_data, **options)))


def _logistic_regression(num_rows: float) -> Any:
    scaler = scikit_learn("preprocessing").StandardScaler()
    options = {"C": 1 / (_RIDGE * num_rows), "solver": "newton-cholesky"}
    model = scikit_learn("linear_model").LogisticRegression(**options)
    return scikit_learn("pipeline").make_pipeline(scaler, model)
