"""Increments that are no normal numbers, and the acceptance that Langevin reports."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean

from ebmx.energies import Gaussian
from ebmx.samplers import MALA, Langevin, binomial, normal, rademacher, run

INCREMENTS = {"normal": normal, "rademacher": rademacher, "binomial": binomial}
each = pytest.mark.parametrize("increments", INCREMENTS.values(), ids=INCREMENTS)
COVARIANCE = np.array([[0.8, 0.3], [0.3, 0.5]])
PRECISION = np.linalg.inv(COVARIANCE)
ENERGY = Gaussian(jnp.zeros(2), COVARIANCE)


@each
def test_the_first_three_moments_are_those_of_the_normal(increments, getkey):
    x = np.asarray(increments(getkey(), (40_000, 3), jnp.float32))
    assert x.dtype == np.float32
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0)):
        assert_mean(x.astype(np.float64) ** power, [moment] * 3)
    assert_covariance(x, np.eye(3))


@each
@pytest.mark.parametrize("shape", [(), (5,), (32,), (33, 1, 3)])
def test_shape_and_dtype(increments, shape, getkey):
    for dtype in (jnp.float32, jnp.bfloat16):
        x = increments(getkey(), shape, dtype)
        assert x.shape == shape
        assert x.dtype == dtype


def test_the_values_are_the_documented_ones(getkey):
    signs = np.asarray(rademacher(getkey(), (33, 7), jnp.float32))
    np.testing.assert_array_equal(np.unique(signs), [-1.0, 1.0])
    nine = np.unique(binomial(getkey(), (20_000,), jnp.float32))
    np.testing.assert_allclose(nine, (np.arange(9) - 4) / np.sqrt(2), rtol=1e-6)


def test_bits_of_one_word_are_independent(getkey):
    keys = jax.random.split(getkey(), 4_000)
    signs = jax.vmap(lambda k: rademacher(k, (40,), jnp.float32))(keys)
    correlation = np.cov(np.asarray(signs).T)
    np.testing.assert_allclose(correlation, np.eye(40), atol=5.5 / np.sqrt(4_000))


@each
def test_the_covariance_of_a_chain_does_not_depend_on_them(increments, getkey):
    sampler = Langevin(0.3, increments=increments)
    x, _ = run(ENERGY, sampler, jnp.ones((20_000, 2)), num_steps=4, key=getkey())
    contraction = np.eye(2) - 0.15 * PRECISION
    mean, covariance = np.ones(2), np.zeros((2, 2))
    for _ in range(4):
        mean = contraction @ mean
        covariance = contraction @ covariance @ contraction.T + 0.3 * np.eye(2)
    assert_mean(x, mean)
    assert_covariance(x, covariance)


def log_joint(x, y, step_size, temperature):
    drift = x - step_size / 2 * PRECISION @ x
    away = np.sum((y - drift) ** 2) / (2 * step_size)
    return -(0.5 * x @ PRECISION @ x + away) / temperature


@pytest.mark.parametrize(
    ("options", "temperature"),
    [({}, 1.0), ({"temperature": 0.4}, 0.4), ({"noise_scale": 0.5}, 0.5**2 / 0.6)],
)
def test_the_reported_acceptance_is_that_of_the_step_before(options, temperature, getkey):
    sampler = Langevin(0.6, report_acceptance=True, **options)
    with jax.enable_x64(True):
        energy = Gaussian(jnp.zeros(2), COVARIANCE)
        x = jnp.array([1.0, -1.0])
        state = sampler.init(energy, x, key=getkey())
        path, reported = [np.asarray(x)], []
        for _ in range(8):
            x, state, info = sampler.step(energy, x, state, key=getkey())
            path.append(np.asarray(x))
            reported.append(float(info.acceptance))
    want = [1.0]
    for a, b in itertools.pairwise(path[:-1]):
        forth, back = (log_joint(*pair, 0.6, temperature) for pair in ((a, b), (b, a)))
        want.append(min(1.0, np.exp(back - forth)))
    np.testing.assert_allclose(reported, want, rtol=1e-5)
    assert min(want) < 0.99


@pytest.mark.parametrize("step_size", [0.2, 0.8])
def test_the_reported_acceptance_is_in_the_mean_that_of_mala(step_size, getkey):
    keys = jax.random.split(getkey(), 10_000)
    x = jax.vmap(lambda k: ENERGY.sample(key=k))(keys)
    # of two steps the first reports 1 and the second the acceptance of the first
    _, ours = run(ENERGY, Langevin(step_size, report_acceptance=True), x, num_steps=2, key=getkey())
    _, theirs = run(ENERGY, MALA(step_size), x, num_steps=1, key=getkey())
    mean = np.asarray(2 * ours.acceptance - 1) - np.asarray(theirs.acceptance)
    assert_mean(mean, 0.0)
    assert float(theirs.acceptance.mean()) < 0.99
