"""Log Z by quadrature and enumeration, and the fitted bases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.covariance

from ebmx.energies import BernoulliRBM, Gaussian, GaussianMixture, Ring
from ebmx.evaluation import (
    Bernoulli,
    fit_bernoulli,
    fit_gaussian,
    log_z_by_enumeration,
    log_z_by_quadrature,
)


@pytest.mark.parametrize(
    "energy",
    [
        Gaussian(jnp.ones(1), 0.3),
        Gaussian(jnp.ones(2), jnp.array([[0.8, 0.3], [0.3, 1.5]])),
        GaussianMixture(jnp.array([[-1.0, 0.0], [2.0, 1.0]]), 0.5),
        Ring(1.5, 0.5),
    ],
)
def test_quadrature_of_what_is_known(energy):
    low, high = np.full(energy.shape, -9.0), np.full(energy.shape, 9.0)
    found = log_z_by_quadrature(energy, low, high, num=400)
    assert found == pytest.approx(float(energy.log_z), abs=2e-6)


def test_quadrature_of_a_plain_function_and_its_order():
    def energy(x):
        return 3.0 * x[0] - 2 * x[1]

    want = np.log((1 - np.exp(-3)) / 3 * (np.exp(2) - 1) / 2)
    errors = [
        abs(log_z_by_quadrature(energy, [0.0, 0.0], [1.0, 1.0], num=num) - want) for num in (10, 40)
    ]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.05)


def test_enumeration_is_the_sum_over_one_side():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=shape) for shape in ((16, 5), (16,), (5,))]
    energy = BernoulliRBM(*parts)
    assert log_z_by_enumeration(energy) == pytest.approx(float(energy.log_z), abs=1e-5)


def test_enumeration_of_a_plain_function():
    logits = np.array([0.5, -1.0, 2.0])
    found = log_z_by_enumeration(lambda x: -jnp.dot(jnp.asarray(logits, jnp.float32), x), 3)
    assert found == pytest.approx(np.logaddexp(0, logits).sum(), abs=1e-6)


def test_the_base_of_bits(getkey):
    base = Bernoulli(jnp.array([[0.5, -1.0], [2.0, 0.0]]))
    assert log_z_by_enumeration(base) == pytest.approx(float(base.log_z), abs=1e-6)
    x = jax.vmap(lambda k: base.sample(key=k))(jax.random.split(getkey(), 4000))
    assert np.all(np.abs(x.mean(0) - base.mean) < 5 * np.sqrt(base.variance / 4000))
    fitted = fit_bernoulli(x)
    np.testing.assert_allclose(fitted.mean, (np.sum(x, 0) + 1) / 4002, rtol=1e-5)
    assert np.isfinite(fit_bernoulli(np.ones((3, 2))).log_z)


def test_the_fitted_gaussian_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    for num in (4, 50):
        x = rng.normal(size=(num, 6)) @ rng.normal(size=(6, 6)) + 1
        fitted = fit_gaussian(x.reshape(num, 2, 3))
        want, _ = sklearn.covariance.ledoit_wolf(x)
        np.testing.assert_allclose(fitted.covariance, want, rtol=1e-3, atol=1e-3 * want.max())
        np.testing.assert_allclose(fitted.mean, x.mean(0).reshape(2, 3), rtol=1e-5)
        plain = fit_gaussian(x, shrinkage=0.5).covariance
        assert np.trace(plain) == pytest.approx(np.trace(np.cov(x.T, ddof=0)), rel=1e-4)


PLANE = Gaussian(jnp.zeros(2))
BAD = {
    "corner": (lambda: log_z_by_quadrature(PLANE, 0.0, 1.0), r"low\.shape=\(\)"),
    "corners": (lambda: log_z_by_quadrature(PLANE, [0.0, 0], [1.0]), r"high\.shape=\(1,\)"),
    "order": (lambda: log_z_by_quadrature(PLANE, [0.0, 1], [1.0, 1]), "high - low="),
    "line": (lambda: log_z_by_quadrature(PLANE, [0.0], [1.0]), r"energy\.shape=\(2,\)"),
    "nan": (lambda: log_z_by_quadrature(lambda x: jnp.log(x[0]), [-1.0], [1]), r"energy\(x\)=NaN"),
    "many bits": (lambda: log_z_by_enumeration(Bernoulli(jnp.zeros(27))), "num_bits=27: at most"),
    "unknown": (lambda: log_z_by_enumeration(lambda x: x.sum()), "num_bits=None: .*number of bits"),
    "other": (lambda: log_z_by_enumeration(PLANE, 3), "num_bits=3: the energy takes 2"),
    "grey": (lambda: fit_bernoulli(2 * np.ones((2, 2))), r"x=2\.0 to 2\.0: .*\[0, 1\]"),
    "one": (lambda: fit_gaussian(np.ones((1, 2))), r"x\.shape=\(1, 2\): give at least two"),
    "constant": (lambda: fit_gaussian(np.ones((3, 2))), "x=constant"),
    "singular": (lambda: fit_gaussian(np.eye(3)[:2], shrinkage=0.0), "covariance=.*positive"),
    "logits": (lambda: Bernoulli(np.array([np.inf])), "logits=.*non-finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
