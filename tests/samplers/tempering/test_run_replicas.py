"""Steps of replica exchange in full, against a ladder in NumPy that knows each replica by name."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.samplers import AbstractSampler, ReplicaExchange, StepInfo, run_replicas

TEMPERATURES = np.array([1.0, 2.0, 5.0, 20.0])
BETAS = 1 / TEMPERATURES
STEP_SIZE = 0.01
REPLICAS = np.array([[20.0, 20.0], [10.0, 10.0], [30.0, 30.0], [3.0, 3.0]])
SIGNS = [1] * 4 + [-1] * 6 + [1] * 6 + [-1] * 6
"""Hills and wells in turn, which turn the order of the replicas round."""


class Memory(NamedTuple):
    """Two numbers of the energy, and two that are not."""

    energy: jax.Array
    gradient: jax.Array
    name: jax.Array
    velocity: jax.Array


class Descent(AbstractSampler[Memory]):
    """Goes down the slope without noise, and knows where it began."""

    step_size: jax.Array = eqx.field(converter=jnp.asarray)

    def init(self, energy, x, *, key):
        return Memory(*jax.value_and_grad(energy)(x), x[0], 2 * x)

    def retemper(self, energy, x, state, factor, *, key):
        return Memory(factor * state.energy, factor * state.gradient, *state[2:])

    def step(self, energy, x, state, *, key):
        value, gradient = jax.value_and_grad(energy)(x)
        norm = jnp.sqrt(jnp.sum(gradient**2))
        info = StepInfo(value, norm, 1 / (1 + x[0]), x[0] > 25)
        new = x - self.step_size * gradient
        return new, Memory(*jax.value_and_grad(energy)(new), *state[2:]), info


class Hill(eqx.Module):
    """Half the squared norm, or less than nothing."""

    sign: jax.Array

    def __call__(self, x):
        return 0.5 * self.sign * jnp.sum(x**2)


def ladder(scale_step):
    return ReplicaExchange(Descent(STEP_SIZE), jnp.asarray(TEMPERATURES, float), scale_step)


@eqx.filter_jit
def init(sampler, sign, replicas):
    energy, key = Hill(sign), jax.random.key(0)
    one = sampler.init(energy, replicas[0], key=key)
    return one, sampler.init_replicas(energy, replicas, key=key)


@eqx.filter_jit
def step(sampler, sign, x, state, key):
    return sampler.step(Hill(sign), x, state, key=key)


def trips(places):
    """How often a replica at these rungs goes from the bottom to the top and back."""
    ends = [place for place in places if place in (0, 3)]
    legs = [one for one, before in zip(ends, [None, *ends], strict=False) if one != before]
    while legs and legs[0] != 0:
        legs = legs[1:]
    return max(0, (len(legs) - 1) // 2)


def moved(x, sign, scale_step):
    factor = np.where(scale_step, 1.0, BETAS)[:, None]
    return x - STEP_SIZE * sign * factor * x


def swaps(energies, parity):
    """Which rung each rung takes its replica from, and the acceptances; none is left to chance."""
    source, acceptance = np.arange(4), np.zeros(3)
    for low in range(parity, 3, 2):
        log_ratio = (BETAS[low] - BETAS[low + 1]) * (energies[low] - energies[low + 1])
        assert abs(log_ratio) > 10
        acceptance[low] = np.exp(min(0.0, log_ratio))
        if log_ratio > 0:
            source[[low, low + 1]] = low + 1, low
    return source, acceptance


@pytest.mark.parametrize("scale_step", [False, True])
def test_all_of_a_ladder_follows_the_replicas(scale_step):
    sampler, want = ladder(scale_step), REPLICAS.copy()
    _, state = init(sampler, jnp.asarray(1.0), jnp.asarray(want, float))
    x, names = jnp.asarray(want[0], float), want[:, 0].copy()
    accepted, attempted, places = np.zeros(3), np.zeros(3), {name: [] for name in names}
    for name, place in zip(names, range(4), strict=True):
        places[name].append(place)
    for i, sign in enumerate(SIGNS):
        cold, before, key = want[0], want, jax.random.key(i)
        x, state, info = step(sampler, jnp.asarray(float(sign)), x, state, key)
        want = moved(want, sign, scale_step)
        source, acceptance = swaps(0.5 * sign * np.sum(want**2, 1), i % 2)
        want, names = want[source], names[source]
        accepted += acceptance
        attempted[i % 2 :: 2] += 1
        for rung, name in enumerate(names):
            places[name].append(rung)
        energies = 0.5 * sign * np.sum(want**2, 1)
        np.testing.assert_allclose(np.vstack([x[None], state.upper]), want, rtol=1e-4)
        np.testing.assert_allclose(state.states.name, names)
        np.testing.assert_allclose(state.states.velocity, 2 * np.stack([names] * 2, 1))
        np.testing.assert_allclose(state.states.energy, BETAS * energies, rtol=1e-4)
        np.testing.assert_allclose(state.states.gradient, BETAS[:, None] * sign * want, rtol=1e-4)
        np.testing.assert_allclose(state.accepted, accepted, atol=1e-6)
        np.testing.assert_array_equal(state.attempted, attempted)
        np.testing.assert_allclose(state.swap_rates, accepted / np.maximum(attempted, 1), atol=1e-6)
        assert int(state.step) == i + 1
        assert int(state.round_trips) == sum(map(trips, places.values()))
        # energy and gradient norm are of the replica that is the lowest now, the rest of rung 0
        np.testing.assert_allclose(info.energy, energies[0], rtol=1e-4)
        norm = np.linalg.norm(before[source[0]])
        np.testing.assert_allclose(info.grad_norm, norm, rtol=1e-4)
        np.testing.assert_allclose(info.acceptance, 1 / (1 + cold[0]), rtol=1e-4)
        assert bool(info.divergent) == np.any(before[:, 0] > 25)
    assert int(state.round_trips) >= 1


def test_a_ladder_begins_with_one_replica_or_with_given_ones():
    one, given = init(ladder(False), jnp.asarray(1.0), jnp.asarray(REPLICAS, float))
    for state, want in ((one, np.tile(REPLICAS[0], (4, 1))), (given, REPLICAS)):
        np.testing.assert_array_equal(state.upper, want[1:])
        np.testing.assert_allclose(state.states.energy, BETAS * 0.5 * np.sum(want**2, 1), rtol=1e-6)
        np.testing.assert_allclose(state.states.gradient, BETAS[:, None] * want, rtol=1e-6)
        np.testing.assert_array_equal(state.states.name, want[:, 0])
        np.testing.assert_array_equal(state.accepted, np.zeros(3))
        np.testing.assert_array_equal(state.attempted, np.zeros(3))
        np.testing.assert_array_equal(state.swap_rates, np.zeros(3))
        np.testing.assert_array_equal(state.leg, [1, 0, 0, 0])
        assert (int(state.step), int(state.round_trips)) == (0, 0)


def test_ladders_of_several_chains_are_moved_as_one_alone_is(getkey):
    sampler, num_steps = ladder(False), 3
    replicas = np.stack([REPLICAS, REPLICAS[::-1]]).astype(np.float32)
    got, info, rates = run_replicas(
        Hill(jnp.asarray(1.0)), sampler, replicas.tolist(), num_steps=num_steps, key=getkey()
    )
    for chain, want in enumerate(replicas):
        accepted, seen = np.zeros(3), []
        for i in range(num_steps):
            seen.append(1 / (1 + want[0, 0]))
            before, want = want, moved(want, 1, False)
            source, acceptance = swaps(0.5 * np.sum(want**2, 1), i % 2)
            want, accepted, last = want[source], accepted + acceptance, before[source[0]]
        np.testing.assert_allclose(got[chain], want, rtol=1e-4)
        np.testing.assert_allclose(rates[chain], accepted / [2, 1, 2], atol=1e-6)
        np.testing.assert_allclose(info.energy[chain], 0.5 * np.sum(want[0] ** 2), rtol=1e-4)
        np.testing.assert_allclose(info.grad_norm[chain], np.linalg.norm(last), rtol=1e-4)
        np.testing.assert_allclose(info.acceptance[chain], np.mean(seen), rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 3, 2), (4,)])
def test_replicas_of_another_number_are_told(shape, getkey):
    with pytest.raises(ValueError, match=r"replicas\.shape=.*4 rungs"):
        run_replicas(
            Hill(jnp.asarray(1.0)), ladder(False), jnp.zeros(shape), num_steps=1, key=getkey()
        )
