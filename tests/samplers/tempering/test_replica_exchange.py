"""Replica exchange: weights of separated modes, and its parts one by one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_mean

from ebmx.energies import Gaussian, GaussianMixture
from ebmx.samplers import (
    HMC,
    MALA,
    Annealed,
    Independence,
    Langevin,
    Moments,
    ReplicaExchange,
    run,
    sample,
)
from ebmx.samplers.tempering._ladder import follow as follow_legs
from ebmx.samplers.tempering._ladder import permutation, swap_acceptance

MODES = GaussianMixture(jnp.array([[-4.0], [4.0]]), 0.5, jnp.array([0.3, 0.7]))
LADDER = jnp.array([1.0, 3.0, 9.0, 27.0])
SAMPLER = ReplicaExchange(MALA(0.25), LADDER, scale_step=True)


@pytest.mark.slow
def test_the_weights_of_two_modes_are_right(getkey):
    x = jnp.full((400, 1), -4.0)
    options = {"num_warmup": 500, "num_samples": 1_000, "save": Moments()}
    got = sample(MODES, SAMPLER, x, key=getkey(), **options)
    share = (float(got.values.mean.mean()) + 4) / 8
    assert abs(share - 0.7) < 0.03
    second = got.values.square / 1_000 + (got.values.mean - MODES.mean[None]) ** 2
    np.testing.assert_allclose(second.mean(), MODES.variance[0], rtol=0.06)
    rates = np.asarray(got.state.swap_rates).mean(0)
    assert rates.shape == (3,)
    assert np.all((rates > 0.2) & (rates < 0.99))
    assert int(got.state.round_trips.min()) >= 1
    alone, _ = run(MODES, MALA(0.25), x, num_steps=300, key=getkey())
    assert float(alone.max()) < 0


@pytest.mark.slow
def test_replicas_go_on_from_their_state(getkey):
    options = {"throw": False, "num_samples": 1}
    first = sample(MODES, SAMPLER, jnp.full((3, 1), -4.0), num_warmup=9, key=getkey(), **options)
    second = sample(MODES, SAMPLER, first.x, state=first.state, key=getkey(), **options)
    np.testing.assert_array_equal(first.state.step, [10] * 3)
    np.testing.assert_array_equal(second.state.step, [11] * 3)
    assert np.all(second.state.attempted.sum(1) > first.state.attempted.sum(1))
    again = sample(MODES, SAMPLER, first.x, key=getkey(), **options)
    np.testing.assert_array_equal(again.state.step, [1] * 3)


@pytest.mark.slow
def test_single_steps_from_a_state_leave_the_density_invariant(getkey):
    # each call is one step, and all replicas at one place would be a burn-in in each of them
    target = Gaussian(jnp.zeros(1), 1.0)
    sampler = ReplicaExchange(MALA(0.5), jnp.array([1.0, 4.0, 16.0]), scale_step=True)
    start = sample(
        target, sampler, jnp.zeros((4_000, 1)), num_samples=1, num_warmup=300, key=getkey()
    )

    def one(carry, key):
        x, state = carry
        drawn = sample(target, sampler, x, state=state, num_samples=1, throw=False, key=key)
        return (drawn.x, drawn.state), None

    keys = jax.random.split(getkey(), 40)
    (x, state), _ = eqx.filter_jit(jax.lax.scan)(one, (start.x, start.state), keys)
    np.testing.assert_array_equal(state.step, np.full(4_000, 341))
    assert_mean(x, [0.0])
    assert_mean(x**2, [1.0])
    assert_mean(state.upper**2, [[4.0], [16.0]])


SWAPS = jax.jit(swap_acceptance)


def test_the_acceptance_of_a_swap_is_the_documented_one():
    energies = np.array([2.0, 0.5, 3.0, np.inf], np.float32)
    tried, acceptance = SWAPS(energies, LADDER, np.asarray(0))
    np.testing.assert_array_equal(tried, [True, False, True])
    odd, _ = SWAPS(energies, LADDER, np.asarray(1))
    np.testing.assert_array_equal(odd, [False, True, False])
    second = np.exp((1 / 3 - 1 / 9) * (0.5 - 3.0))
    np.testing.assert_allclose(acceptance, [1.0, second, 0.0], rtol=1e-5)


@pytest.mark.parametrize("unknown", range(4))
def test_a_replica_of_an_energy_that_is_not_a_number_is_not_swapped(unknown):
    energies = np.array([4.0, 3.0, 2.0, 1.0])
    energies[unknown] = np.nan
    _, acceptance = SWAPS(energies.astype(np.float32), LADDER, np.asarray(0))
    near = [pair in (unknown - 1, unknown) for pair in range(3)]
    np.testing.assert_array_equal(acceptance, np.where(near, 0.0, 1.0))


PERMUTATION, FOLLOW = jax.jit(permutation), jax.jit(follow_legs)


def test_swaps_are_a_permutation():
    for swapped, source in (
        ([False, False, False], [0, 1, 2, 3]),
        ([True, False, True], [1, 0, 3, 2]),
        ([False, True, False], [0, 2, 1, 3]),
    ):
        np.testing.assert_array_equal(PERMUTATION(np.array(swapped)), source)


def follow(swaps):
    """The legs of the replicas and the count of trips after each permutation of three rungs."""
    leg, total, counts = np.array([1, 0, 0], np.int32), 0, []
    for source in swaps:
        leg, trips = FOLLOW(np.asarray(leg)[source])
        total += int(trips)
        counts.append(total)
    return leg, counts


STAY, LOW, HIGH = [0, 1, 2], [1, 0, 2], [0, 2, 1]


def test_a_replica_that_goes_up_and_down_makes_one_trip():
    leg, counts = follow([LOW, HIGH, STAY, HIGH, LOW, STAY])
    assert counts == [0, 0, 0, 0, 1, 1]
    # the one of rung 1 came down to the bottom and went up to rung 1, the last never moved
    np.testing.assert_array_equal(leg, [1, 1, 0])


def test_half_a_trip_is_none():
    # from the top to the bottom: half a trip; up to rung 1 and back: none; to the top and back: one
    _, counts = follow([HIGH, LOW, LOW, LOW, LOW, HIGH, HIGH, LOW])
    assert counts == [0, 0, 0, 0, 0, 0, 0, 1]


@eqx.filter_jit
def first_steps(sampler, x, key):
    """What is where in a ladder after each of six steps, and what it remembers."""
    init_key, steps_key = jax.random.split(key)

    def step(carry, key):
        x, state, info = sampler.step(MODES, *carry, key=key)
        replicas = jnp.concatenate([x[None], state.upper])
        energy, gradient = jax.vmap(jax.value_and_grad(MODES))(replicas)
        return (x, state), (state, info, energy, gradient)

    begin = x, sampler.init(MODES, x, key=init_key)
    return jax.lax.scan(step, begin, jax.random.split(steps_key, 6))[1]


@pytest.mark.parametrize("inner", [MALA(0.25), HMC(0.4, 2)])
def test_what_a_replica_remembers_is_of_its_own_temperature(inner, getkey):
    temperature = np.array([1.0, 1.5, 2.0])
    sampler = ReplicaExchange(inner, temperature.astype(np.float32), scale_step=False)
    x = np.array([3.0], np.float32)
    state, info, energy, gradient = jax.tree.map(np.asarray, first_steps(sampler, x, getkey()))
    assert len(np.unique(state.leg, axis=0)) > 1
    np.testing.assert_allclose(state.states.logdensity, -energy / temperature, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        state.states.logdensity_grad,
        -gradient / temperature[:, None],
        rtol=1e-3,
        atol=1e-4,
    )
    np.testing.assert_allclose(info.energy, energy[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_hot_replicas_take_longer_steps(getkey):
    flat = ReplicaExchange(Langevin(0.1), jnp.array([1.0, 100.0]))
    state = flat.init(lambda x: 0 * jnp.sum(x), jnp.zeros(1), key=getkey())

    def move(sampler, key):
        return sampler.step(lambda x: 0 * jnp.sum(x), jnp.zeros(1), state, key=key)

    keys = jax.random.split(getkey(), 2_000)
    for scale, want in ((True, 0.1 * (1 + 100)), (False, 0.1 * 2)):
        sampler = ReplicaExchange(Langevin(0.1), jnp.array([1.0, 100.0]), scale_step=scale)
        x, after, _ = jax.vmap(lambda k, s=sampler: move(s, k))(keys)
        total = float(jnp.mean(x[:, 0] ** 2 + after.upper[:, 0, 0] ** 2))
        np.testing.assert_allclose(total, want, rtol=0.2)


@pytest.mark.parametrize("temperatures", [[1.0], [2.0, 1.0], [1.0, 1.0], [0.0, 1.0], 1.0])
def test_temperatures_rise(temperatures):
    with pytest.raises(ValueError, match="temperatures"):
        ReplicaExchange(MALA(0.1), jnp.array(temperatures))


COOLING = optax.linear_schedule(2.0, 1.0, 9)


@pytest.mark.parametrize(
    ("sampler", "options", "named"),
    [
        (Langevin(0.1, temperature=0.0), {}, "sampler=Langevin.*above 0"),
        (Langevin(0.1, noise_scale=0.3), {"scale_step": True}, "noise_scale=.*one temperature"),
        (
            Annealed(Langevin(0.1), temperature=optax.linear_schedule(2.0, 1.0, 9)),
            {},
            "sampler=Annealed.*stay",
        ),
        (Independence(Gaussian(jnp.zeros(1))), {"scale_step": True}, "scale_step=True.*step_size"),
    ],
)
def test_a_ladder_needs_a_temperature_of_its_own_for_each_rung(sampler, options, named):
    with pytest.raises(ValueError, match=named):
        ReplicaExchange(sampler, jnp.array([1.0, 2.0]), **options)


def test_the_temperature_of_the_sampler_multiplies_that_of_the_rung():
    cold = ReplicaExchange(Langevin(0.1, temperature=0.25), jnp.array([1.0, 4.0]))
    np.testing.assert_allclose(cold.effective_temperature, 0.25)
    noisy = ReplicaExchange(Langevin(0.1, noise_scale=0.2), jnp.array([2.0, 4.0]))
    np.testing.assert_allclose(noisy.effective_temperature, 2.0 * 0.2**2 / 0.1, rtol=1e-6)
