"""Preconditioned Langevin: a step size for each coordinate."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean, points

from ebmx.energies import Gaussian
from ebmx.samplers import Langevin, PreconditionedLangevin, RMSProp, run

SCALE = np.array([0.25, 4.0])
COVARIANCE = np.array([[0.3, 0.2], [0.2, 3.0]])
ENERGY = Gaussian(jnp.zeros(2), COVARIANCE)
ROOT = np.diag(1 / np.sqrt(SCALE))
RESCALED = Gaussian(jnp.zeros(2), ROOT @ COVARIANCE @ ROOT)
"""The energy in units in which the diagonal is one, but for a constant."""


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_a_diagonal_is_langevin_in_other_units(temperature, getkey):
    key, root = getkey(), np.sqrt(SCALE).astype(np.float32)
    z = np.asarray(points(32, (2,)))
    sampler = PreconditionedLangevin(0.4, SCALE, temperature=temperature)
    x, info = run(ENERGY, sampler, root * z, num_steps=6, key=key)
    plain = Langevin(0.4, temperature=temperature)
    want, same = run(RESCALED, plain, z, num_steps=6, key=key)
    np.testing.assert_allclose(x, root * np.asarray(want), rtol=1e-4, atol=1e-4)
    constant = 0.5 * np.log(np.prod(SCALE))
    np.testing.assert_allclose(info.energy, same.energy + constant, rtol=1e-4, atol=1e-5)


def test_the_stationary_covariance_is_that_of_the_other_units(getkey):
    step, temperature = 0.4, 0.5
    sampler = PreconditionedLangevin(step, SCALE, temperature=temperature)
    x, _ = run(ENERGY, sampler, np.ones((20_000, 2), np.float32), num_steps=80, key=getkey())
    root = np.diag(np.sqrt(SCALE))
    inner = np.linalg.inv(root) @ COVARIANCE @ np.linalg.inv(root)
    law = temperature * inner @ np.linalg.inv(np.eye(2) - step / 4 * np.linalg.inv(inner))
    assert_mean(x, [0.0, 0.0])
    assert_covariance(x, root @ law @ root)


def test_a_scalar_diagonal_is_a_step_size(getkey):
    x, key = np.ones((4, 2), np.float32), getkey()
    one, _ = run(ENERGY, PreconditionedLangevin(0.2, 0.5), x, num_steps=3, key=key)
    other, _ = run(ENERGY, Langevin(0.1), x, num_steps=3, key=key)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_rmsprop_remembers_squares():
    rmsprop = RMSProp(0.9, damping=0.1)
    memory = rmsprop.init(jnp.zeros(2))
    want = np.ones(2)
    for gradient in np.array([[3.0, -0.1], [1.0, 0.2], [-2.0, 0.0]]):
        diagonal, memory = rmsprop.update(memory, jnp.asarray(gradient, jnp.float32))
        want = 0.9 * want + 0.1 * gradient**2
        np.testing.assert_allclose(memory, want, rtol=1e-5)
        np.testing.assert_allclose(diagonal, 1 / (0.1 + np.sqrt(want)), rtol=1e-5)


def test_rmsprop_moves_steep_and_flat_coordinates_alike(getkey):
    slope = jnp.array([100.0, 0.01])
    sampler = PreconditionedLangevin(0.1, RMSProp(0.5, damping=1e-6), temperature=0.0)
    x, _ = run(
        lambda x: slope @ x, sampler, np.zeros((1, 2), np.float32), num_steps=60, key=getkey()
    )
    x = np.asarray(x)[0]
    np.testing.assert_allclose(x[0], -0.05 * 60, rtol=0.05)
    assert x[1] / x[0] > 0.7


def test_the_gradient_is_clipped_before_it_is_scaled_and_bounds_hold(getkey):
    sampler = PreconditionedLangevin(0.2, SCALE, temperature=0.0, grad_clip=0.5)
    x, info = run(
        lambda x: 3 * jnp.sum(x), sampler, np.zeros((1, 2), np.float32), num_steps=1, key=getkey()
    )
    np.testing.assert_allclose(np.asarray(x)[0], -0.1 * 0.5 * SCALE, rtol=1e-5)
    np.testing.assert_allclose(info.grad_norm, 3 * np.sqrt(2), rtol=1e-5)
    box = PreconditionedLangevin(9.0, SCALE, bounds=(-1.0, 0.5), boundary="reflect")
    x, _ = run(
        lambda x: 0 * jnp.sum(x), box, np.zeros((9_000, 2), np.float32), num_steps=30, key=getkey()
    )
    assert_mean(x, [-0.25, -0.25])
    assert_mean((np.asarray(x) + 0.25) ** 2, [1.5**2 / 12] * 2)


def test_an_energy_that_is_not_finite_is_divergent(getkey):
    x = np.array([[1.0, 1.0], [-100.0, 1.0]], np.float32)
    energy = lambda x: jnp.where(x[0] > 0, jnp.inf, 0.0)  # noqa: E731
    sampler = PreconditionedLangevin(0.01, SCALE)
    _, info = run(energy, sampler, x, num_steps=2, key=getkey())
    np.testing.assert_array_equal(info.divergent, [True, False])
    np.testing.assert_array_equal(info.acceptance, [1.0, 1.0])


def test_a_noise_scale_is_a_temperature(getkey):
    sampler = PreconditionedLangevin(0.2, SCALE, noise_scale=0.3)
    np.testing.assert_allclose(sampler.effective_temperature, 0.45, rtol=1e-6)
    warm = PreconditionedLangevin(0.2, SCALE, temperature=0.45)
    np.testing.assert_allclose(warm.effective_temperature, 0.45, rtol=1e-6)
    x, key = np.ones((8, 2), np.float32), getkey()
    one, other = (run(ENERGY, s, x, num_steps=4, key=key)[0] for s in (sampler, warm))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PreconditionedLangevin(0.1, [1.0, 0.0]), "preconditioner="),
        (lambda: RMSProp(1.5), "decay="),
        (lambda: RMSProp(damping=0.0), "damping="),
        (lambda: PreconditionedLangevin(-0.1), "step_size="),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_diagonal_of_another_shape_is_told(getkey):
    sampler = PreconditionedLangevin(0.1, jnp.ones(3))
    with pytest.raises(
        ValueError, match=r"preconditioner\.shape=\(3,\): give a scalar or an array"
    ):
        run(ENERGY, sampler, np.ones((1, 2), np.float32), num_steps=1, key=getkey())
