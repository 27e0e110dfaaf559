"""Two-sample classifiers against scikit-learn, and how their areas are made."""

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.linear_model
import sklearn.metrics
import sklearn.neighbors
import sklearn.preprocessing

from ebmx.evaluation import LogisticRegression, NearestNeighbours, two_sample_auc
from ebmx.evaluation.samples import _pairwise as features
from ebmx.evaluation.samples._two_sample import _newton

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(40, 3)), 1.5 * RNG.normal(size=(30, 3)) + 0.5
X, LABELS = np.concatenate([A, B]), np.repeat([0.0, 1.0], [40, 30])


def by_scikit_learn(x, labels, ridge):
    scaled = sklearn.preprocessing.StandardScaler().fit_transform(x)
    options = {"C": 1 / (ridge * len(x)), "tol": 1e-10, "max_iter": 10_000}
    model = sklearn.linear_model.LogisticRegression(**options).fit(scaled, labels)
    return model.decision_function(scaled)


@pytest.mark.parametrize("ridge", [0.05, 1.0, 1e-3])
def test_logistic_regression_is_that_of_scikit_learn(ridge):
    ours = LogisticRegression(ridge=ridge)(X, LABELS)(X)
    np.testing.assert_allclose(ours, by_scikit_learn(X, LABELS, ridge), atol=2e-3)


def test_logistic_regression_of_sets_that_a_line_separates():
    x = np.linspace(-1, 1, 20)[:, None] * np.array([[1.0, -0.5]]) + RNG.normal(size=(20, 2)) / 50
    labels = (x[:, 0] > 0.62).astype(float)
    ours = LogisticRegression(ridge=1e-4, num_steps=50)(x, labels)(x)
    np.testing.assert_allclose(ours, by_scikit_learn(x, labels, 1e-4), rtol=1e-2, atol=0.05)


def test_scores_do_not_depend_on_the_units_of_the_features():
    want = LogisticRegression(0.1)(X, LABELS)(A)
    for scale, shift in ((1e-6, 0.0), (1e-6, 1.0), (1e3, 1e5), (-2.0, 1.0)):
        found = LogisticRegression(0.1)(scale * X + shift, LABELS)(scale * A + shift)
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1e6, -0.1, -1e6 / 3])
def test_a_feature_that_is_constant_says_nothing(value):
    def more(x):
        return np.concatenate([x, np.full((len(x), 1), value)], 1)

    fit = LogisticRegression(0.1)(more(X), LABELS)
    want = LogisticRegression(0.1)(X, LABELS)(A)
    np.testing.assert_allclose(fit(more(A)), want, rtol=1e-6, atol=1e-8)
    # nor does it if it varies afterwards
    np.testing.assert_allclose(fit(more(A) + np.array([0, 0, 0, 9])), want, rtol=1e-6, atol=1e-8)


def test_sets_that_are_far_apart_have_finite_scores():
    # after so many steps all probabilities are exactly zero or one
    x, labels = np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([0.0, 0.0, 1.0, 1.0])
    found = LogisticRegression(ridge=1e-25, num_steps=200)(x, labels)(x)
    assert np.all(np.isfinite(found))
    assert np.all(np.sign(found) == np.sign(x[:, 0]))


def objective(x, labels, weights, ridge):
    logits = x @ weights
    loss = np.mean(np.logaddexp(0, logits) - labels * logits)
    return loss + ridge / 2 * np.sum(weights[:-1] ** 2)


def test_no_step_of_newton_raises_the_loss():
    # rows of heavy tails, for which the seventh full step would nearly double the loss
    rng = np.random.default_rng(5228)
    assert (rng.integers(4, 40), rng.integers(1, 4)) == (9, 3)
    x = np.concatenate([rng.standard_cauchy((9, 3)) * 3, np.ones((9, 1))], 1)
    labels = (rng.uniform(size=9) < rng.uniform(0.05, 0.5)).astype(float)
    steps = [_newton(x, labels, 1e-6, num) for num in range(1, 30)]
    losses = [objective(x, labels, weights, 1e-6) for weights in steps]
    assert np.all(np.diff([np.log(2), *losses]) <= 1e-12)
    # half of a step is tried next, not a small part of it
    assert losses[6] < losses[4] - 0.01


def test_the_penalty_is_part_of_the_loss_that_may_not_rise():
    rng = np.random.default_rng(853)
    assert (rng.integers(4, 30), rng.integers(1, 4)) == (7, 2)
    x = np.concatenate([rng.standard_cauchy((7, 2)) * 3, np.ones((7, 1))], 1)
    labels = (rng.uniform(size=7) < rng.uniform(0.05, 0.5)).astype(float)
    weights = _newton(x, labels, 0.1, 40)
    gradient = x.T @ (scipy.special.expit(x @ weights) - labels) / 7
    np.testing.assert_allclose(gradient[:-1], -0.1 * weights[:-1], atol=1e-6)


@pytest.mark.parametrize("ridge", [1e-2, 1.0])
def test_the_gradient_is_zero_where_newton_ends(ridge):
    x = np.concatenate([X, np.ones((70, 1))], 1)
    weights = _newton(x, LABELS, ridge, 30)
    gradient = x.T @ (scipy.special.expit(x @ weights) - LABELS) / 70
    gradient[:-1] += ridge * weights[:-1]
    np.testing.assert_allclose(gradient, 0, atol=1e-9)
    # a few steps are enough
    np.testing.assert_allclose(_newton(x, LABELS, ridge, 6), weights, atol=1e-5)


def test_nearest_neighbours_are_those_of_scikit_learn(monkeypatch):
    for k in (1, 2, 3, 5, 10, 70):
        model = sklearn.neighbors.KNeighborsClassifier(k).fit(X, LABELS)
        want = model.predict_proba(A + 0.1)[:, 1]
        np.testing.assert_allclose(NearestNeighbours(k)(X, LABELS)(A + 0.1), want)
    many, labels = RNG.normal(size=(400, 3)), np.arange(400) * 1.0
    nearest = np.sum((A[:, None] - many[None]) ** 2, 2).argmin(1)
    np.testing.assert_array_equal(NearestNeighbours(1)(many, labels)(A), nearest)
    want = NearestNeighbours(5)(X, LABELS)(A + 0.1)
    monkeypatch.setattr(features, "_CHUNK", 150)
    np.testing.assert_array_equal(NearestNeighbours(5)(X, LABELS)(A + 0.1), want)


@pytest.mark.parametrize("num_folds", [2, 4])
def test_each_row_is_judged_once_by_a_fit_to_the_other_folds(num_folds):
    fits, judged = [], []

    def classifier(x, labels):
        fits.append((x, labels))

        def score(rows):
            judged.append(rows)
            return rows[:, 0]

        return score

    options = {"classifier": classifier, "num_folds": num_folds}
    found = two_sample_auc(A, B, key=KEY, **options)
    assert len(fits) == num_folds
    assert len(judged) == 2 * num_folds
    areas = []
    for (x, labels), low, high in zip(fits, judged[::2], judged[1::2], strict=True):
        assert len(low) in (40 // num_folds, -(-40 // num_folds))
        assert len(high) in (30 // num_folds, -(-30 // num_folds))
        # no row is lost, and no one is on both sides
        np.testing.assert_array_equal(sort(np.concatenate([x[labels == 0], low])), sort(A))
        np.testing.assert_array_equal(sort(np.concatenate([x[labels == 1], high])), sort(B))
        truth = np.repeat([0, 1], [len(low), len(high)])
        scores = np.concatenate([low, high])[:, 0]
        areas.append(sklearn.metrics.roc_auc_score(truth, scores))
    np.testing.assert_array_equal(sort(np.concatenate(judged[::2])), sort(A))
    np.testing.assert_array_equal(sort(np.concatenate(judged[1::2])), sort(B))
    assert found == pytest.approx(np.mean(areas))
    # rows are dealt at random, by the key
    assert not np.array_equal(sort(judged[0]), sort(A[::num_folds]))
    first = judged[0]
    two_sample_auc(A, B, key=KEY, **options)
    np.testing.assert_array_equal(judged[2 * num_folds], first)
    two_sample_auc(A, B, key=jax.random.key(1), **options)
    assert not np.array_equal(judged[4 * num_folds], first)


def sort(rows):
    return rows[np.lexsort(rows.T)]


def test_the_two_sets_are_dealt_independently():
    met = []

    def classifier(x, labels):
        return lambda rows: met.append(rows[:, 0].astype(int)) or rows[:, 0]

    rows = np.stack([np.arange(40), np.ones(40)], 1)
    two_sample_auc(rows, rows, classifier=classifier, key=KEY)
    assert not np.array_equal(np.sort(met[0]), np.sort(met[1]))


@pytest.mark.parametrize("classifier", [None, NearestNeighbours(5)])
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


def test_rows_are_judged_by_classifiers_that_have_not_seen_them():
    # the nearest row of a row that was seen is itself
    a, b = np.random.default_rng(4).normal(size=(2, 200, 5))
    found = two_sample_auc(a, b, classifier=NearestNeighbours(1), key=KEY)
    assert found == pytest.approx(0.5, abs=0.12)


BAD = {
    "folds": (lambda: two_sample_auc(A, B[:4], key=KEY), r"b\.shape=\(4, 3\): .*num ≥ 5"),
    "fold": (lambda: two_sample_auc(A, B, num_folds=1, key=KEY), "num_folds=1"),
    "k": (lambda: NearestNeighbours(99)(A, np.ones(40)), "k=99: give at most 40"),
    "ridge": (lambda: LogisticRegression(0.0), r"ridge=0\.0"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
