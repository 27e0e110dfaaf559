"""Underdamped Langevin on Gaussians, whose law in positions and velocities is a recursion."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean

from ebmx.energies import Gaussian
from ebmx.samplers import UnderdampedLangevin, run
from ebmx.samplers._run import advance_chain
from ebmx.samplers._underdamped import Momentum

OMEGA = 2.0
ENERGY = Gaussian(jnp.zeros(1), 1 / OMEGA**2)
CASES = [(0.3, 1.0, 1.0), (0.8, 2.0, 0.5)]  # step size, friction, temperature
START = 1.5


def flat(x):
    return 0 * jnp.sum(x)


def recursion(h, friction, temperature, num_steps):
    """Mean and covariance of position and velocity after the steps, by half kicks and drifts."""
    kick = np.array([[1.0, 0.0], [-h / 2 * OMEGA**2, 1.0]])
    drift = np.array([[1.0, h / 2], [0.0, 1.0]])
    decay = np.exp(-friction * h)
    matrix = kick @ drift @ np.diag([1.0, decay]) @ drift @ kick
    noise = kick @ drift @ np.array([0.0, np.sqrt(temperature * (1 - decay**2))])
    mean, covariance = np.array([START, 0.0]), np.diag([0.0, temperature])
    for _ in range(num_steps):
        mean = matrix @ mean
        covariance = matrix @ covariance @ matrix.T + np.outer(noise, noise)
    return mean, covariance


def phases(case, num_steps, key):
    """Positions and velocities after so many steps of 20,000 chains."""
    h, friction, temperature = case
    sampler = UnderdampedLangevin(h, friction=friction, temperature=temperature)
    return moved(sampler, jnp.asarray(num_steps), key)


@eqx.filter_jit
def moved(sampler, num_steps, key):
    """Compiled once for all numbers of steps and all numbers of the sampler."""

    def chain(key):
        init_key, steps_key = jax.random.split(key)
        x = jnp.full(1, START)
        state = sampler.init(ENERGY, x, key=init_key)
        x, state, _ = advance_chain(ENERGY, sampler, x, state, num_steps, key=steps_key)
        return jnp.concatenate([x, state.velocity])

    return jax.vmap(chain)(jax.random.split(key, 20_000))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("num_steps", [1, 2, 5, 60])
def test_the_law_is_exact_after_every_step(case, num_steps, getkey):
    phase = phases(case, num_steps, getkey())
    mean, covariance = recursion(*case, num_steps)
    assert_mean(phase, mean)
    assert_covariance(phase, covariance)


@pytest.mark.parametrize("case", CASES)
def test_positions_are_exact_at_any_step_size(case):
    _, covariance = recursion(*case, 300)
    np.testing.assert_allclose(covariance[0, 0], case[2] / OMEGA**2, rtol=1e-6)


@pytest.mark.medium
def test_a_noise_scale_is_a_temperature(getkey):
    h, friction, x, key = 0.4, 1.5, np.ones((16, 1), np.float32), getkey()
    sampler = UnderdampedLangevin(h, friction=friction, noise_scale=0.3)
    temperature = 0.3**2 / (1 - np.exp(-2 * friction * h))
    np.testing.assert_allclose(sampler.effective_temperature, temperature, rtol=1e-5)
    warm = UnderdampedLangevin(h, friction=friction, temperature=temperature)
    one, _ = run(ENERGY, sampler, x, num_steps=5, key=key)
    other, _ = run(ENERGY, warm, x, num_steps=5, key=key)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_clipped(getkey):
    sampler = UnderdampedLangevin(0.5, temperature=0.0, grad_clip=0.2)
    start = np.zeros((1, 1), np.float32)
    x, info = run(lambda x: 3.0 * x[0], sampler, start, num_steps=2, key=getkey())
    want, velocity, kick, decay = 0.0, 0.0, -0.25 * 0.2, np.exp(-0.5)
    for _ in range(2):
        velocity += kick
        want += 0.25 * velocity * (1 + decay)
        velocity = decay * velocity + kick
    np.testing.assert_allclose(x, [[want]], rtol=1e-5)
    np.testing.assert_allclose(info.grad_norm, 3.0)


@eqx.filter_jit
def one_step(sampler, x, state, key):
    return sampler.step(jumpy, x, state, key=key)


def jumpy(x):
    """A parabola up to 5, and nothing finite beyond."""
    return jnp.where(x[0] > 5, jnp.inf, jnp.sum(x**2))


@pytest.mark.parametrize("start", [1.0, 30.0])
def test_what_is_reported_and_remembered_is_of_the_new_position(start, getkey):
    sampler = UnderdampedLangevin(0.1)
    zero = np.zeros(2, np.float32)
    x, state, info = one_step(
        sampler, np.array([start, -2.0], np.float32), Momentum(zero, zero, zero[0]), getkey()
    )
    x = np.asarray(x)
    energy, gradient = (np.sum(x**2), 2 * x) if start < 5 else (np.inf, zero)
    np.testing.assert_allclose(info.energy, energy, rtol=1e-5)
    np.testing.assert_allclose(state.energy, energy, rtol=1e-5)
    np.testing.assert_allclose(state.gradient, gradient, rtol=1e-5)
    np.testing.assert_allclose(info.grad_norm, np.linalg.norm(gradient), rtol=1e-5)
    assert float(info.acceptance) == 1.0
    assert bool(info.divergent) == (start > 5)


@eqx.filter_jit
def stepped(sampler, x, state, key):
    return sampler.step(flat, x, state, key=key)


@pytest.mark.parametrize(
    ("boundary", "x", "v", "there", "turned"),
    [
        ("reflect", 0.9, 0.4, 0.7, -0.4),
        ("reflect", -0.9, -0.4, -0.7, 0.4),
        ("reflect", 0.9, 2.5, -0.6, 2.5),  # off both walls
        ("reflect", 0.1, 0.4, 0.5, 0.4),
        ("clip", 0.9, 0.4, 1.0, 0.0),
        ("clip", -0.9, -0.4, -1.0, 0.0),
        ("clip", 0.1, 0.4, 0.5, 0.4),
    ],
)
def test_bounds_turn_the_velocity(boundary, x, v, there, turned, getkey):
    sampler = UnderdampedLangevin(
        1.0, friction=1e-7, temperature=0.0, bounds=(-1.0, 1.0), boundary=boundary
    )
    zero = np.zeros(1, np.float32)
    state = Momentum(np.array([v], np.float32), zero, zero[0])
    new, state, _ = stepped(sampler, np.array([x], np.float32), state, getkey())
    np.testing.assert_allclose(new, [there], atol=1e-5)
    np.testing.assert_allclose(state.velocity, [turned], atol=1e-5)


def test_a_reflected_chain_in_a_flat_box_is_uniform(getkey):
    sampler = UnderdampedLangevin(0.5, bounds=(-1.0, 2.0), boundary="reflect")
    x = np.zeros((8_000, 1), np.float32)
    x, _ = run(flat, sampler, x, num_steps=80, key=getkey())
    assert_mean(x, [0.5])
    assert_covariance(x, [[9 / 12]])
    assert float(np.abs(np.asarray(x) - 0.5).max()) <= 1.5


def test_friction_must_be_positive():
    with pytest.raises(ValueError, match=r"friction=0\.0"):
        UnderdampedLangevin(0.1, friction=0.0)
    with pytest.raises(ValueError, match="either a temperature or a noise scale"):
        UnderdampedLangevin(0.1, temperature=0.5, noise_scale=0.1)
    with pytest.raises(ValueError, match="give 'clip' or 'reflect'"):
        UnderdampedLangevin(0.1, boundary="wrap")


def test_a_new_number_does_not_retrace(getkey):
    traces, counts = [], []

    def energy(x):
        traces.append(None)
        return jnp.sum(x**2)

    for value in (0.1, 0.2):
        sampler = UnderdampedLangevin(value, friction=value, temperature=value)
        run(energy, sampler, jnp.ones((2, 3)), num_steps=2, key=getkey())
        counts.append(len(traces))
    assert counts[0] == counts[1] > 0
