"""Trajectories of many lengths: the sequence, each trajectory, and what stays between runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import points

from ebmx.samplers import HMC, JitteredHMC, run
from ebmx.samplers.kernels._jittered_hmc import fraction_of

CALLS = []


def quartic(x):
    return jnp.sum(x**4) / 4 + jnp.sum(x**2) / 2


def test_the_fractions_are_the_sequence_of_van_der_corput():
    got = jax.vmap(fraction_of)(jnp.arange(1_000))
    want = scipy.stats.qmc.Halton(1, scramble=False).random(1_001)[1:, 0]
    np.testing.assert_array_equal(got, want.astype(np.float32))


@pytest.mark.parametrize(("count", "num"), [(0, 4), (1, 2), (2, 6), (3, 1), (6, 7)])
def test_each_trajectory_is_that_of_hmc_of_its_length(count, num, getkey):
    x, key, masses = jnp.array([0.3, -0.8]), getkey(), np.array([1.0, 0.5])
    jittered, plain = JitteredHMC(0.4, 3.2, masses), HMC(0.4, num, masses)
    state = jittered.init(quartic, x, key=key)._replace(count=jnp.int32(count))
    new, state, info = jittered.step(quartic, x, state, key=key)
    want, _, other = plain.step(quartic, x, plain.init(quartic, x, key=key), key=key)
    np.testing.assert_allclose(new, want, rtol=1e-6)
    np.testing.assert_allclose(info.acceptance, other.acceptance, rtol=1e-5)
    assert int(state.count) == count + 1


def counted(x):
    @jax.custom_vjp
    def noted(x):
        return quartic(x)

    def forward(x):
        jax.debug.callback(lambda _: CALLS.append(None), x)
        return quartic(x), x

    noted.defvjp(forward, lambda x, slope: (slope * jax.grad(quartic)(x),))
    return noted(x)


@pytest.mark.medium
@pytest.mark.parametrize(("most", "wanted"), [(1000, 4 + 2 + 6 + 1), (3, 3 + 2 + 3 + 1)])
def test_no_trajectory_is_longer_than_allowed(most, wanted, getkey):
    CALLS.clear()
    sampler = JitteredHMC(0.4, 3.2, max_num_integration_steps=most)
    run(counted, sampler, jnp.ones((1, 2)), num_steps=4, key=getkey())
    jax.effects_barrier()
    assert len(CALLS) == 1 + wanted


def test_the_sequence_goes_on_when_something_else_moves_the_chain(getkey):
    sampler, key = JitteredHMC(0.4, 3.2), getkey()
    state = sampler.init(quartic, jnp.zeros(2), key=key)._replace(count=jnp.int32(5))
    new = sampler.refresh(quartic, jnp.ones(2), state, key=key)
    assert int(new.count) == 5
    np.testing.assert_allclose(new.kernel.logdensity, -1.5)
    scaled = sampler.retemper(quartic, jnp.ones(2), new, jnp.float32(2.0), key=key)
    assert int(scaled.count) == 5
    np.testing.assert_allclose(scaled.kernel.logdensity, -3.0)


@pytest.mark.medium
def test_new_lengths_do_not_retrace(getkey):
    traces = []

    def energy(x):
        traces.append(None)
        return quartic(x)

    x = points(4, (2,))
    run(energy, JitteredHMC(0.4, 1.0), x, num_steps=3, key=getkey())
    count = len(traces)
    run(energy, JitteredHMC(0.2, 3.0), x, num_steps=3, key=getkey())
    assert len(traces) == count
