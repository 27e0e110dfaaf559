"""Distributions of noise: their densities and moments are those of SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import assert_covariance, assert_mean

from ebmx.training import GaussianNoise, UniformNoise

NUM = 20_000
NOISES = {
    "uniform": (UniformNoise(-0.5, 3.0), scipy.stats.uniform(-0.5, 3.5)),
    "gaussian": (GaussianNoise(1.5, 0.7), scipy.stats.norm(1.5, 0.7)),
}
draw = jax.jit(lambda noise, keys: jax.vmap(lambda key: noise.sample((3,), key=key))(keys))
density = jax.jit(lambda noise, x: jax.vmap(noise.log_density)(x))


@pytest.mark.parametrize("name", NOISES)
def test_samples_are_independent_and_of_the_distribution(name, getkey):
    noise, exact = NOISES[name]
    x = np.asarray(draw(noise, jax.random.split(getkey(), NUM)))
    assert_mean(x, exact.mean())
    assert_covariance(x, exact.var() * np.eye(3))
    # Kolmogorov-Smirnov, at a false-alarm rate of 1e-5
    assert scipy.stats.kstest(x[:, 0], exact.cdf).pvalue > 1e-5


@pytest.mark.parametrize("name", NOISES)
def test_the_log_density_is_that_of_independent_coordinates(name):
    noise, exact = NOISES[name]
    x = np.random.default_rng(0).uniform(-1, 3.5, (500, 2, 3))
    x[:4] = [[[3.0, -0.5, 0.1], [0.2, 3.0, -0.5]]]
    want = exact.logpdf(x).sum((1, 2))
    assert np.all(np.isfinite(want)) == (name == "gaussian")
    np.testing.assert_allclose(density(noise, jnp.asarray(x, jnp.float32)), want, rtol=1e-5)


BAD = {
    "order": (lambda: UniformNoise(1.0, 1.0), r"high - low=0\.0: give low < high"),
    "scale": (lambda: GaussianNoise(0.0, 0.0), r"scale=0\.0: give a finite number above 0"),
    "mean": (lambda: GaussianNoise(np.nan, 1.0), "mean=nan"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        call()
