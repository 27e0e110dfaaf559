"""What `sample` says of chains that start or end where energy or gradient are not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian
from ebmx.samplers import (
    HMC,
    MALA,
    MCLMC,
    RESULTS,
    Barker,
    Independence,
    Langevin,
    ReplicaExchange,
    run,
    sample,
)


def barrier(x):
    """Not a number below 0; the density is that of Gamma(3, 1)."""
    return jnp.sum(x - 2 * jnp.log(x))


def ring(x):
    """Its gradient is not a number at the origin."""
    return (jnp.linalg.norm(x) - 2) ** 2


def slope(x):
    """Falls to minus infinity at 0, and is not a number below it."""
    return jnp.sum(jnp.log(x))


def codes(energy, sampler, x, key):
    x = np.asarray(x, np.float32)
    return sample(energy, sampler, x, num_samples=3, throw=False, key=key).result.tolist()


@pytest.mark.medium
def test_a_start_without_energy_is_told(getkey):
    x = np.array([[-1.0, 1.0], [1.0, 1.0], [np.nan, 1.0]])
    bad = [RESULTS.nonfinite_start_energy, RESULTS.successful, RESULTS.nonfinite_start]
    assert codes(barrier, MALA(0.1), x, getkey()) == bad
    with pytest.raises(FloatingPointError, match=r"1 of 2 chains failed, \[0\]: the energy"):
        sample(barrier, MALA(0.1), x[:2].astype("f4"), num_samples=3, key=getkey())


@pytest.mark.medium
def test_a_start_without_gradient_is_told_where_a_gradient_is_taken(getkey):
    x = np.array([[0.0, 0.0], [1.0, 0.0]])
    bad = [RESULTS.nonfinite_start_gradient, RESULTS.successful]
    assert codes(ring, HMC(0.1, 2), x, getkey()) == bad
    jumps = Independence(Gaussian(jnp.zeros(2), 2.0))
    assert codes(ring, jumps, x, getkey()) == [RESULTS.successful] * 2


def test_an_end_without_energy_is_told(getkey):
    # without noise, from 1/2 by a step of 1 on a slope of 2 to -3/2, and from 10 to 9.9
    x = np.array([[0.5], [10.0]], np.float32)
    downhill, key = Langevin(2.0, temperature=0.0), getkey()
    got = sample(slope, downhill, x, num_samples=1, throw=False, key=key)
    np.testing.assert_allclose(got.x[:, 0], [-1.5, 9.9], rtol=1e-6)
    assert got.result.tolist() == [RESULTS.nonfinite_energy, RESULTS.successful]
    with pytest.raises(FloatingPointError, match=r"1 of 2 chains failed, \[0\]: the chain ends"):
        sample(slope, downhill, x, num_samples=1, key=key)
    _, info = run(slope, downhill, x, num_steps=2, key=key)
    np.testing.assert_array_equal(info.divergent, [True, False])


@pytest.mark.medium
def test_steps_that_a_kernel_takes_back_are_divergent(getkey):
    x = np.full((4, 3), 0.3, np.float32)
    steep = lambda x: jnp.sum(100 * x**4 - 2 * jnp.log(x))  # noqa: E731
    for step_size, back in ((0.01, False), (10.0, True)):
        got = sample(steep, MCLMC(step_size, 1.0), x, num_samples=8, throw=False, key=getkey())
        np.testing.assert_array_equal(got.info.divergent, back)
        moves = np.diff(np.asarray(got.values), axis=1)
        assert np.all(moves == 0) == back
        np.testing.assert_allclose(got.info.energy, jax.vmap(steep)(got.x), rtol=1e-4)


def test_a_proposal_without_energy_is_rejected_with_an_acceptance_of_0(getkey):
    x = np.full((200, 1), 0.05, np.float32)
    half = lambda x: jnp.sum(0.5 * x**2 + jnp.where(x < 0, jnp.nan, 0))  # noqa: E731
    new, info = run(half, Barker(1.0), x, num_steps=1, key=getkey())
    assert np.all(np.isfinite(info.acceptance))
    assert 0.3 < np.mean(info.acceptance == 0) < 0.7
    assert np.all(np.asarray(new) > 0)
    assert not np.any(info.divergent)


@pytest.mark.medium
def test_a_failure_of_an_upper_replica_is_told(getkey):
    bounded = lambda x: jnp.sum(0.5 * x**2 + jnp.where(jnp.abs(x) > 7, jnp.nan, 0))  # noqa: E731
    ladder = ReplicaExchange(Langevin(0.5), np.array([1.0, 100.0]))
    x = np.zeros((16, 1), np.float32)
    got = sample(bounded, ladder, x, num_samples=200, throw=False, key=getkey())
    assert np.mean(np.abs(got.state.upper) > 7) > 0.2
    assert np.mean(got.info.divergent) > 0.5


@pytest.mark.medium
def test_no_step_leaves_the_energy_where_it_was(getkey):
    x = jnp.ones((4, 2))
    none = jax.jit(lambda num: run(wells, MALA(0.5), x, num_steps=num, key=getkey()))
    new, info = none(jnp.asarray(0))
    np.testing.assert_array_equal(new, x)
    np.testing.assert_array_equal(info.energy, 1.0)


def wells(x):
    """1 at `(1, 1)`."""
    return 0.5 * jnp.sum(x**2)
