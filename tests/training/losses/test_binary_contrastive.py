"""The binary cross entropy of data against samples, against NumPy and its minimiser."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from closed_forms import call_loss
from helpers import points

from ebmx.energies import MLP, Gaussian
from ebmx.training import Examples, binary_contrastive_loss, contrastive_loss

NETWORK = MLP((2,), (8,), key=jax.random.key(1))
REAL, FAKE = points(6, (2,), seed=3), points(4, (2,), seed=4, scale=2.0) + 0.5


def test_agrees_with_numpy():
    energy = Gaussian(np.array([0.5, -1.0]), np.array([0.7, 2.0])) - 1.0 * NETWORK
    real, fake = (np.asarray(jax.vmap(energy)(x), np.float64) for x in (REAL, FAKE))
    loss, metrics = call_loss(binary_contrastive_loss, energy, REAL, FAKE)
    expected = np.log1p(np.exp(real)).mean() + np.log1p(np.exp(-fake)).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["real_energy_mean"], real.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["fake_energy_std"], fake.std(), rtol=1e-4)


def test_weights_are_those_of_means():
    weights = np.arange(1.0, 5.0, dtype=np.float32)
    negatives = Examples(FAKE, log_weights=jnp.log(weights))
    loss, _ = eqx.filter_jit(binary_contrastive_loss)(NETWORK, Examples(REAL), negatives)
    real, fake = (np.asarray(jax.vmap(NETWORK)(x), np.float64) for x in (REAL, FAKE))
    expected = np.log1p(np.exp(real)).mean()
    expected += np.average(np.log1p(np.exp(-fake)), weights=weights)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_the_gradient_is_bounded_by_that_of_the_contrastive_loss():
    """Through a constant that is added to the energy: `σ(E⁺) − σ(−E⁻)`, where the other has 0."""

    @eqx.filter_jit
    def slopes(shift):
        def of(loss):
            lifted = lambda c: loss(  # noqa: E731
                lambda x: jnp.sum(x) + shift + c, Examples(REAL), Examples(FAKE)
            )[0]
            return jax.grad(lifted)(0.0)

        return of(binary_contrastive_loss), of(contrastive_loss)

    for shift in (-50.0, 0.0, 50.0):
        binary, plain = slopes(jnp.asarray(shift))
        real, fake = (np.asarray(x, np.float64).sum(1) + shift for x in (REAL, FAKE))
        expected = scipy.special.expit(real).mean() - scipy.special.expit(-fake).mean()
        np.testing.assert_allclose(binary, expected, rtol=1e-4)
        np.testing.assert_allclose(plain, 0.0, atol=1e-6)
        assert abs(binary) <= 1.0


@pytest.mark.medium
def test_the_minimum_is_the_log_ratio_of_the_densities(getkey):
    """Data N(0, 1) against N(1, 1): `log q - log p` is `x - ½`."""
    keys = jax.random.split(getkey())
    real = jax.random.normal(keys[0], (200_000, 1))
    fake = 1.0 + jax.random.normal(keys[1], (200_000, 1))

    @jax.jit
    def slope(parameters):
        loss = lambda p: binary_contrastive_loss(  # noqa: E731
            lambda x: p[0] * x[0] + p[1], Examples(real), Examples(fake)
        )[0]
        return jax.grad(loss)(parameters), jax.hessian(loss)(parameters)

    parameters = jnp.zeros(2)
    for _ in range(8):  # Newton's method
        gradient, curvature = slope(parameters)
        parameters = parameters - jnp.linalg.solve(curvature, gradient)
    np.testing.assert_allclose(parameters, [1.0, -0.5], atol=0.02)
