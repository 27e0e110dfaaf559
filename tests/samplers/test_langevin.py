"""Langevin dynamics on a Gaussian, where the law of the chain is known at every step."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean

from ebmx.energies import Gaussian
from ebmx.samplers import MALA, Langevin, UnderdampedLangevin, displacement_budget, run, sample

COVARIANCE = np.array([[0.8, 0.3], [0.3, 0.5]])
PRECISION = np.linalg.inv(COVARIANCE)
MEAN = np.array([0.5, -1.0])
START = np.array([2.0, 1.0])
NUM_CHAINS = 20_000
STEPS = [(0.2, 1.0), (0.5, 1.0), (0.5, 0.3)]


def chains(start=START):
    return np.broadcast_to(start.astype(np.float32), (NUM_CHAINS, 2))


def exact_law(step_size, temperature, num_steps):
    """Mean and covariance after each step, from the point `START`."""
    contraction = np.eye(2) - step_size / 2 * PRECISION
    mean, covariance = START, np.zeros((2, 2))
    for _ in range(num_steps):
        mean = MEAN + contraction @ (mean - MEAN)
        covariance = contraction @ covariance @ contraction.T
        covariance = covariance + step_size * temperature * np.eye(2)
        yield mean, covariance


@pytest.mark.parametrize(("step_size", "temperature"), STEPS)
def test_the_law_is_exact_after_every_step(step_size, temperature, getkey):
    sampler = Langevin(step_size, temperature=temperature)
    energy = Gaussian(MEAN, COVARIANCE)
    values = np.asarray(sample(energy, sampler, chains(), num_samples=4, key=getkey()).values)
    assert values.shape == (NUM_CHAINS, 4, 2)
    for k, (mean, covariance) in enumerate(exact_law(step_size, temperature, 4)):
        assert_mean(values[:, k], mean)
        assert_covariance(values[:, k], covariance)
        # a chain that stays, or one that is at its target at once, would not pass
        error = np.sqrt(covariance[0, 0] / NUM_CHAINS)
        assert abs(mean[0] - START[0]) > 10 * error
        assert abs(mean[0] - MEAN[0]) > 10 * error


NUM_STEPS = 200
PROBES = np.concatenate([[[NUM_STEPS, 0]], np.argwhere(np.ones((NUM_STEPS, 2)))])
"""No increment at all, then a unit increment in one step and coordinate after the other."""


def probed(shape, dtype, *, key):
    """The unit vector that the key names, or zeros."""
    return (jnp.arange(shape[0]) == jax.random.key_data(key)[0]).astype(dtype)


@jax.jit
def responses(step_size, temperature):
    """The chains of all probes, `(probes, steps, 2)`: the step is affine in its increments."""
    sampler, energy = (
        Langevin(step_size, temperature, increments=probed),
        Gaussian(MEAN, COVARIANCE),
    )

    def chain(probe):
        def step(x, i):
            name = jnp.stack([jnp.where(i == probe[0], probe[1], 2), 0]).astype(jnp.uint32)
            x, _, _ = sampler.step(energy, x, None, key=jax.random.wrap_key_data(name))
            return x, x

        return jax.lax.scan(step, jnp.asarray(START, float), jnp.arange(NUM_STEPS))[1]

    return jax.vmap(chain)(jnp.asarray(PROBES))


@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("step_size", [0.01, 0.1, 0.3, 0.6, 0.9])
def test_mean_and_covariance_follow_their_recursion(step_size, temperature):
    with jax.enable_x64(True):
        still, *moved = np.asarray(responses(step_size, temperature))
    spread = np.stack(moved) - still
    for k, (mean, covariance) in enumerate(exact_law(step_size, temperature, NUM_STEPS)):
        np.testing.assert_allclose(still[k], mean, atol=1e-9)
        np.testing.assert_allclose(spread[:, k].T @ spread[:, k], covariance, atol=1e-9)
    if step_size >= 0.1:
        stationary = np.linalg.inv(np.eye(2) - step_size / 4 * PRECISION)
        np.testing.assert_allclose(covariance, temperature * COVARIANCE @ stationary, rtol=1e-3)


def test_the_checks_reject_a_chain_that_hardly_moves(getkey):
    energy = Gaussian(MEAN, COVARIANCE)
    values, _ = run(energy, Langevin(1e-6), chains(), num_steps=60, key=getkey())
    *_, (mean, covariance) = exact_law(0.2, 1.0, 60)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_mean(values, mean)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_covariance(values, covariance)


def test_the_stationary_covariance_is_the_documented_one(getkey):
    step_size, temperature = 0.5, 0.3
    sampler = Langevin(step_size, temperature=temperature)
    x, _ = run(Gaussian(MEAN, COVARIANCE), sampler, chains(), num_steps=60, key=getkey())
    stationary = temperature * COVARIANCE @ np.linalg.inv(np.eye(2) - step_size / 4 * PRECISION)
    *_, (mean, limit) = exact_law(step_size, temperature, 60)
    np.testing.assert_allclose(limit, stationary, rtol=1e-3)
    assert_mean(x, mean)
    assert_covariance(x, stationary)
    # the bias of the step size is seen: the test would not pass for an unbiased sampler
    with pytest.raises(AssertionError, match="standard errors"):
        assert_covariance(x, temperature * COVARIANCE)


def test_a_noise_scale_is_a_temperature(getkey):
    sampler = Langevin(0.5, noise_scale=0.4)
    np.testing.assert_allclose(sampler.effective_temperature, 0.4**2 / 0.5, rtol=1e-6)
    np.testing.assert_allclose(Langevin(0.5, temperature=0.3).effective_temperature, 0.3)
    energy, x, key = Gaussian(MEAN, COVARIANCE), chains()[:8], getkey()
    one, _ = run(energy, sampler, x, num_steps=5, key=key)
    for temperature, same in ((sampler.effective_temperature, True), (1.0, False)):
        warm = Langevin(0.5, temperature=temperature)
        other, _ = run(energy, warm, x, num_steps=5, key=key)
        assert np.allclose(one, other, rtol=1e-4, atol=1e-5) == same


def test_temperature_zero_is_gradient_descent(getkey):
    energy, x = Gaussian(MEAN, COVARIANCE), chains()[:2]
    got, info = run(energy, Langevin(0.5, temperature=0.0), x, num_steps=3, key=getkey())
    contraction = np.eye(2) - 0.25 * PRECISION
    want = MEAN + np.linalg.matrix_power(contraction, 3) @ (START - MEAN)
    np.testing.assert_allclose(got, np.stack([want, want]), rtol=1e-5)
    # the info is of the position where the last gradient was taken
    before = np.linalg.matrix_power(contraction, 2) @ (START - MEAN)
    np.testing.assert_allclose(info.energy, 0.5 * before @ PRECISION @ before, rtol=1e-4)
    np.testing.assert_allclose(info.grad_norm, np.linalg.norm(PRECISION @ before), rtol=1e-4)
    np.testing.assert_array_equal(info.acceptance, [1.0, 1.0])
    assert not np.any(info.divergent)


def test_the_gradient_is_clipped_in_each_coordinate(getkey):
    slope = jnp.array([3.0, -0.1, -5.0, 0.4])
    sampler = Langevin(0.2, noise_scale=0.0, grad_clip=0.5)
    start = np.zeros((1, 4), np.float32)
    x, info = run(lambda x: slope @ x, sampler, start, num_steps=1, key=getkey())
    x, info = jax.tree.map(np.asarray, (x, info))
    np.testing.assert_allclose(x[0], -0.1 * np.array([0.5, -0.1, -0.5, 0.4]), rtol=1e-5)
    # the norm that is reported is that of the gradient before it is clipped
    np.testing.assert_allclose(info.grad_norm[0], np.linalg.norm(slope), rtol=1e-5)


def test_bounds_hold_each_coordinate(getkey):
    sampler = Langevin(4.0, bounds=(-0.5, 0.25))
    x = np.zeros((64, 3), np.float32)
    values = np.asarray(sample(jnp.sum, sampler, x, num_samples=3, key=getkey()).values)
    assert float(values.min()) == -0.5
    assert float(values.max()) == 0.25
    inside = (values > -0.5) & (values < 0.25)
    assert 0 < int(inside.sum()) < values.size


@jax.jit
def confined(x):
    bounds = (-1.0, 2.0)
    return [Langevin(0.1, bounds=bounds, boundary=b).confine(x) for b in ("clip", "reflect")]


def test_positions_are_clipped_or_reflected_at_the_bounds():
    x = np.array([-7.5, -4.2, -1.5, -1.0, 0.3, 2.0, 2.5, 5.5, 8.25], np.float32)
    clipped, reflected = confined(x)
    np.testing.assert_allclose(clipped, [-1, -1, -1, -1, 0.3, 2, 2, 2, 2])
    # at both ends in turn, as often as it takes
    want = [-0.5, 1.8, -0.5, -1.0, 0.3, 2.0, 1.5, -0.5, 1.75]
    np.testing.assert_allclose(reflected, want, atol=1e-5)
    free = Langevin(0.1)
    assert free.confine(x) is x
    assert free.clip(x) is x


@pytest.mark.parametrize(
    "bounds", [(1.0, 1.0), (1.0, 0.5), (-1.0, -2.0), (np.zeros(2), np.array([1.0, 0.0]))]
)
def test_bounds_are_in_order(bounds):
    with pytest.raises(ValueError, match=r"bounds=.*low < high"):
        Langevin(0.1, bounds=bounds)


def test_bounds_have_one_end_or_one_for_each_coordinate():
    x = jnp.array([-1.5, 0.3, 2.5])
    half = Langevin(0.1, bounds=(0.0, None))
    np.testing.assert_allclose(half.confine(x), [0.0, 0.3, 2.5])
    reflecting = Langevin(0.1, bounds=(None, 2.0), boundary="reflect")
    np.testing.assert_allclose(reflecting.confine(x), [-1.5, 0.3, 1.5])
    low, high = np.array([-1.0, -np.inf, 0.0]), np.array([1.0, 0.0, np.inf])
    each = Langevin(0.1, bounds=(low, high))
    np.testing.assert_allclose(each.confine(x), [-1.0, 0.0, 2.5])
    mixed = Langevin(0.1, bounds=(low, high), boundary="reflect")
    np.testing.assert_allclose(mixed.confine(x), [-0.5, -0.3, 2.5], rtol=1e-6)


def test_bounds_may_be_negative_and_a_noise_scale_goes_with_a_temperature_of_one():
    Langevin(0.1, bounds=(-3.0, -1.0))
    Langevin(0.1, temperature=1.0, noise_scale=0.5)
    with pytest.raises(ValueError, match="either a temperature or a noise scale"):
        Langevin(0.1, temperature=0.5, noise_scale=0.1)
    # a traced temperature is not looked at
    traced = lambda t: Langevin(0.1, temperature=t, noise_scale=0.5).temperature  # noqa: E731
    assert jax.eval_shape(traced, 0.3).shape == ()


def test_a_new_number_does_not_retrace(getkey):
    traces = []

    def energy(x):
        traces.append(None)
        return jnp.sum(x**2)

    def move(**numbers):
        return run(energy, Langevin(**numbers), jnp.ones((2, 3)), num_steps=4, key=getkey())[0]

    plain = move(step_size=0.1)
    full = {"noise_scale": 0.1, "grad_clip": 1.0, "bounds": (-1.0, 1.0)}
    move(step_size=0.1, **full)
    count = len(traces)
    assert count > 0
    assert not np.allclose(plain, move(step_size=0.2))
    move(step_size=0.05, temperature=0.5)
    move(step_size=0.2, noise_scale=0.3, grad_clip=0.1, bounds=(-2.0, 3.0))
    assert len(traces) == count


def test_numbers_may_be_traced_and_mapped(getkey):
    energy, x, key = Gaussian(MEAN, COVARIANCE), chains()[:2], getkey()

    def end(step_size):
        return run(energy, Langevin(step_size), x, num_steps=2, key=key)[0]

    def total(step_size):
        return jnp.sum(end(step_size))

    sizes = np.array([0.1, 0.4, 0.09, 0.11], np.float32)
    swept, slopes = jax.jit(jax.vmap(lambda s: (end(s), jax.grad(total)(s))))(sizes)
    swept = np.asarray(swept, np.float64)
    np.testing.assert_allclose(swept[0], end(0.1), rtol=1e-5)
    np.testing.assert_allclose(swept[1], end(0.4), rtol=1e-5)
    np.testing.assert_allclose(slopes[0], (swept[3] - swept[2]).sum() / 0.02, rtol=0.02)


def test_displacement_budget():
    sampler = Langevin(0.2, noise_scale=0.1, grad_clip=0.5)
    assert displacement_budget(sampler, 60) == pytest.approx(60 * 0.1 * 0.5)
    assert displacement_budget(Langevin(0.2), 60) == np.inf
    assert displacement_budget(MALA(0.2), 60) == np.inf
    known = UnderdampedLangevin(0.2, grad_clip=0.5)
    assert displacement_budget(known, 60) == np.inf
    traced = eqx.filter_jit(lambda s: jnp.asarray(displacement_budget(s, 60)))(sampler)
    assert float(traced) == np.inf
    one_traced = jax.jit(lambda s: jnp.asarray(displacement_budget(Langevin(s, grad_clip=0.5), 60)))
    assert float(one_traced(0.2)) == np.inf


def test_an_energy_that_is_not_finite_is_divergent(getkey):
    # its gradient is 0, so the positions alone would not show it
    x = np.array([[1.0], [-100.0]], np.float32)
    energy = lambda x: jnp.where(x[0] > 0, jnp.inf, 0.0)  # noqa: E731
    _, info = run(energy, Langevin(0.01), x, num_steps=2, key=getkey())
    np.testing.assert_array_equal(info.divergent, [True, False])


@pytest.mark.parametrize("shape", [(3,), (5, 2)])
@pytest.mark.parametrize("boundary", ["clip", "reflect"])
def test_bounds_fit_the_positions(shape, boundary):
    sampler = Langevin(0.1, bounds=(np.zeros(shape), None), boundary=boundary)
    with pytest.raises(ValueError, match=r"bounds\.shape=.*fits the shape \(2,\)"):
        sampler.confine(jnp.zeros(2))
