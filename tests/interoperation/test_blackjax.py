"""Log densities of BlackJAX as energies, energies as its log densities, and trees as positions."""

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean

import ebmx
from ebmx.energies import Function, Gaussian, Raveled
from ebmx.samplers import MALA, BlackJAX, Langevin

MEAN = np.array([1.0, -0.5, 0.2])
COVARIANCE = np.array([[1.0, 0.3, 0.0], [0.3, 0.5, 0.1], [0.0, 0.1, 0.8]])
PRECISION = np.linalg.inv(COVARIANCE).astype(np.float32)


def log_density(x):
    """As programs for BlackJAX write it, without a constant."""
    off = x - MEAN
    return -0.5 * off @ PRECISION @ off


def of_tree(tree):
    return log_density(jnp.concatenate([tree["a"], tree["b"]["c"][None]]))


EXAMPLE = {"a": np.zeros(2), "b": {"c": np.zeros(())}}


def test_a_log_density_with_its_sign_turned_is_an_energy():
    energy = Function(lambda x: -log_density(x), (3,))
    exact = Gaussian(MEAN, COVARIANCE)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(ebmx.energy(energy, x), ebmx.energy(exact, x), rtol=1e-4, atol=1e-5)


def test_an_energy_with_its_sign_turned_is_a_log_density_of_a_kernel():
    energy = Gaussian(MEAN, COVARIANCE)
    kernel = blackjax.hmc(
        lambda x: -energy(x),
        step_size=0.4,
        inverse_mass_matrix=jnp.ones(3),
        num_integration_steps=5,
    )

    def chain(key, x):
        state = kernel.init(x)
        keys = jax.random.split(key, 40)
        return jax.lax.scan(lambda s, k: (kernel.step(k, s)[0], None), state, keys)[0].position

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        x = jax.jit(jax.vmap(chain))(
            jax.random.split(jax.random.key(1), 4000),
            jnp.broadcast_to(jnp.asarray(MEAN, jnp.float32), (4000, 3)),
        )
    assert_mean(x, MEAN)
    assert_covariance(x, COVARIANCE)


SAMPLERS = {
    "Langevin": Langevin(0.01),
    "MALA": MALA(0.5),
    "a kernel of BlackJAX": BlackJAX(
        blackjax.barker.init, blackjax.barker.build_kernel(), step_size=0.8
    ),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", SAMPLERS)
def test_chains_of_trees_have_the_moments_of_their_leaves(name):
    energy = Raveled(lambda tree: -of_tree(tree), EXAMPLE)
    sampler, key = SAMPLERS[name], jax.random.key(2)
    # from an exact sample, so that only what a step changes is seen
    start = {"a": MEAN[:2], "b": {"c": MEAN[2]}}
    noise = np.random.default_rng(3).normal(size=(4000, 3)) @ np.linalg.cholesky(COVARIANCE).T
    x = energy.ravel(start)[None] + jnp.asarray(noise, jnp.float32)
    last, _ = ebmx.run(energy, sampler, x, num_steps=50, key=key)
    tree = energy.unravel(last)
    assert tree["a"].shape == (4000, 2)
    assert tree["b"]["c"].shape == (4000,)
    values = np.concatenate([tree["a"], tree["b"]["c"][:, None]], 1)
    assert_mean(values, MEAN)
    assert_covariance(values, COVARIANCE)
    assert np.abs(np.asarray(last) - np.asarray(x)).max() > 1
    samples = ebmx.sample(energy, sampler, last[:8], num_samples=3, save=energy.save, key=key)
    assert samples.values["a"].shape == (8, 3, 2)
    assert samples.values["b.c"].shape == (8, 3)
