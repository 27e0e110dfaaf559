"""Log Z by quadrature and enumeration, and the fitted bases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.covariance

from ebmx.energies import Bernoulli, BernoulliRBM, Gaussian, GaussianMixture, Ring, Uniform
from ebmx.evaluation import fit_bernoulli, fit_gaussian, log_z_by_enumeration, log_z_by_quadrature
from ebmx.evaluation.log_z import _base_densities, _exact


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
    found = log_z_by_quadrature(energy, low, high, num_points=400)
    assert found == pytest.approx(float(energy.log_z), abs=2e-6)


def test_quadrature_of_a_plain_function_and_its_order():
    def energy(x):
        return 3.0 * x[0] - 2 * x[1]

    want = np.log((1 - np.exp(-3)) / 3 * (np.exp(2) - 1) / 2)
    errors = [
        abs(log_z_by_quadrature(energy, [0.0, 0.0], [1.0, 1.0], num_points=num) - want)
        for num in (10, 40)
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


def test_sums_without_a_density_and_without_a_chunk_to_fill():
    assert log_z_by_enumeration(lambda x: jnp.inf + 0 * x[0], 3) == -np.inf
    assert log_z_by_enumeration(lambda x: 0 * x[0] - jnp.inf, 2) == np.inf
    box = Uniform(np.zeros(1), np.ones(1))
    assert log_z_by_quadrature(box, [-1.0], [3.0], num_points=8) == pytest.approx(0.0, abs=1e-6)
    # one that is large, and the last of more than a chunk
    last = lambda x: jnp.where(jnp.all(x == 1), -1000.0, 0.0)  # noqa: E731
    assert log_z_by_enumeration(last, 15) == pytest.approx(1000.0)
    flat = lambda x: 0 * x[0] + 0.5  # noqa: E731
    assert log_z_by_enumeration(flat, 15) == pytest.approx(15 * np.log(2) - 0.5, abs=1e-6)


def test_chunks_are_all_points_once(monkeypatch):
    monkeypatch.setattr(_exact, "_CHUNK", 5)
    energy = Gaussian(np.ones(1), 0.3)
    for num in (3, 5, 12, 15):
        x = -2 + 5 * (np.arange(num) + 0.5) / num
        want = np.log(np.sum(np.exp(-((x - 1) ** 2) / 0.6)) * 5 / num)
        found = log_z_by_quadrature(energy, [-2.0], [3.0], num_points=num)
        assert found == pytest.approx(want, abs=1e-5)


@jax.jit
def bits(base, keys):
    at = jax.vmap(base)(jnp.eye(4).reshape(4, 2, 2))
    return at, jax.vmap(lambda key: base.sample(key=key))(keys), base.mean, base.variance


def test_the_base_of_bits():
    logits = np.float32([[0.5, -1.0], [2.0, 0.0]])
    base = Bernoulli(logits)
    assert base.shape == (2, 2)
    assert log_z_by_enumeration(base) == pytest.approx(float(base.log_z), abs=1e-6)
    at, x, mean, variance = bits(base, jax.random.split(jax.random.key(0), 4000))
    np.testing.assert_allclose(at, -logits.ravel(), rtol=1e-6)
    p = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(mean, p, rtol=1e-5)
    np.testing.assert_allclose(variance, p * (1 - p), rtol=1e-5)
    x = np.asarray(x)
    assert set(np.unique(x)) == {0, 1}
    assert np.all(np.abs(x.mean(0) - p) < 5 * np.sqrt(p * (1 - p) / 4000))
    # the units are independent
    centred = (x - p).reshape(4000, 4)
    products = centred.T @ centred / 4000
    assert np.all(np.abs(products - np.diag(np.diag(products))) < 5 * 0.25 / np.sqrt(4000))
    fitted = fit_bernoulli(x)
    expected = (np.sum(x, 0) + 1) / 4002
    np.testing.assert_allclose(
        fitted.logits, np.log(expected / (1 - expected)), rtol=1e-4, atol=1e-5
    )
    one = fit_bernoulli(np.array([[0.0, 1.0, 0.5]]))
    np.testing.assert_allclose(one.logits, np.log([1 / 2, 2, 1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num", [4, 50])
def test_the_fitted_gaussian_is_that_of_scikit_learn(num):
    rng = np.random.default_rng(num)
    x = rng.normal(size=(num, 6)) @ rng.normal(size=(6, 6)) + 1
    fitted = fit_gaussian(x.reshape(num, 2, 3))
    want, _ = sklearn.covariance.ledoit_wolf(x)
    np.testing.assert_allclose(fitted.covariance, want, rtol=1e-3, atol=1e-4 * want.max())
    np.testing.assert_allclose(fitted.mean, x.mean(0).reshape(2, 3), rtol=1e-4)


@pytest.mark.parametrize("num", [2, 3, 5, 20, 200])
def test_the_shrinkage_is_that_of_scikit_learn(num):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(num, 5)) * np.geomspace(0.5, 2, 5)
        centred = x - x.mean(0)
        sample = centred.T @ centred / num
        found = _base_densities.ledoit_wolf(centred, sample, np.trace(sample) / 5)
        assert found == pytest.approx(sklearn.covariance.ledoit_wolf(x)[1], rel=1e-6)
    # of a sphere, nothing is left to shrink
    cross = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert _base_densities.ledoit_wolf(cross, np.eye(2) / 2, 0.5) == 0


@pytest.mark.parametrize("copies", [1, 3])
def test_two_examples_make_a_sphere(copies):
    found = fit_gaussian(np.array([[1000.0, 0.0], [1002.0, 4.0]] * copies))
    np.testing.assert_allclose(found.mean, [1001, 2])
    # the mean of the variances 1 and 4
    np.testing.assert_allclose(found.covariance, 2.5 * np.eye(2), rtol=1e-6)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_a_given_shrinkage_mixes_the_covariance_with_a_sphere(shrinkage):
    x = np.random.default_rng(3).normal(size=(30, 3)) * [1, 2, 3]
    sample = np.cov(x.T, ddof=0)
    want = (1 - shrinkage) * sample + shrinkage * np.trace(sample) / 3 * np.eye(3)
    found = fit_gaussian(x, shrinkage=shrinkage).covariance
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)


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
