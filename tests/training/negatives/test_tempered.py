"""Persistent ladders of temperatures: chains that leave a mode, and keep what they were."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_mean, points
from moves import affine, init, step

from ebmx.energies import MLP, Conditional, Gaussian, GaussianMixture
from ebmx.samplers import MALA, Langevin, ReplicaExchange, run_replicas
from ebmx.training import PCD, Examples, ReplayBuffer, TemperedPCD, UniformNoise

MODES = GaussianMixture(jnp.array([[-4.0], [4.0]]), 0.5, jnp.array([0.3, 0.7]))
LADDER = ReplicaExchange(MALA(0.25), jnp.array([1.0, 3.0, 9.0, 27.0]), scale_step=True)


def updates(negatives, num, key, start=-4.0):
    """The last negatives of some updates on a fixed energy, from a buffer in one mode."""
    init_key, key = jax.random.split(key)
    state = negatives.init((1,), key=init_key)
    state = state.fill(jnp.full((1, *state.positions.shape[1:]), start), key=init_key)
    batch = Examples(jnp.zeros((state.capacity, 1)))

    def update(state, key):
        out, state, info = negatives.step(MODES, batch, state, key=key)
        return state, (out.x, info)

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


CAPACITY, NUM, RUNGS = 24, 12, 3
NOISE = UniformNoise(1000.0, 1001.0)
SLOTS = np.arange(CAPACITY)
# rung 0 at 0, rung 1 at 1, rung 2 at 2; the second coordinate tells the slot
START = np.stack(np.broadcast_arrays(np.arange(RUNGS), SLOTS[:, None]), -1).astype(np.float32)
AGES = 10 + SLOTS
DATA = np.zeros((NUM, 2), np.float32)


class Slope(eqx.Module):
    """`E(x) = a x₀`, and not finite beyond a wall.

    Replicas above one another do not swap if it is steep; if it is flat each swap is accepted.
    """

    height: jax.Array
    wall: jax.Array

    def __call__(self, x):
        return jnp.where(x[0] > self.wall, jnp.inf, self.height * x[0])


def slope(height, wall=np.inf):
    return Slope(jnp.asarray(height, jnp.float32), jnp.asarray(wall, jnp.float32))


def advance(energy, prob, key, sampler=None, start=START):
    ladder = ReplicaExchange(sampler or affine(2.0, 1.0), jnp.array([1.0, 2.0, 4.0]))
    negatives = TemperedPCD(ladder, 2, CAPACITY, prob, NOISE)
    buffer = ReplayBuffer(jnp.asarray(start), jnp.asarray(AGES, jnp.int32))
    out, after, info = step(negatives, energy, DATA, buffer, key)
    positions, ages = np.asarray(after.positions), np.asarray(after.ages)
    drawn = ages != AGES
    assert drawn.sum() == NUM
    np.testing.assert_array_equal(positions[~drawn], start[~drawn])
    # the negatives are the lowest rungs of what is written
    np.testing.assert_array_equal(np.sort(out.x, 0), np.sort(positions[drawn, 0], 0))
    return positions, ages, drawn, info


# two steps of x ← 2 x + 1
MOVED = 4 * START + 3


@pytest.mark.parametrize("prob", [0.0, 0.5, 1.0])
def test_every_rung_moves_and_only_the_hottest_restarts(prob, getkey):
    positions, ages, drawn, info = advance(slope(1e6), prob, getkey())
    np.testing.assert_array_equal(positions[drawn, :2], MOVED[drawn, :2])
    hottest = positions[drawn, 2]
    restarted = np.all(hottest > 4000, 1)
    assert restarted.sum() == np.sum(info.restarted)
    assert np.all(info.restarted) if prob == 1 else not np.all(info.restarted)
    assert np.any(info.restarted) if prob > 0 else not np.any(info.restarted)
    np.testing.assert_array_equal(hottest[~restarted], MOVED[drawn, 2][~restarted])
    noise = (hottest[restarted] - 3) / 4
    assert np.all((noise >= 1000) & (noise < 1001.01))
    assert len(np.unique(hottest[restarted])) == 2 * restarted.sum()
    np.testing.assert_array_equal(ages[drawn], AGES[drawn] + 1)
    assert not np.any(info.dead)
    np.testing.assert_array_equal(info.chains.energy, np.full(NUM, 3e6))
    assert float(info.swap_rate) == 0
    assert float(info.saturated) == 0


def test_replicas_swap_places_with_their_neighbours(getkey):
    # on a flat energy each swap is accepted
    positions, _, drawn, info = advance(slope(0.0), 0.0, getkey())
    np.testing.assert_array_equal(positions[drawn], swapped(MOVED, 2)[drawn])
    assert float(info.swap_rate) == 1


def swapped(ladders, num_steps, first=SLOTS):
    """Where replicas are if each swap is accepted: of pairs of one parity, and of the other."""
    ladders = ladders.copy()
    for slot, count in enumerate(first):
        for parity in range(count, count + num_steps):
            for low in range(parity % 2, ladders.shape[1] - 1, 2):
                ladders[slot, [low, low + 1]] = ladders[slot, [low + 1, low]]
    return ladders


@pytest.mark.parametrize("num_steps", [1, 3])
def test_parities_go_on_from_update_to_update(num_steps, getkey):
    ladder = ReplicaExchange(affine(), jnp.array([1.0, 2.0, 4.0]))
    negatives = TemperedPCD(ladder, num_steps, NUM, 0.0, NOISE)
    start, key = START[:NUM], getkey()
    state = ReplayBuffer(jnp.asarray(start), jnp.zeros(NUM, jnp.int32))
    for number in range(3):
        _, state, info = step(negatives, slope(0.0), DATA, state, jax.random.fold_in(key, number))
        want = swapped(start, num_steps * (number + 1), SLOTS[:NUM])
        np.testing.assert_array_equal(state.positions, want)
        assert float(info.swap_rate) == 1


def test_the_swap_rate_is_the_mean_over_what_was_tried(getkey):
    ladder = ReplicaExchange(affine(), jnp.array([1.0, 2.0, 4.0]))
    negatives, ages = TemperedPCD(ladder, 1, CAPACITY, 0.0, NOISE), SLOTS // 2
    buffer = ReplayBuffer(jnp.asarray(START), jnp.asarray(ages, jnp.int32))
    _, after, info = step(negatives, slope(1.0), DATA, buffer, getkey())
    drawn = np.asarray(after.ages) != ages
    # energies 0, 1, 2: of the pair (0, 1) or (1, 2)
    acceptance = np.where((SLOTS + ages) % 2 == 0, np.exp(-0.5), np.exp(-0.25))
    np.testing.assert_allclose(info.swap_rate, acceptance[drawn].mean(), rtol=1e-5)


@pytest.mark.medium
def test_each_pair_swaps_by_its_expected_acceptance(getkey):
    temperatures, num = np.array([1.0, 4.0, 9.0]), 8000
    ladder, normal = ReplicaExchange(affine(), jnp.asarray(temperatures)), points(num, (3, 1))
    replicas = normal * jnp.sqrt(jnp.asarray(temperatures, jnp.float32))[None, :, None]
    first = jnp.arange(num) % 2
    _, _, rates = run_replicas(
        Gaussian(jnp.zeros(1)), ladder, replicas, num_steps=1, first_step=first, key=getkey()
    )
    np.testing.assert_array_equal(rates[0::2, 1], 0)
    np.testing.assert_array_equal(rates[1::2, 0], 0)
    z, weights = np.polynomial.hermite_e.hermegauss(120)
    for pair in range(2):
        low, high = temperatures[pair : pair + 2]
        gap = 0.5 * (low * z[:, None] ** 2 - high * z[None] ** 2)
        acceptance = np.exp(np.minimum((1 / low - 1 / high) * gap, 0))
        expected = np.einsum("i,j,ij", weights, weights, acceptance) / (2 * np.pi)
        assert_mean(rates[pair::2, pair], expected)


def check_dead(start, positions, ages, drawn, info):
    dead = drawn & (SLOTS % 2 == 1)
    alive = drawn & ~dead
    assert 2 < dead.sum() < NUM - 2
    assert np.sum(info.dead) == dead.sum()
    assert np.all((positions[dead] >= 1000) & (positions[dead] < 1001))
    assert len(np.unique(positions[dead, 0])) == 2 * dead.sum()
    np.testing.assert_array_equal(ages[dead], 0)
    np.testing.assert_array_equal(ages[alive], AGES[alive] + 1)
    np.testing.assert_array_equal(positions[alive], swapped(start, 2)[alive])


@pytest.mark.parametrize("rung", [0, 1, 2])
def test_a_ladder_with_a_dead_replica_starts_again_from_noise(rung, getkey):
    start = START.copy()
    start[1::2, rung, 0] = 100.0
    found = advance(slope(0.0), 0.0, getkey(), affine(edge=50.0), start)
    check_dead(start, *found)


def test_a_ladder_whose_energy_is_not_finite_starts_again_from_noise(getkey):
    start = START.copy()
    start[1::2, :, 0] = 100.0
    found = advance(slope(0.0, wall=50.0), 0.0, getkey(), affine(), start)
    check_dead(start, *found)


@pytest.mark.medium
def test_saturated_are_values_of_the_lowest_rung(getkey):
    sampler = Langevin(1e-12, bounds=(-1.0, 1.0))
    negatives = TemperedPCD(ReplicaExchange(sampler, jnp.array([1.0, 2.0])), 1, 8, 0.0)
    # one coordinate of rung 1 is beyond the bounds; the rungs swap places
    start = np.tile(np.float32([[0.1, 0.2], [2.0, 0.3]]), (8, 1, 1))
    buffer = ReplayBuffer(jnp.asarray(start), jnp.arange(8))  # all at the parity of the pair (0, 1)
    _, _, info = step(negatives, slope(0.0), DATA[:4], buffer, getkey())
    assert float(info.saturated) == 0.5


def test_a_new_buffer_is_full_of_noise_on_every_rung(getkey):
    negatives = TemperedPCD(ReplicaExchange(affine(), jnp.arange(1.0, 4.0)), 1, 24, noise=NOISE)
    buffer = init(negatives, (2,), getkey())
    assert buffer.positions.shape == (24, 3, 2)
    assert len(np.unique(buffer.positions)) > 0.99 * 24 * 3 * 2
    assert np.all((buffer.positions >= 1000) & (buffer.positions < 1001))
    np.testing.assert_array_equal(buffer.ages, np.zeros(24))


SMALL = ReplayBuffer(jnp.zeros((4, 4, 1)), jnp.zeros(4, jnp.int32))


SHARDS = ReplayBuffer(SMALL.positions, SMALL.ages, num_shards=2)


def advance_small(energy, num):
    return TemperedPCD(LADDER, 1, 4).step(energy, Examples(jnp.zeros((num, 1))), SMALL, key=KEY)


KEY = jax.random.key(0)
LABELLED = Conditional(MLP((1,), (2,), out_size=2, key=KEY), num_labels=2, key=KEY)
BAD = {
    "sampler": (lambda: TemperedPCD(MALA(0.1)), "sampler=MALA: give a ReplicaExchange"),
    "steps": (lambda: TemperedPCD(LADDER, 0), "num_steps=0: give a Python integer"),
    "capacity": (lambda: TemperedPCD(LADDER, 1, 0), "capacity=0: give a Python integer"),
    "restarts": (lambda: TemperedPCD(LADDER, reinit_prob=2.0), r"reinit_prob=2\.0: give a prob"),
    "batch": (
        lambda: advance_small(MODES, 5),
        "capacity=4: give at least the batch size, 5",
    ),
    "labels": (
        lambda: advance_small(LABELLED, 2),
        r"num_labels=None: the energy has 2 labels: give TemperedPCD\(\.\.\., num_labels=2\)",
    ),
    "no ladder": (
        lambda: run_replicas(MODES, MALA(0.1), jnp.zeros((2, 4, 1)), num_steps=1, key=KEY),
        "sampler=MALA: give a ReplicaExchange",
    ),
    "rungs": (
        lambda: run_replicas(MODES, LADDER, jnp.zeros((2, 3, 1)), num_steps=1, key=KEY),
        r"replicas\.shape=\(2, 3, 1\): give \(chains, rungs, \*shape\) with the sampler's 4 rungs",
    ),
    "first step": (
        lambda: run_replicas(
            MODES, LADDER, jnp.zeros((2, 4, 1)), num_steps=1, first_step=jnp.arange(3), key=KEY
        ),
        r"first_step\.shape=\(3,\): give a number, or one for each of the 2 chains",
    ),
    "shards": (
        lambda: TemperedPCD(LADDER, 1, 9, num_shards=2),
        "capacity=9: give a multiple of num_shards=2",
    ),
    "batch of shards": (
        lambda: TemperedPCD(LADDER, 1, 4, num_shards=2).step(
            MODES, Examples(jnp.zeros((3, 1))), SHARDS, key=KEY
        ),
        "num_shards=2: give a number that divides the batch size, 3",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
