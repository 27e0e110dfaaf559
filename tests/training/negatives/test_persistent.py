"""A step of persistent chains, number by number: who moves, who restarts, what is written."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_forms import Wells
from helpers import assert_mean
from moves import affine, init, step

from ebmx.energies import Gaussian
from ebmx.samplers import Langevin
from ebmx.training import (
    PCD,
    BFloat16,
    Examples,
    ReplayBuffer,
    StepSizeAdaptation,
    UInt8,
    UniformNoise,
)

CAPACITY, NUM, SHAPE = 48, 24, (2,)
NOISE = UniformNoise(1000.0, 1001.0)
WELLS = Wells(jnp.zeros((3, 2)), jnp.ones(3))
FLAT = Gaussian(jnp.zeros(2), 1e6)
DATA = jnp.zeros((NUM, 2))
# which slot a chain is of can be read off its position
SLOTS = np.arange(CAPACITY)
POSITIONS = np.stack([SLOTS, 100.0 + SLOTS], 1).astype(np.float32)
AGES = 2 * SLOTS
LABELS = (SLOTS * 3 // CAPACITY).astype(np.int32)
BATCH = DATA, jnp.arange(NUM) % 3
LOG_SCALES = (0.01 * SLOTS).astype(np.float32)
TARGET, GAIN = 0.6, 0.1
ADAPTATION = StepSizeAdaptation(TARGET, GAIN)


def turn(x, *, key):
    """A change of an example that does not commute with the map of the chains."""
    return -x


def buffer(labels=None, log_scales=None, num_shards=1):
    positions, ages = jnp.asarray(POSITIONS), jnp.asarray(AGES, jnp.int32)
    labels, log_scales = (None if a is None else jnp.asarray(a) for a in (labels, log_scales))
    return ReplayBuffer(positions, ages, log_scales, labels, num_shards=num_shards)


def labelled(sampler, reinit_prob, num_shards=1):
    adaptation, options = ADAPTATION, {"augment": turn, "num_shards": num_shards}
    return PCD(sampler, 3, CAPACITY, reinit_prob, NOISE, adaptation, 3, **options)


@pytest.mark.medium
@pytest.mark.parametrize("num_shards", [1, 3])
def test_drawn_chains_are_changed_then_moved_and_restarts_are_moved_noise(num_shards, getkey):
    negatives = labelled(affine(2.0, 1.0), 0.4, num_shards)
    labels = np.tile(LABELS[::num_shards], num_shards)
    before = buffer(labels, LOG_SCALES, num_shards)
    out, after, info = step(negatives, WELLS, BATCH, before, getkey())
    x, restarted = np.asarray(out.x), np.asarray(info.restarted)
    assert 0 < restarted.sum() < NUM
    # three steps of x ← 2 x + 1
    start = (x - 7) / 8
    assert np.all((start[restarted] >= 1000) & (start[restarted] < 1001))
    assert len(np.unique(start[restarted])) == 2 * restarted.sum()
    slots = -start[~restarted, 0].astype(int)
    np.testing.assert_array_equal(start[~restarted], -POSITIONS[slots])
    assert len(set(slots)) == len(slots)
    np.testing.assert_array_equal(out.y, BATCH[1])
    np.testing.assert_array_equal(out.y[~restarted], labels[slots])
    # what is written where
    positions, ages = np.asarray(after.positions), np.asarray(after.ages)
    np.testing.assert_array_equal(positions[slots], x[~restarted])
    np.testing.assert_array_equal(ages[slots], AGES[slots] + 1)
    fresh = np.all(positions > 5000, 1)
    assert fresh.sum() == restarted.sum()
    np.testing.assert_array_equal(np.sort(positions[fresh], 0), np.sort(x[restarted], 0))
    np.testing.assert_array_equal(ages[fresh], 1)
    np.testing.assert_array_equal(np.sort(after.labels[fresh]), np.sort(out.y[restarted]))
    rest = np.setdiff1d(SLOTS, [*slots, *np.flatnonzero(fresh)])
    assert len(rest) == CAPACITY - NUM
    for new, old in ((positions, POSITIONS), (ages, AGES), (after.log_scales, LOG_SCALES)):
        np.testing.assert_array_equal(new[rest], old[rest])
    np.testing.assert_array_equal(after.labels, labels)
    assert after.num_shards == num_shards
    # the acceptance is the step size, 0.5 at first; a young chain has a larger gain
    old = np.where(fresh, 0, LOG_SCALES)[[*slots, *np.flatnonzero(fresh)]]
    gain = np.maximum(GAIN, 4 / ages[[*slots, *np.flatnonzero(fresh)]])
    want = old + gain * (0.5 * np.exp(old) - TARGET)
    got = np.asarray(after.log_scales)[[*slots, *np.flatnonzero(fresh)]]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    # each slot of a shard is drawn from, equally often
    drawn = np.bincount(np.setdiff1d(SLOTS, rest) // (CAPACITY // num_shards))
    np.testing.assert_array_equal(drawn, NUM // num_shards)
    assert not np.any(info.dead)


def test_a_dead_chain_becomes_noise_of_age_zero_in_its_slot(getkey):
    # the position -x is not finite after a step where it is above the edge
    negatives = labelled(affine(edge=-20.5), 0.0)
    out, after, info = step(negatives, WELLS, BATCH, buffer(LABELS, LOG_SCALES), getkey())
    check_dead(out, after, info, SLOTS <= 20)


def test_a_chain_whose_energy_is_not_finite_is_dead_too(getkey):
    energy = Wells(jnp.zeros((3, 2)).at[1].set(jnp.inf), jnp.ones(3))
    negatives = labelled(affine(), 0.0)
    out, after, info = step(negatives, energy, BATCH, buffer(LABELS, LOG_SCALES), getkey())
    check_dead(out, after, info, LABELS == 1)


def check_dead(out, after, info, dies):
    drawn = np.asarray(after.ages) != AGES
    drawn[0] |= np.all(np.asarray(after.positions[0]) >= 1000)
    assert drawn.sum() == NUM
    positions, ages = np.asarray(after.positions), np.asarray(after.ages)
    dead, alive = drawn & dies, drawn & ~dies
    assert 0 < dead.sum() < NUM
    np.testing.assert_array_equal(positions[alive], -POSITIONS[alive])
    np.testing.assert_array_equal(ages[alive], AGES[alive] + 1)
    # noise that has not been moved, another one for each
    assert np.all((positions[dead] >= 1000) & (positions[dead] < 1001))
    assert len(np.unique(positions[dead])) == 2 * dead.sum()
    np.testing.assert_array_equal(ages[dead], 0)
    np.testing.assert_array_equal(np.asarray(after.log_scales)[dead], 0)
    assert np.all(np.asarray(after.log_scales)[alive] != LOG_SCALES[alive])
    np.testing.assert_array_equal(after.labels, LABELS)
    np.testing.assert_array_equal(np.sort(out.x, 0), np.sort(positions[drawn], 0))
    np.testing.assert_array_equal(info.dead, np.all(np.asarray(out.x) >= 1000, 1))
    assert not np.any(info.restarted)


@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_none_or_all_are_restarted(prob, getkey):
    negatives = PCD(affine(2.0, 1.0), 3, CAPACITY, prob, NOISE)
    out, after, info = step(negatives, FLAT, DATA, buffer(None, LOG_SCALES), getkey())
    np.testing.assert_array_equal(info.restarted, prob == 1)
    np.testing.assert_array_equal(out.x[:, 0] > 5000, prob == 1)
    assert after.labels is None
    # without adaptation factors of step sizes change nothing, and are left alone
    np.testing.assert_array_equal(after.log_scales, LOG_SCALES)
    np.testing.assert_array_equal(info.chains.acceptance, 0.5)


def test_a_given_number_of_steps_replaces_that_of_the_construction(getkey):
    negatives = PCD(affine(2.0, 1.0), 3, CAPACITY, 0.0, NOISE)
    few = eqx.filter_jit(negatives.step)
    for num_steps in (1, 2):
        out, _, _ = few(
            FLAT, Examples(DATA), buffer(), key=getkey(), num_steps=jnp.asarray(num_steps)
        )
        start = (np.asarray(out.x) + 1) / 2**num_steps - 1
        np.testing.assert_array_equal(start, POSITIONS[np.round(start[:, 0]).astype(int)])


def test_a_buffer_without_factors_of_step_sizes_stays_without(getkey):
    negatives = PCD(affine(), 3, CAPACITY, 0.0, NOISE, ADAPTATION)
    _, after, _ = eqx.filter_eval_shape(step, negatives, FLAT, DATA, buffer(), getkey())
    assert after.log_scales is None


def test_a_new_buffer_is_noise_of_age_zero_in_every_slot(getkey):
    negatives = PCD(
        affine(), 1, CAPACITY, noise=UniformNoise(1.0, 3.0), adaptation=ADAPTATION, num_shards=2
    )
    first = init(negatives, SHAPE, getkey())
    assert first.positions.shape == (CAPACITY, 2)
    assert len(np.unique(first.positions)) == 2 * CAPACITY
    assert np.all((first.positions >= 1) & (first.positions < 3))
    np.testing.assert_array_equal(first.ages, 0)
    np.testing.assert_array_equal(first.log_scales, np.zeros(CAPACITY))
    assert first.labels is None
    assert first.num_shards == 2
    assert first.ages.dtype == jnp.int32
    assert init(PCD(affine(), 1, 8), SHAPE, jax.random.key(1)).log_scales is None


def test_new_chains_are_noise_each_of_its_own_and_rounded_by_itself(getkey):
    def new(low, high):
        noise = UniformNoise(low, high)
        negatives = PCD(affine(), 1, 3000, noise=noise, storage=BFloat16())
        return np.float64(init(negatives, SHAPE, getkey()).positions)

    assert len(np.unique(new(1.0, 3.0))) > 100
    # here all noise lies in the middle of two neighbours, 1 and 1 + 1/128
    middle = 1 + 1 / 256
    up = new(middle, middle + 1e-6) > 1.004
    assert_mean(up, 0.5)
    assert_mean((up[:, 0] - 0.5) * (up[:, 1] - 0.5), 0.0)
    assert_mean((up[1:] - 0.5) * (up[:-1] - 0.5), 0.0)


def test_a_range_is_stored_of_chains_that_stay_in_it():
    assert PCD(Langevin(0.1, bounds=(-1.0, 1.0)), 1, storage=UInt8()).capacity == 10_000
    for sampler in (affine(), Langevin(0.1), Langevin(0.1, bounds=(-1.0, 1.1))):
        with pytest.raises(ValueError, match="positions are stored within a range"):
            PCD(sampler, 1, storage=UInt8())


@pytest.mark.parametrize(("at_data", "reinit_prob"), [(1.0, 0.0), (0.25, 0.0), (0.25, 1.0)])
def test_chains_may_start_at_data(at_data, reinit_prob, getkey):
    num = 2000
    negatives = PCD(affine(1.0, 0.0), 1, num, reinit_prob, NOISE, restarts_at_data=at_data)
    state = init(negatives, SHAPE, getkey())
    data = jnp.arange(2.0 * num).reshape(num, 2) / num
    first, state, info = step(negatives, FLAT, data, state, getkey())
    assert bool(info.restarted.all())  # chains that have not moved start when they are drawn
    at = np.all(np.asarray(first.x) == np.asarray(data), 1)
    assert np.all((np.asarray(first.x)[~at] >= 1000.0) & (np.asarray(first.x)[~at] < 1001.0))
    assert_mean(at.astype(float), at_data)
    assert bool((state.ages == 1).all())
    second, _, info = step(negatives, FLAT, data, state, getkey())
    assert bool(info.restarted.all()) == (reinit_prob == 1.0)
    if reinit_prob == 0.0:
        np.testing.assert_array_equal(np.sort(second.x, 0), np.sort(first.x, 0))
