"""Elliptical slices: exact posteriors, walls, and how many energies they cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean, points

from ebmx.energies import Gaussian
from ebmx.samplers import EllipticalSlice, run

MEAN, COVARIANCE = np.array([1.0, -0.5]), np.array([[0.8, 0.3], [0.3, 1.5]])
PRIOR = Gaussian(MEAN, COVARIANCE)
SAMPLER = EllipticalSlice(PRIOR)
CALLS = []


def counted(x):
    jax.debug.callback(lambda _: CALLS.append(None), x)
    return PRIOR(x)


@pytest.mark.medium
def test_a_step_on_the_prior_costs_one_energy(getkey):
    CALLS.clear()
    x, _ = run(counted, SAMPLER, jnp.zeros((1, 2)), num_steps=20, key=getkey())
    jax.effects_barrier()
    assert len(CALLS) == 21
    assert np.all(np.isfinite(x))


def test_the_prior_alone_is_mixed_by_a_rotation(getkey):
    # `x cos θ + ν sin θ` at a uniform angle, so half of the distance to the mean is forgotten
    start = np.full((20_000, 2), 3.0, np.float32)
    x, _ = run(PRIOR, SAMPLER, start, num_steps=1, key=getkey())
    distance = np.asarray(x, np.float64) - MEAN
    assert_mean(distance, np.zeros(2))
    outer = np.outer(3.0 - MEAN, 3.0 - MEAN)
    assert_mean(distance[:, :, None] * distance[:, None], (outer + COVARIANCE) / 2)


@pytest.mark.medium
def test_a_posterior_is_reached_from_one_point(getkey):
    precision = np.array([[3.0, 1.0], [1.0, 0.5]])

    def posterior(x):
        return PRIOR(x) + 0.5 * (x - 1) @ (precision.astype(x.dtype) @ (x - 1))

    x, _ = run(posterior, SAMPLER, np.full((6_000, 2), 2.0, np.float32), num_steps=80, key=getkey())
    total = np.linalg.inv(COVARIANCE) + precision
    covariance = np.linalg.inv(total)
    shift = np.linalg.inv(COVARIANCE) @ MEAN + precision @ np.ones(2)
    assert_mean(x, covariance @ shift)
    assert_covariance(x, covariance)


@pytest.mark.medium
def test_one_step_keeps_a_posterior_that_is_much_narrower_than_the_prior(getkey):
    # nearly all steps shrink the bracket several times
    prior, noise = Gaussian(np.zeros(1)), 0.2
    variance = 1 / (1 + noise**-2)
    mean = variance * noise**-2
    start = mean + np.sqrt(variance) * points(40_000, (1,))

    def posterior(x):
        return prior(x) + 0.5 * jnp.sum((x - 1) ** 2) / noise**2

    x, _ = run(posterior, EllipticalSlice(prior), start, num_steps=1, key=getkey())
    before, after = ((np.asarray(one) - mean) / np.sqrt(variance) for one in (start, x))
    assert_mean(after, np.zeros(1))
    assert_mean(after**2, np.ones(1))
    # as probable there and back, and not where it was
    assert_mean(before * after**2 - before**2 * after, np.zeros(1))
    assert np.mean(before * after) < 0.5


def walled(x):
    """The prior where the first coordinate is positive; not a number or infinite elsewhere."""
    low = jnp.where(x[1] > 0, jnp.nan, jnp.inf)
    return jnp.where(x[0] > 0, PRIOR(x), low)


@pytest.mark.medium
def test_walls_are_not_crossed_but_left(getkey):
    start = MEAN + np.asarray(points(6_000, (2,))) @ np.linalg.cholesky(COVARIANCE).T
    x, info = run(walled, SAMPLER, start, num_steps=60, key=getkey())
    assert np.all(np.asarray(x)[:, 0] > 0)
    assert np.all(np.isfinite(info.energy))
    # a normal distribution that is cut at zero
    a = -MEAN[0] / np.sqrt(COVARIANCE[0, 0])
    density = np.exp(-(a**2) / 2) / np.sqrt(2 * np.pi)
    above = 0.5 * (1 - jax.scipy.special.erf(a / np.sqrt(2)))
    assert_mean(np.asarray(x)[:, 0], MEAN[0] + np.sqrt(COVARIANCE[0, 0]) * density / above)


def test_a_chain_that_finds_nothing_stays_and_says_so(getkey):
    start = jnp.ones((3, 2))
    nowhere = lambda x: jnp.inf * jnp.sum(x**2)  # noqa: E731
    x, info = run(nowhere, SAMPLER, start, num_steps=2, key=getkey())
    np.testing.assert_array_equal(x, start)
    assert np.all(info.divergent)


@pytest.mark.medium
def test_any_gaussian_will_do_as_the_prior(getkey):
    wide = EllipticalSlice(Gaussian(np.zeros(2), 3.0))
    x, info = run(PRIOR, wide, np.zeros((6_000, 2), np.float32), num_steps=80, key=getkey())
    assert_mean(x, MEAN)
    assert_covariance(x, COVARIANCE)
    np.testing.assert_allclose(info.energy, jax.vmap(PRIOR)(x), rtol=1e-4, atol=1e-5)
