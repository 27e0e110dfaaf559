"""The two-sample AUC: its default classifier, its folds and its value for known densities."""

import sys

import jax
import numpy as np
import pytest
import scipy.stats
import sklearn.base
import sklearn.ensemble
import sklearn.linear_model
import sklearn.metrics
import sklearn.neighbors
import sklearn.preprocessing

from ebmx.evaluation import nearest_distances, out_of_distribution, two_sample_auc

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(40, 3)), 1.5 * RNG.normal(size=(30, 3)) + 0.5


class Recorder(sklearn.base.ClassifierMixin, sklearn.base.BaseEstimator):
    """A classifier by the first feature that records what it is fitted to and what it scores."""

    fits, scored = [], []

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        self.fits.append((x, y))
        return self

    def decision_function(self, x):
        self.scored.append(x)
        return x[:, 0]


@pytest.fixture
def recorder():
    Recorder.fits, Recorder.scored = [], []
    return Recorder()


def sort(rows):
    return rows[np.lexsort(rows.T)]


def parts(x, other):
    """The rows of `x` that are among those of `other`."""
    return x[(x[:, None] == other[None]).all(2).any(1)]


@pytest.mark.parametrize("num_folds", [2, 4])
def test_each_row_is_scored_once_by_a_fit_to_the_other_folds(recorder, num_folds):
    found = two_sample_auc(A, B, classifier=recorder, num_folds=num_folds, key=KEY)
    assert len(recorder.fits) == len(recorder.scored) == num_folds
    areas, every = [], np.concatenate([A, B])
    for (x, labels), scored in zip(recorder.fits, recorder.scored, strict=True):
        low, high = parts(scored, A), parts(scored, B)
        assert len(low) in (40 // num_folds, -(-40 // num_folds))
        assert len(high) in (30 // num_folds, -(-30 // num_folds))
        # all other rows are fitted, with their labels
        np.testing.assert_array_equal(sort(np.concatenate([x, scored])), sort(every))
        np.testing.assert_array_equal(sort(x[labels == 0]), sort(parts(x, A)))
        truth = np.repeat([0, 1], [len(low), len(high)])
        areas.append(sklearn.metrics.roc_auc_score(truth, np.concatenate([low, high])[:, 0]))
    np.testing.assert_array_equal(sort(np.concatenate(recorder.scored)), sort(every))
    assert found == pytest.approx(np.mean(areas))


def test_folds_are_chosen_at_random_by_the_key_and_for_each_set(recorder):
    rows = np.stack([np.arange(40.0), np.ones(40)], 1)
    for seed in (0, 0, 1):
        two_sample_auc(rows, -rows, classifier=recorder, num_folds=5, key=jax.random.key(seed))
    first, same, other = recorder.scored[0], recorder.scored[5], recorder.scored[10]
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    samples, data = np.sort(first[first[:, 0] > 0][:, 0]), np.sort(-first[first[:, 0] < 0][:, 0])
    assert not np.array_equal(samples, np.arange(0, 40, 5))
    assert not np.array_equal(samples, data)


@pytest.mark.parametrize("num_features", [3, 40])
def test_the_default_is_a_penalised_logistic_regression_of_standardised_features(
    recorder, num_features
):
    # with about as many features as rows, the area depends on the size of the penalty
    a, b = A, B
    if num_features > 3:
        noise = np.random.default_rng(2).normal(size=(70, num_features - 3))
        a, b = np.hstack([A, noise[:40]]), np.hstack([B, noise[40:]])
    scale = np.tile([1e-6, 1e3, -2.0], 14)[:num_features]
    found = two_sample_auc(a * scale, b * scale, num_folds=5, key=KEY)
    two_sample_auc(a * scale, b * scale, classifier=recorder, num_folds=5, key=KEY)
    areas = []
    for (x, labels), scored in zip(recorder.fits, recorder.scored, strict=True):
        scaler = sklearn.preprocessing.StandardScaler().fit(x)
        # the mean log loss plus half of 0.01 |w|²
        model = sklearn.linear_model.LogisticRegression(C=100 / len(x), tol=1e-10)
        model.fit(scaler.transform(x), labels)
        truth = ~(scored[:, None] == (a * scale)[None]).all(2).any(1)
        scores = model.decision_function(scaler.transform(scored))
        areas.append(sklearn.metrics.roc_auc_score(truth, scores))
    assert found == pytest.approx(np.mean(areas), abs=1e-12)


NEIGHBOURS = sklearn.neighbors.KNeighborsClassifier(5)


@pytest.mark.parametrize("classifier", [None, NEIGHBOURS], ids=["default", "neighbours"])
def test_the_area_of_two_samples(classifier):
    rng = np.random.default_rng(3)
    options = {"classifier": classifier, "key": KEY}
    a, b = rng.normal(size=(2, 600, 2))
    assert two_sample_auc(a, b, **options) == pytest.approx(0.5, abs=0.06)
    assert two_sample_auc(a, b + 20, **options) == 1.0
    # two Gaussians at distance δ have Φ(δ / √2)
    want = scipy.stats.norm.cdf(1 / np.sqrt(2))
    found = two_sample_auc(a, b + np.array([1.0, 0.0]), **options)
    assert found == pytest.approx(want, abs=0.08)


def test_rows_are_scored_by_classifiers_that_have_not_seen_them():
    # the nearest row of a row that was seen is itself
    a, b = np.random.default_rng(4).normal(size=(2, 200, 5))
    nearest = sklearn.neighbors.KNeighborsClassifier(1)
    assert two_sample_auc(a, b, classifier=nearest, key=KEY) == pytest.approx(0.5, abs=0.12)


def test_any_classifier_of_scikit_learn_is_taken_and_left_as_it_is():
    forest = sklearn.ensemble.RandomForestClassifier(50, random_state=0)
    a, b = np.random.default_rng(5).normal(size=(2, 300, 2))
    # equal means, other variances: no line separates these
    assert two_sample_auc(a, 3 * b, key=KEY) < 0.6
    assert two_sample_auc(a, 3 * b, classifier=forest, key=KEY) > 0.7
    assert not hasattr(forest, "classes_")


def test_a_constant_feature_and_separated_sets_give_no_warning():
    x = np.concatenate([A, np.full((40, 1), 1e6)], 1)
    assert two_sample_auc(x, x + np.array([100.0, 0, 0, 0]), key=KEY) == 1.0


BAD = {
    "folds": (lambda: two_sample_auc(A, B[:4], key=KEY), r"data\.shape=\(4, 3\): .*num ≥ 5"),
    "fold": (lambda: two_sample_auc(A, B, num_folds=1, key=KEY), "num_folds=1"),
    "classifier": (lambda: two_sample_auc(A, B, classifier=len, key=KEY), "classifier=.*estimator"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()


def test_without_scikit_learn_the_functions_say_what_to_install(monkeypatch):
    for name in ("metrics", "neighbors", "model_selection", "preprocessing"):
        monkeypatch.setitem(sys.modules, f"sklearn.{name}", None)
    for call in (
        lambda: two_sample_auc(A, B, key=KEY),
        lambda: nearest_distances(A, B),
        lambda: out_of_distribution([1.0], [2.0]),
    ):
        with pytest.raises(ImportError, match=r"scikit-learn: pip install 'ebmx\[metrics\]'"):
            call()
