"""Adjusted microcanonical Monte Carlo: BlackJAX's kernel, tuned, and exact at long steps."""

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean, points

from ebmx.energies import Gaussian
from ebmx.samplers import AdjustedMCLMC, run, warmup

MEAN, COVARIANCE = np.array([1.0, -0.5]), np.array([[0.8, 0.3], [0.3, 1.5]])
GAUSSIAN = Gaussian(MEAN, COVARIANCE)
MASSES = np.array([1.0, 2.0])


@pytest.mark.medium
def test_it_is_the_kernel_of_blackjax(getkey):
    x, key = jnp.array([0.3, -0.8]), getkey()
    sampler = AdjustedMCLMC(0.7, 3, MASSES)
    new, _, info = sampler.step(GAUSSIAN, x, sampler.init(GAUSSIAN, x, key=key), key=key)
    log_density = lambda x: -GAUSSIAN(x)  # noqa: E731
    algorithm = blackjax.adjusted_mclmc(
        log_density, 0.7, inverse_mass_matrix=MASSES.astype(np.float32), num_integration_steps=3
    )
    with jax.numpy_dtype_promotion("standard"):
        want, other = algorithm.step(key, algorithm.init(x))
    np.testing.assert_allclose(new, want.position, rtol=1e-6)
    np.testing.assert_allclose(info.acceptance, other.acceptance_rate, rtol=1e-5)


@pytest.mark.medium
def test_long_steps_are_rejected_and_exact(getkey):
    start = np.full((6_000, 2), 3.0, np.float32)
    x, info = run(GAUSSIAN, AdjustedMCLMC(2.5, 2), start, num_steps=80, key=getkey())
    assert 0.3 < float(np.mean(info.acceptance)) < 0.97
    assert_mean(x, MEAN)
    assert_covariance(x, COVARIANCE)


@pytest.mark.medium
def test_it_is_tuned_to_its_own_acceptance(getkey):
    energy = Gaussian(np.zeros(4), np.array([0.01, 1.0, 4.0, 100.0]))
    start = np.asarray(points(64, (4,))) * np.sqrt(np.asarray(energy.variance))
    tuned, x = warmup(energy, AdjustedMCLMC(0.1, 3), start, num_steps=500, key=getkey())
    np.testing.assert_allclose(tuned.inverse_mass_matrix, energy.variance, rtol=0.3)
    _, info = run(energy, tuned, x, num_steps=300, key=getkey())
    np.testing.assert_allclose(info.acceptance.mean(), 0.9, atol=0.04)
