"""Gaussians, mixtures of them and the uniform density, against SciPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from reference import answers, assert_independent_normals, exact_samples

from ebmx.energies import Gaussian, GaussianMixture, Uniform

RNG = np.random.default_rng(0)
FACTOR = RNG.normal(size=(4, 4))
COVARIANCE = FACTOR @ FACTOR.T + 0.2 * np.eye(4)
norm = scipy.stats.norm
# mean, covariance as given and as a matrix
GAUSSIANS = {
    "one-variance": (RNG.normal(size=(2, 2)), 0.7, 0.7 * np.eye(4)),
    # of the shape of a matrix over two coordinates, but there are four
    "a-variance-each": (
        RNG.normal(size=(2, 2)),
        np.array([[0.5, 2.0], [0.1, 3.0]]),
        np.diag([0.5, 2.0, 0.1, 3.0]),
    ),
    "full": (RNG.normal(size=(2, 2)), COVARIANCE, COVARIANCE),
    "one-number": (np.array(0.5), 4.0, np.array([[4.0]])),
}


def draw(energy, num, seed=1):
    return np.asarray(exact_samples(energy, jax.random.split(jax.random.key(seed), num)))


@pytest.mark.parametrize(("mean", "given", "covariance"), GAUSSIANS.values(), ids=GAUSSIANS)
def test_a_gaussian_is_that_of_scipy(mean, given, covariance):
    x = mean + np.random.default_rng(1).normal(size=(7, *mean.shape))
    truth = scipy.stats.multivariate_normal(mean.reshape(-1), covariance)
    log_z = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    variance = np.diag(covariance).reshape(mean.shape)
    with jax.enable_x64(True):
        energy = Gaussian(mean, given)
        got = answers(energy, x)
        draws = draw(energy, 5_000)
        np.testing.assert_allclose(energy.covariance, covariance, rtol=1e-9, atol=1e-12)
    assert energy.shape == mean.shape
    values = -truth.logpdf(x.reshape(7, -1)) - log_z
    for a, b in zip(got, (values, log_z, mean, variance), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert draws.shape == (5_000, *mean.shape)
    centred = (draws - mean).reshape(5_000, -1)
    assert_independent_normals(np.linalg.solve(np.linalg.cholesky(covariance), centred.T).T)


MEANS = np.array([[[-1.0, 0.0], [2.0, 0.5]], [[2.0, 1.0], [0.0, -3.0]], [[0.5, 0.5], [0.5, 0.5]]])
SCALES = {
    "one-number": 0.7,
    "one-a-component": np.array([0.3, 0.5, 2.0]),
    "one-a-coordinate": RNG.uniform(0.3, 2.0, size=(3, 2, 2)),
}


def independent_normals(x, weights, means, scales):
    """Rows of a mixture as normals: each coordinate by its distribution given those before."""
    log_p, z = np.log(weights)[None] + np.zeros((len(x), 1)), []
    for column, mean, scale in zip(x.T, means.T, scales.T, strict=True):
        below = norm(mean, scale).cdf(column[:, None])
        z.append(norm.ppf(np.sum(scipy.special.softmax(log_p, axis=1) * below, axis=1)))
        log_p = log_p + norm(mean, scale).logpdf(column[:, None])
    return np.stack(z, 1)


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("weights", [None, [2.0, 5.0, 3.0]], ids=["equal", "weighted"])
def test_a_mixture_is_that_of_scipy(name, weights):
    x = 1.5 * np.random.default_rng(1).normal(size=(9, 2, 2))
    p = np.full(3, 1 / 3) if weights is None else np.array(weights) / 10
    scales = np.asarray(SCALES[name])
    scales = np.broadcast_to(scales.reshape(scales.shape + (1,) * (3 - scales.ndim)), MEANS.shape)
    log_p = norm(MEANS, scales).logpdf(x[:, None]).sum((2, 3)) + np.log(p)
    mean = np.einsum("k,kij->ij", p, MEANS)
    variance = np.einsum("k,kij->ij", p, scales**2 + (MEANS - mean) ** 2)
    with jax.enable_x64(True):
        energy = GaussianMixture(
            MEANS, SCALES[name], None if weights is None else np.array(weights)
        )
        got = answers(energy, x)
        draws = draw(energy, 5_000)
    values = -scipy.special.logsumexp(log_p, axis=1)
    for a, b in zip(got, (values, 0.0, mean, variance), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    flat = (a.reshape(len(a), 4) for a in (draws, MEANS, scales))
    draws, means, scales = flat
    assert_independent_normals(independent_normals(draws, p, means, scales))


def test_the_uniform_density_is_that_of_its_box():
    low, high = np.array([[-1.0, 0.5], [2.0, -3.0]]), np.array([[1.0, 0.75], [5.0, 7.0]])
    inside = [low, high, 0.5 * (low + high), 0.9 * low + 0.1 * high]
    step = 0.01 * np.eye(4).reshape(4, 2, 2)
    outside = [*(low - step), *(high + step), *(low - 9 * step), 0 * low, low - 1, high + 1]
    with jax.enable_x64(True):
        energy = Uniform(low, high)
        values, log_z, mean, variance = answers(energy, np.stack([*inside, *outside]))
        draws = draw(energy, 5_000)
        assert energy(jnp.asarray(low, jnp.float32)).dtype == jnp.float32
    assert energy.shape == (2, 2)
    np.testing.assert_array_equal(values[:4], np.zeros(4))
    np.testing.assert_array_equal(values[4:], np.full(len(outside), np.inf))
    box = scipy.stats.uniform(low, high - low)
    np.testing.assert_allclose(log_z, -box.logpdf(mean).sum(), rtol=1e-12)
    np.testing.assert_allclose(mean, box.mean(), rtol=1e-12)
    np.testing.assert_allclose(variance, box.var(), rtol=1e-12)
    assert_independent_normals(norm.ppf(box.cdf(draws)))


def test_gaussian_can_be_made_and_differentiated_under_jit():
    @jax.jit
    @jax.grad
    def slope(covariance):
        return Gaussian(jnp.zeros(2), covariance).log_z

    np.testing.assert_allclose(slope(jnp.array(2.0)), 2 * 0.5 / 2.0, rtol=1e-6)
