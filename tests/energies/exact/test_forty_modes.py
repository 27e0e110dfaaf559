"""The mixture of forty Gaussians: its numbers, its density by SciPy, and the modes of samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from helpers import double
from reference import answers, exact_samples

from ebmx.energies import GaussianMixture, forty_modes

norm = scipy.stats.norm


def test_the_means_on_the_plane_are_those_of_the_paper():
    # of `torch.manual_seed(0)`, to the four digits in which programs list them
    means = np.asarray(forty_modes().means)
    assert means.shape == (40, 2)
    first = [[-0.2995, 21.4577], [-32.9218, -29.4376], [-15.4062, 10.7263]]
    last = [[34.8083, 35.2943], [7.9606, -34.7833], [3.6797, -25.0242]]
    np.testing.assert_allclose(means[:3], first, atol=6e-5)
    np.testing.assert_allclose(means[-3:], last, atol=6e-5)


@pytest.mark.parametrize(("dim", "last"), [(16, 17.33610), (128, 4.18252)])
def test_the_numbers_of_other_dimensions_are_fixed(dim, last):
    energy = forty_modes(dim)
    means = np.asarray(energy.means)
    assert means.shape == (40, dim)
    np.testing.assert_allclose([means[0, 0], means[-1, -1]], [-0.29947, last], atol=1e-5)
    assert scipy.stats.kstest(means.ravel() / 80 + 0.5, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(means[:20].ravel(), means[20:].ravel())[0, 1]) < 0.2
    np.testing.assert_allclose(energy.scales, np.log(1 + np.e), rtol=1e-6)
    np.testing.assert_allclose(energy.weights, 1 / 40, rtol=1e-6)


def test_the_density_is_that_of_scipy():
    x = np.random.default_rng(0).uniform(-45, 45, (20, 2))
    with jax.enable_x64(True):
        energy = forty_modes()
        values, log_z, mean, variance = answers(energy, x)
    means, scale = np.asarray(energy.means), np.log(1 + np.e)
    log_p = norm(means[None], scale).logpdf(x[:, None]).sum(2)
    np.testing.assert_allclose(values, np.log(40) - scipy.special.logsumexp(log_p, axis=1))
    assert float(log_z) == 0
    np.testing.assert_allclose(mean, means.mean(0))
    np.testing.assert_allclose(variance, means.var(0) + scale**2)


def test_the_component_of_a_sample_is_the_nearest_mean():
    energy = forty_modes()
    draws = exact_samples(energy, jax.random.split(jax.random.key(0), 20_000))
    components = np.asarray(jax.jit(jax.vmap(energy.component))(draws))
    means = np.asarray(energy.means)
    distance = np.linalg.norm(np.asarray(draws)[:, None] - means[None], axis=2)
    nearest = np.argmin(distance, 1)
    assert np.mean(components == nearest) > 0.999  # but for rounding
    # equal shares, but for draws in the tails of neighbours
    shares = np.bincount(components, minlength=40) / len(components)
    assert np.abs(shares - 1 / 40).max() < 0.01


def test_the_component_takes_account_of_weights_and_scales():
    means, scales, weights = np.array([[-1.0], [1.0]]), np.array([0.3, 2.0]), np.array([0.2, 0.8])
    x = np.linspace(-6, 6, 101)[:, None]
    log_p = norm(means[None, :, 0], scales).logpdf(x) + np.log(weights)
    with jax.enable_x64(True):
        energy = double(GaussianMixture(means, scales, weights))
        components = jax.vmap(energy.component)(jnp.asarray(x))
    np.testing.assert_array_equal(components, np.argmax(log_p, 1))
    assert set(np.argmax(log_p, 1)) == {0, 1}


def test_a_dimension_of_zero_is_refused():
    with pytest.raises(ValueError, match="dim=0: give a Python integer"):
        forty_modes(0)
