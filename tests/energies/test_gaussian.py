"""The Gaussian and the mixture against SciPy, quadrature and their own exact samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import ENERGIES, assert_covariance, assert_mean

import ebmx
from ebmx.energies import AbstractAnalyticEnergy, Gaussian, GaussianMixture

ANALYTIC = ["gaussian-scalar", "gaussian-diagonal", "gaussian-full", "mixture"]
COVARIANCES = {
    "gaussian-scalar": 0.5 * np.eye(2),
    "gaussian-diagonal": np.diag([0.5, 2.0]),
    "gaussian-full": np.array([[0.8, 0.3], [0.3, 1.5]]),
}


def draw(energy, num, key):
    return jax.jit(jax.vmap(lambda k: energy.sample(key=k)))(jax.random.split(key, num))


def test_the_list_names_all_analytic_energies(getkey):
    built = {name: factory(getkey()) for name, factory in ENERGIES.items()}
    analytic = [n for n, energy in built.items() if isinstance(energy, AbstractAnalyticEnergy)]
    assert analytic == ANALYTIC


@pytest.mark.parametrize("name", COVARIANCES)
def test_gaussian_log_density_is_that_of_scipy(name, getkey):
    energy = ENERGIES[name](getkey())
    x = 2 * jax.random.normal(getkey(), (16, 2))
    truth = scipy.stats.multivariate_normal([1.0, -0.5], COVARIANCES[name])
    np.testing.assert_allclose(-ebmx.energy(energy, x) - energy.log_z, truth.logpdf(x), rtol=2e-5)
    np.testing.assert_allclose(energy.covariance, COVARIANCES[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(energy.variance, np.diag(COVARIANCES[name]), rtol=1e-5)


def test_mixture_log_density_is_that_of_scipy(getkey):
    x = 2 * jax.random.normal(getkey(), (16, 2))
    parts = [
        0.3 * scipy.stats.multivariate_normal([-1.0, 0.0], 0.25 * np.eye(2)).pdf(x),
        0.7 * scipy.stats.multivariate_normal([2.0, 1.0], 0.64 * np.eye(2)).pdf(x),
    ]
    ours = ebmx.log_density_unnormalised(ENERGIES["mixture"](getkey()), x)
    np.testing.assert_allclose(ours, np.log(sum(parts)), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", ANALYTIC)
def test_log_z_and_moments_agree_with_quadrature(name, getkey):
    energy = ENERGIES[name](getkey())
    grid, step = np.linspace(-9.0, 9.0, 241, retstep=True)
    x = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    weights = np.exp(-np.asarray(ebmx.energy(energy, x.astype(np.float32)), np.float64))
    total = weights.sum() * step**2
    mean = weights @ x / weights.sum()
    variance = weights @ (x - mean) ** 2 / weights.sum()
    np.testing.assert_allclose(energy.log_z, np.log(total), atol=2e-5)
    np.testing.assert_allclose(energy.mean, mean, atol=2e-5)
    np.testing.assert_allclose(energy.variance, variance, rtol=5e-5)


@pytest.mark.parametrize("name", ANALYTIC)
def test_exact_samples_have_the_moments(name, getkey):
    energy = ENERGIES[name](getkey())
    x = draw(energy, 20_000, getkey())
    assert_mean(x, energy.mean)
    assert_mean((x - energy.mean[None]) ** 2, energy.variance)
    if name in COVARIANCES:
        assert_covariance(x, COVARIANCES[name])


def test_mixture_samples_have_the_weights(getkey):
    x = draw(ENERGIES["mixture"](getkey()), 20_000, getkey())
    right = scipy.stats.norm(2.0, 0.8).sf(0.5) * 0.7 + scipy.stats.norm(-1.0, 0.5).sf(0.5) * 0.3
    assert_mean(x[:, 0] > 0.5, right)


def test_gaussian_on_a_matrix_with_a_full_covariance(getkey):
    factor = np.asarray(jax.random.normal(getkey(), (6, 6)))
    covariance = factor @ factor.T + np.eye(6)
    mean = np.arange(6.0).reshape(2, 3)
    energy = Gaussian(mean, covariance)
    assert energy.shape == (2, 3)
    x = jax.random.normal(getkey(), (5, 2, 3))
    truth = scipy.stats.multivariate_normal(mean.reshape(-1), covariance)
    ours = -ebmx.energy(energy, x) - energy.log_z
    np.testing.assert_allclose(ours, truth.logpdf(x.reshape(5, 6)), rtol=1e-4)
    np.testing.assert_allclose(energy.variance, np.diag(covariance).reshape(2, 3), rtol=1e-4)
    assert_covariance(draw(energy, 20_000, getkey()).reshape(-1, 6), covariance)


def test_gaussian_of_one_number():
    energy = Gaussian(0.5, 4.0)
    assert energy.shape == ()
    np.testing.assert_allclose(energy(jnp.array(2.5)), 0.5)
    np.testing.assert_allclose(energy.log_z, np.log(2 * np.sqrt(2 * np.pi)), rtol=1e-6)


def test_mixture_takes_scales_of_three_shapes(getkey):
    means = np.array([[0.0, 0.0], [3.0, 0.0]])
    x = jax.random.normal(getkey(), (7, 2))
    one = ebmx.energy(GaussianMixture(means, 0.5), x)
    each = ebmx.energy(GaussianMixture(means, np.array([0.5, 0.5])), x)
    full = ebmx.energy(GaussianMixture(means, np.full((2, 2), 0.5), np.array([2.0, 2.0])), x)
    np.testing.assert_allclose(one, each, rtol=1e-6)
    np.testing.assert_allclose(one, full, rtol=1e-6)
    narrow = GaussianMixture(means, np.array([[0.5, 2.0], [0.5, 0.5]]), np.array([1.0, 1e-9]))
    truth = scipy.stats.multivariate_normal([0, 0], np.diag([0.25, 4.0])).logpdf(x)
    np.testing.assert_allclose(-ebmx.energy(narrow, x), truth, rtol=1e-4)


def test_gaussian_can_be_made_and_differentiated_under_jit():
    @jax.jit
    @jax.grad
    def slope(covariance):
        return Gaussian(jnp.zeros(2), covariance).log_z

    np.testing.assert_allclose(slope(jnp.array(2.0)), 2 * 0.5 / 2.0, rtol=1e-6)
