"""`energy`, `score` and `log_density_unnormalised` of a batch, for every energy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ENERGIES, points

import ebmx


@pytest.mark.parametrize("name", ENERGIES)
def test_batched_functions_agree_with_one_example_at_a_time(name, getkey):
    energy = ENERGIES[name](getkey())
    x = points(3, energy.shape)
    one_at_a_time = jax.jit(jax.value_and_grad(energy))
    values, slopes = map(jnp.stack, zip(*map(one_at_a_time, x), strict=True))
    np.testing.assert_allclose(ebmx.energy(energy, x), values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ebmx.log_density_unnormalised(energy, x), -values, rtol=1e-5)
    np.testing.assert_allclose(ebmx.score(energy, x), -slopes, rtol=1e-4, atol=1e-6)
    assert float(jnp.max(jnp.abs(slopes))) > 1e-4


def test_plain_callables_are_energies(getkey):
    x = jax.random.normal(getkey(), (5, 3))
    np.testing.assert_allclose(ebmx.energy(lambda x: jnp.sum(x**4), x), jnp.sum(x**4, 1), rtol=1e-5)
    np.testing.assert_allclose(ebmx.score(lambda x: jnp.sum(x**4), x), -4 * x**3, rtol=1e-5)


def test_numpy_batches_are_taken(getkey):
    energy = ENERGIES["gaussian-full"](getkey())
    x = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(ebmx.energy(energy, x), ebmx.energy(energy, jnp.asarray(x)))


def test_bfloat16_examples_keep_their_dtype(getkey):
    x = jax.random.normal(getkey(), (5, 3), jnp.bfloat16)
    assert ebmx.score(lambda x: 0.5 * jnp.sum(x**2), x).dtype == jnp.bfloat16
