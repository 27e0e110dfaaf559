"""Persistent ladders of temperatures: chains that leave a mode, and keep what they were."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Conditional, Gaussian, GaussianMixture, MLPNetwork
from ebmx.samplers import MALA, Langevin, ReplicaExchange, run_replicas
from ebmx.training import PCD, GaussianNoise, TemperedPCD

MODES = GaussianMixture(jnp.array([[-4.0], [4.0]]), 0.5, jnp.array([0.3, 0.7]))
LADDER = ReplicaExchange(MALA(0.25), jnp.array([1.0, 3.0, 9.0, 27.0]), scale_step=True)


def updates(negatives, num, key, start=-4.0):
    """The last negatives of some updates on a fixed energy, from a buffer in one mode."""
    init_key, key = jax.random.split(key)
    state = negatives.init((1,), key=init_key)
    state = state.fill(jnp.full((1, *state.positions.shape[1:]), start), key=init_key)
    batch = jnp.zeros((state.capacity, 1))

    def update(state, key):
        x, state, info = negatives.step(MODES, batch, state, key=key)
        return state, (x, info)

    return jax.jit(lambda s, k: jax.lax.scan(update, s, k))(state, jax.random.split(key, num))


@pytest.mark.slow
def test_chains_reach_the_other_mode_by_its_weight(getkey):
    _, (x, info) = updates(TemperedPCD(LADDER, 10, 512, 0.0), 40, getkey())
    assert abs(float((x[20:] > 0).mean()) - 0.7) < 0.03
    assert 0.2 < float(info.swap_rate.mean()) < 0.99
    _, (alone, _) = updates(PCD(MALA(0.25), 10, 512, 0.0), 40, getkey())
    assert float(alone.max()) < 0


@pytest.mark.slow
def test_each_rung_keeps_its_own_density(getkey):
    temperatures = LADDER.temperatures
    normal = jax.random.normal(getkey(), (4_000, 4, 1)) * jnp.sqrt(temperatures)[None, :, None]
    replicas, info, rates = run_replicas(
        Gaussian(jnp.zeros(1)), LADDER, normal, num_steps=5, key=getkey()
    )
    np.testing.assert_allclose(jnp.var(replicas, 0)[:, 0], temperatures, rtol=0.1)
    assert rates.shape == (4_000, 3)
    assert info.energy.shape == (4_000,)
    assert not np.any(np.isclose(replicas, normal).all((1, 2)))


def test_a_restart_is_of_the_hottest_replica_alone(getkey):
    still = ReplicaExchange(MALA(1e-12), jnp.array([1.0, 1e6]))
    negatives = TemperedPCD(still, 1, 32, 1.0, GaussianNoise(50.0, 0.1))
    state = negatives.init((1,), key=getkey())
    state = state.fill(jnp.zeros((1, 2, 1)), key=getkey())
    x, after, info = negatives.step(MODES, jnp.zeros((32, 1)), state, key=getkey())
    assert np.all(np.abs(x) < 1)
    assert np.all(np.abs(after.positions[:, 1] - 50) < 1)
    assert np.all(info.restarted)
    np.testing.assert_array_equal(after.ages, 1)


def test_a_dead_ladder_starts_anew(getkey):
    negatives = TemperedPCD(LADDER, 1, 16, 0.0, GaussianNoise(3.0, 0.1))
    state = negatives.init((1,), key=getkey())
    positions = state.positions.at[3, 2].set(jnp.nan)
    state = state.fill(positions[3:4], key=getkey())
    x, after, info = negatives.step(MODES, jnp.zeros((16, 1)), state, key=getkey())
    assert np.all(info.dead)
    assert np.all(np.isfinite(after.positions))
    np.testing.assert_allclose(x, 3.0, atol=0.6)
    np.testing.assert_array_equal(after.ages, 0)


BAD = {
    "sampler": (lambda: TemperedPCD(MALA(0.1)), "sampler=MALA: give a ReplicaExchange"),
    "steps": (lambda: TemperedPCD(LADDER, 0), "num_steps=0: give a Python integer"),
    "capacity": (lambda: TemperedPCD(LADDER, 1, 0), "capacity=0: give a Python integer"),
    "restarts": (lambda: TemperedPCD(LADDER, reinit_prob=2.0), r"reinit_prob=2\.0: give a prob"),
    "batch": (
        lambda: TemperedPCD(LADDER, 1, 4).step(
            MODES,
            jnp.zeros((5, 1)),
            TemperedPCD(LADDER, 1, 4).init((1,), key=jax.random.key(0)),
            key=jax.random.key(0),
        ),
        "capacity=4: give at least the batch size, 5",
    ),
    "labels": (
        lambda: TemperedPCD(LADDER, 1, 4).step(
            Conditional(
                MLPNetwork((1,), 2, (2,), key=jax.random.key(0)),
                num_labels=2,
                key=jax.random.key(0),
            ),
            jnp.zeros((2, 1)),
            TemperedPCD(LADDER, 1, 4).init((1,), key=jax.random.key(0)),
            key=jax.random.key(0),
        ),
        "energy=Conditional: ladders keep no labels",
    ),
    "no ladder": (
        lambda: run_replicas(
            MODES, MALA(0.1), jnp.zeros((2, 4, 1)), num_steps=1, key=jax.random.key(0)
        ),
        "sampler=MALA: give a ReplicaExchange",
    ),
    "rungs": (
        lambda: run_replicas(
            MODES, LADDER, jnp.zeros((2, 3, 1)), num_steps=1, key=jax.random.key(0)
        ),
        r"replicas\.shape=\(2, 3, 1\): give \(chains, rungs, \*shape\) with the sampler's 4 rungs",
    ),
    "langevin": (
        lambda: ReplicaExchange(Langevin(0.1, report_acceptance=True), jnp.array([1.0, 2.0])),
        "report_acceptance",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
