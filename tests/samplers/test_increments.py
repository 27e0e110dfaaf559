"""Increments that are no normal numbers, and the acceptance that Langevin reports."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import assert_covariance, assert_mean, points

from ebmx.energies import Gaussian
from ebmx.samplers import MALA, Langevin, UnderdampedLangevin, run, sample
from ebmx.samplers._increments import INCREMENTS

each = pytest.mark.parametrize("increments", INCREMENTS)
COVARIANCE = np.array([[0.8, 0.3], [0.3, 0.5]])
PRECISION = np.linalg.inv(COVARIANCE)
ENERGY = Gaussian(jnp.zeros(2), COVARIANCE)


@functools.partial(jax.jit, static_argnums=(0, 2))
def drawn(increments, key, shape):
    return INCREMENTS[increments](shape, jnp.float32, key=key)


@each
def test_the_first_three_moments_are_those_of_the_normal(increments, getkey):
    x = np.asarray(drawn(increments, getkey(), (40_000, 3)))
    assert x.dtype == np.float32
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0)):
        assert_mean(x.astype(np.float64) ** power, [moment] * 3)
    assert_covariance(x, np.eye(3))


@each
@pytest.mark.parametrize("shape", [(), (5,), (32,), (33, 1, 3)])
def test_shape_and_dtype(increments, shape):
    for dtype in (jnp.float32, jnp.bfloat16):
        draw = functools.partial(INCREMENTS[increments], shape, dtype)
        x = jax.eval_shape(lambda key, draw=draw: draw(key=key), jax.random.key(0))
        assert x.shape == shape
        assert x.dtype == dtype


def test_the_values_are_the_documented_ones(getkey):
    signs = np.asarray(drawn("rademacher", getkey(), (33, 7)))
    np.testing.assert_array_equal(np.unique(signs), [-1.0, 1.0])
    k, counts = np.unique(drawn("binomial", getkey(), (40_000, 3)), return_counts=True)
    np.testing.assert_allclose(k, (np.arange(9) - 4) / np.sqrt(2), rtol=1e-6)
    p = scipy.stats.binom(8, 0.5).pmf(np.arange(9))
    assert np.all(np.abs(counts / 120_000 - p) < 5 * np.sqrt(p * (1 - p) / 120_000))


@pytest.mark.parametrize("increments", ["rademacher", "binomial"])
def test_numbers_of_one_word_are_independent(increments, getkey):
    keys = jax.random.split(getkey(), 4_000)
    draw = jax.jit(jax.vmap(lambda key: INCREMENTS[increments]((40,), jnp.float32, key=key)))
    correlation = np.cov(np.asarray(draw(keys)).T)
    np.testing.assert_allclose(correlation, np.eye(40), atol=5.5 / np.sqrt(4_000))


@pytest.mark.parametrize("increments", ["rademacher", "binomial"])
def test_the_covariance_of_a_chain_does_not_depend_on_them(increments, getkey):
    sampler = Langevin(0.3, increments=increments)
    x, _ = run(ENERGY, sampler, np.ones((20_000, 2), np.float32), num_steps=4, key=getkey())
    contraction = np.eye(2) - 0.15 * PRECISION
    mean, covariance = np.ones(2), np.zeros((2, 2))
    for _ in range(4):
        mean = contraction @ mean
        covariance = contraction @ covariance @ contraction.T + 0.3 * np.eye(2)
    assert_mean(x, mean)
    assert_covariance(x, covariance)


def test_a_function_of_your_own(getkey):
    def shifted(shape, dtype, *, key):
        return jax.random.normal(key, shape, dtype) + 3

    x, key = np.zeros((4, 2), np.float32), getkey()
    flat = lambda x: 0 * jnp.sum(x)  # noqa: E731
    one, other = (
        run(flat, Langevin(0.25, increments=increments), x, num_steps=2, key=key)[0]
        for increments in (shifted, "normal")
    )
    np.testing.assert_allclose(one, other + 2 * 0.5 * 3, rtol=1e-5)


@pytest.mark.parametrize("sampler", [Langevin, UnderdampedLangevin])
def test_an_unknown_word_is_told(sampler):
    with pytest.raises(ValueError, match=r"'gauss'.*normal, rademacher, binomial"):
        sampler(0.1, increments="gauss")


def reported(x, info):
    return x, info.acceptance


def log_joint(x, y, step_size, temperature):
    drift = x - step_size / 2 * PRECISION @ x
    away = np.sum((y - drift) ** 2) / (2 * step_size)
    return -(0.5 * x @ PRECISION @ x + away) / temperature


@pytest.mark.parametrize(
    ("options", "temperature"),
    [({}, 1.0), ({"temperature": 0.4}, 0.4), ({"noise_scale": 0.5}, 0.5**2 / 0.6)],
)
def test_the_reported_acceptance_is_that_of_the_step(options, temperature, getkey):
    with jax.enable_x64(True):
        sampler = Langevin(np.float64(0.6), report_acceptance=True, **options)
        energy, x = Gaussian(jnp.zeros(2), COVARIANCE), np.array([[1.0, -1.0]])
        got = sample(energy, sampler, x, num_samples=8, save=reported, key=getkey()).values
    path, acceptances = np.concatenate([x, got[0][0]]), np.asarray(got[1][0])
    want = []
    for a, b in itertools.pairwise(path):
        forth, back = (log_joint(*pair, 0.6, temperature) for pair in ((a, b), (b, a)))
        want.append(min(1.0, np.exp(back - forth)))
    np.testing.assert_allclose(acceptances, want, rtol=1e-5)
    assert min(want) < 0.99


@pytest.mark.parametrize("step_size", [0.2, 0.8])
def test_the_reported_acceptance_is_in_the_mean_that_of_mala(step_size, getkey):
    normal_numbers = np.asarray(points(10_000, (2,)))
    x = (normal_numbers @ np.linalg.cholesky(COVARIANCE).T).astype(np.float32)
    _, ours = run(ENERGY, Langevin(step_size, report_acceptance=True), x, num_steps=1, key=getkey())
    _, theirs = run(ENERGY, MALA(step_size), x, num_steps=1, key=getkey())
    assert_mean(np.asarray(ours.acceptance) - np.asarray(theirs.acceptance), 0.0)
    assert float(np.mean(theirs.acceptance)) < 0.99
