"""Out-of-distribution figures against scikit-learn, and their laws."""

import hypothesis
import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

import ebmx
from ebmx.energies import JEM, Gaussian
from ebmx.evaluation import out_of_distribution

# few values, so that there are many ties
SCORES = arrays.arrays(np.float64, st.integers(1, 40), elements=st.integers(-4, 4).map(float))


def by_scikit_learn(inside, outside):
    scores = np.concatenate([inside, outside])
    out = np.concatenate([np.zeros(len(inside)), np.ones(len(outside))])
    fpr, tpr, _ = sklearn.metrics.roc_curve(1 - out, -scores, drop_intermediate=False)
    return (
        sklearn.metrics.roc_auc_score(out, scores),
        sklearn.metrics.average_precision_score(out, scores),
        sklearn.metrics.average_precision_score(1 - out, -scores),
        fpr[np.argmax(tpr >= 0.95 - 1e-12)],
    )


def figures(found):
    return found.auroc, found.aupr_out, found.aupr_in, found.fpr95


@hypothesis.given(SCORES, SCORES)
def test_agrees_with_scikit_learn_with_ties(inside, outside):
    hypothesis.assume(len(set(inside) | set(outside)) > 1)
    found = out_of_distribution(inside, outside)
    np.testing.assert_allclose(figures(found), by_scikit_learn(inside, outside), atol=1e-12)


def test_agrees_with_scikit_learn_without_ties():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(size=500), rng.normal(size=300) + 1
    found = out_of_distribution(inside, outside)
    np.testing.assert_allclose(figures(found), by_scikit_learn(inside, outside), atol=1e-12)
    assert "AUROC 0.7" in str(found)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_the_threshold_is_the_least_that_lets_most_of_those_inside_pass(step):
    outside = np.arange(-1, 120, 0.5)
    for num in range(1, 101):
        # with ties for steps above one
        inside = np.random.default_rng(num).permutation(num) // step * 1.0
        passing = [t for t in inside if np.sum(inside <= t) * 20 >= 19 * num]
        found = out_of_distribution(inside, outside).fpr95
        assert found == np.mean(outside <= min(passing))


@hypothesis.given(SCORES, SCORES)
def test_the_other_way_round(a, b):
    hypothesis.assume(len(set(a) | set(b)) > 1)
    there, back = out_of_distribution(a, b), out_of_distribution(b, a)
    assert there.auroc == pytest.approx(1 - back.auroc, abs=1e-12)


@hypothesis.given(SCORES, SCORES)
def test_only_the_order_counts(a, b):
    hypothesis.assume(len(set(a) | set(b)) > 1)
    same = out_of_distribution(np.exp(a) + 3, np.exp(b) + 3)
    np.testing.assert_allclose(figures(same), figures(out_of_distribution(a, b)), atol=1e-12)


def test_what_is_far_apart_and_infinite():
    found = out_of_distribution([0.0, 1.0], [2.0, np.inf])
    assert figures(found) == (1.0, 1.0, 1.0, 0.0)
    assert figures(out_of_distribution([2.0], [1.0]))[0] == 0.0


def test_the_figures_in_one_line():
    found = out_of_distribution([0.0, 1.0, 2.0], [1.5, 3.0])
    words = [f"{figure:.4f}" for figure in figures(found)]
    want = "AUROC {}, AUPR {} out and {} in, FPR@95 {}".format(*words)
    assert str(found) == want


def norm_of_score(energy, x):
    """As the docstring has it."""
    return jnp.linalg.norm(ebmx.score(energy, x).reshape(len(x), -1), axis=1)


def negative_max(energy, x):
    """As the docstring has it."""
    return -jax.nn.softmax(jax.vmap(energy.logits)(x)).max(1)


def test_scores_of_models():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    image = norm_of_score(Gaussian(np.zeros((3, 1)), 0.5), x[:, :, None])
    np.testing.assert_allclose(image, 2 * np.linalg.norm(x, axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        norm_of_score(Gaussian(np.zeros(3), 0.5), x), 2 * np.linalg.norm(x, axis=1), rtol=1e-5
    )
    matrix = rng.normal(size=(4, 3)).astype(np.float32)
    model = JEM(lambda x: matrix @ x, (3,))
    logits = x @ np.asarray(matrix).T
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(negative_max(model, x), -p.max(1), rtol=1e-5)
    np.testing.assert_allclose(ebmx.energy(model, x), -np.log(np.exp(logits).sum(1)), rtol=1e-5)


BAD = {
    "empty": ([], [1.0], r"scores_in\.shape=\(0,\): give a score for each"),
    "one class": ([1.0], [], r"scores_out\.shape=\(0,\)"),
    "table": ([1.0], [[1.0]], r"scores_out\.shape=\(1, 1\)"),
    "nan": ([1.0, np.nan], [1.0], r"scores_in=1 NaNs of 2: fix"),
    "constant": ([1.0, 1.0], [1.0], r"scores=1\.0: all scores are equal"),
}


@pytest.mark.parametrize("name", BAD)
def test_scores_that_do_not_fit_are_refused(name):
    inside, outside, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        out_of_distribution(inside, outside)
