"""The slope of the ChEES criterion, and the length that maximises it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from helpers import points

from ebmx.energies import Gaussian
from ebmx.samplers import JitteredHMC, Reflected, run, warmup
from ebmx.samplers.kernels._chees import Flight, Length, fly, slope_of_criterion

MASSES = np.array([0.5, 2.0])


def quartic(x):
    return jnp.sum(x**4) / 4 + jnp.sum(x**2) / 2


def test_the_slope_is_that_of_the_criterion():
    # the exact flow of a harmonic oscillator of frequency 0.8
    x, v = (np.asarray(points(400, (3,), seed), np.float64) for seed in (0, 1))
    fraction, length, w = 0.7, 1.9, 0.8

    def ends(t):
        return x * np.cos(w * t) + v / w * np.sin(w * t)

    def criterion(log_t):
        y = ends(fraction * np.exp(log_t))
        change = np.sum((y - y.mean(0)) ** 2, 1) - np.sum((x - x.mean(0)) ** 2, 1)
        return np.mean(change**2) / 4

    t = fraction * length
    velocity = v * np.cos(w * t) - w * x * np.sin(w * t)
    with jax.enable_x64(True):
        flights = Flight(*map(jnp.asarray, (x, ends(t), velocity, np.ones(400))))
        got = float(slope_of_criterion(flights, jnp.asarray(fraction), jnp.asarray(length)))
    log, h = np.log(length), 1e-5
    want = (criterion(log + h) - criterion(log - h)) / (2 * h)
    # the mean of the ends moves, too, which the estimator of the paper leaves out
    np.testing.assert_allclose(got, want, rtol=0.02)


def test_ends_that_would_be_rejected_count_for_nothing():
    start, end, velocity = (jnp.asarray(points(4, (2,), seed)) for seed in range(3))
    taken = jnp.array([1.0, 1.0, 1.0, 0.0])
    one = slope_of_criterion(Flight(start, end, velocity, taken), 0.5, 1.0)
    other = slope_of_criterion(Flight(start, end.at[3].set(99.0), velocity, taken), 0.5, 1.0)
    np.testing.assert_allclose(one, other)
    more = slope_of_criterion(Flight(start, end.at[2].set(99.0), velocity, taken), 0.5, 1.0)
    assert abs(float(more - one)) > 1


@pytest.mark.parametrize("masses", [None, MASSES])
def test_a_velocity_is_how_the_end_moves(masses, getkey):
    x, key, h = jnp.array([0.3, -0.8]), getkey(), 1e-3
    flights = []
    for num in (300, 301):
        sampler = JitteredHMC(h, num * h, masses)
        state = sampler.init(quartic, x, key=key)
        _, after, flight = fly(quartic, sampler, x, state, jnp.float32(1.0), key)
        flights.append(flight)
        assert int(after.count) == 1
    one, other = flights
    scale = 1.0 if masses is None else np.sqrt(masses)
    np.testing.assert_allclose(one.start, x / scale, rtol=1e-6)
    np.testing.assert_allclose((other.end - one.end) / h, one.velocity, atol=5e-3)
    assert float(one.acceptance) > 0.999


def test_a_trajectory_that_is_lost_counts_for_nothing(getkey):
    sampler, x, key = JitteredHMC(50.0, 400.0), jnp.ones(2), getkey()
    state = sampler.init(quartic, x, key=key)
    new, _, flight = fly(quartic, sampler, x, state, jnp.float32(1.0), key)
    np.testing.assert_array_equal(new, x)
    assert all(np.all(np.isfinite(leaf)) for leaf in flight)
    assert float(flight.acceptance) == 0


def test_the_search_climbs_to_a_maximum_and_stays_below_the_longest():
    length = Length.begin(jnp.float32(1.0))
    update = jax.jit(lambda s, most: s.update(jnp.log(3.0) - s.log_length, most))
    for _ in range(200):
        length = update(length, jnp.float32(100.0))
    np.testing.assert_allclose(jnp.exp(length.log_average), 3.0, rtol=0.05)
    for _ in range(50):
        length = update(length, jnp.float32(2.0))
    assert float(jnp.exp(length.log_length)) <= 2.0001


@pytest.mark.medium
def test_the_length_of_a_gaussian_is_found(getkey):
    variances = np.array([0.01, 1.0, 100.0, 4.0])
    energy = Gaussian(np.zeros(4), variances)
    x = np.asarray(points(256, (4,))) * np.sqrt(variances)
    # at short steps, which take the lengths that are asked for
    options = {"num_steps": 800, "target_acceptance": 0.98}
    tuned, x = warmup(energy, JitteredHMC(0.05, 0.2), x, key=getkey(), **options)
    # `E[sin²(uT)]` over uniform `u` is largest where tan 2T = 2T
    best = scipy.optimize.brentq(lambda t: np.tan(2 * t) - 2 * t, 2.2, 2.3)
    np.testing.assert_allclose(tuned.trajectory_length, best, rtol=0.15)
    np.testing.assert_allclose(tuned.inverse_mass_matrix, variances, rtol=0.2)
    _, info = run(energy, tuned, x, num_steps=64, key=getkey())
    np.testing.assert_allclose(info.acceptance.mean(), 0.98, atol=0.02)


@pytest.mark.medium
def test_within_bounds_the_length_stays(getkey):
    energy, sampler = Gaussian(np.zeros(2)), Reflected(JitteredHMC(0.5, 1.5), (0.0, None))
    tuned, _ = warmup(energy, sampler, np.ones((64, 2)), num_steps=40, key=getkey())
    assert float(tuned.sampler.trajectory_length) == 1.5
    assert tuned.sampler.inverse_mass_matrix.shape == (2,)
