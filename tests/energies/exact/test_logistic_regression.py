"""Logistic regression: by SciPy, one and two coefficients by quadrature, and scikit-learn's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from reference import log_z_on_grid
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression as FittedRegression

from ebmx.energies import LogisticRegression

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(7, 2))
LABELS = np.array([0, 1, 1, 0, 1, 1, 0])


def log_likelihood(w, features):
    """Of coefficients `(num, features)`."""
    probability = scipy.special.expit(w @ features.T)
    return scipy.stats.bernoulli(probability).logpmf(LABELS).sum(-1)


@pytest.mark.parametrize("labels", [LABELS, LABELS == 1, LABELS.tolist()])
def test_the_energy_is_the_prior_and_the_likelihood(labels):
    w = RNG.normal(size=(3, 2))
    truth = log_likelihood(w, FEATURES) + scipy.stats.norm(0, 2.5).logpdf(w).sum(1)
    with jax.enable_x64(True):
        energy = LogisticRegression(FEATURES, labels, 2.5)
        np.testing.assert_allclose(jax.vmap(energy)(w), -truth, rtol=1e-12)
        prior = energy.prior
        normal = scipy.stats.norm(0, 2.5).logpdf(w[0]).sum()
        np.testing.assert_allclose(prior(w[0]) + prior.log_z, -normal, rtol=1e-12)


@pytest.mark.parametrize("num", [1, 2])
def test_the_normaliser_is_the_mean_likelihood_under_the_prior(num):
    features = FEATURES[:, :num]
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    w = 1.5 * np.stack(np.meshgrid(*[nodes] * num, indexing="ij"), -1).reshape(-1, num)
    weights = np.prod(np.meshgrid(*[weights / weights.sum()] * num, indexing="ij"), 0).ravel()
    truth = np.log(weights @ np.exp(log_likelihood(w, features)))
    with jax.enable_x64(True):
        energy = LogisticRegression(features, LABELS, 1.5)
        log_z = log_z_on_grid(energy, -14.0, 14.0, 701)
    np.testing.assert_allclose(log_z, truth, rtol=1e-7)


@pytest.mark.medium
def test_its_lowest_point_is_the_fit_of_scikit_learn():
    features, labels = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(0)) / features.std(0)
    fitted = FittedRegression(C=4.0, fit_intercept=False, tol=1e-10, max_iter=10_000)
    w = fitted.fit(features, labels).coef_[0]
    with jax.enable_x64(True):
        energy = LogisticRegression(features, labels, 2.0)
        assert energy.shape == (30,)
        at, far = (np.asarray(jax.grad(energy)(jnp.asarray(one))) for one in (w, 0 * w))
    assert np.abs(at).max() < 1e-4 < np.abs(far).max()


def test_far_coefficients_have_finite_energies_and_gradients():
    energy = LogisticRegression(FEATURES, LABELS)
    value, slope = jax.value_and_grad(energy)(jnp.array([1e4, -1e4]))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((FEATURES[0], LABELS), r"features\.shape=\(2,\): give an array \(examples, features\)"),
        ((FEATURES, LABELS[1:]), r"labels\.shape=\(6,\): give \(7,\)"),
        ((FEATURES, 2 * LABELS), "labels=.*zeros and ones"),
        ((FEATURES, LABELS, 0.0), r"prior_scale=0\.0"),
    ],
)
def test_what_does_not_fit_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        LogisticRegression(*arguments)
