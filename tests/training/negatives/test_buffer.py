"""The replay buffer: its draws are fair and without repeats, its writes touch nothing else."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_mean
from hypothesis import given
from hypothesis import strategies as st

from ebmx.training import ReplayBuffer, UInt8
from ebmx.training.negatives._buffer import Chains

# (capacity, num, num_shards): uneven arcs, even arcs, all of it, several rings
SIZES = ((12, 5, 1), (16, 4, 1), (7, 7, 1), (12, 6, 3))
seeds = st.integers(0, 2**31 - 1)


def make(capacity, shape=(2,), num_shards=1, **options):
    positions = np.arange(capacity * int(np.prod(shape)), dtype=np.float32)
    ages = jnp.asarray(10 * np.arange(capacity, dtype=np.int32))
    positions = jnp.asarray(positions.reshape(capacity, *shape))
    return ReplayBuffer(positions, ages, num_shards=num_shards, **options)


@eqx.filter_jit
def draw(buffer, num, key):
    return buffer.draw(num, key=key)


@eqx.filter_jit
def draws(buffer, num, keys):
    return jax.vmap(lambda key: buffer.draw(num, key=key).index)(keys)


@eqx.filter_jit
def write(buffer, chains, **changes):
    return buffer.write(dataclasses.replace(chains, **changes))


@given(size=st.sampled_from(SIZES), seed=seeds)
def test_draws_are_different_slots_and_what_rests_there(size, seed):
    capacity, num, num_shards = size
    buffer = make(capacity, num_shards=num_shards)
    chains = draw(buffer, num, jax.random.key(seed))
    x, index = np.asarray(chains.x), np.asarray(chains.index)
    np.testing.assert_array_equal(chains.ages, 10 * index)
    assert len(set(index.tolist())) == num
    assert index.min() >= 0
    assert index.max() < capacity
    np.testing.assert_array_equal(x, np.asarray(buffer.positions)[index])
    # as many from each shard, in their order
    want = np.repeat(np.arange(num_shards), num // num_shards)
    np.testing.assert_array_equal(index // (capacity // num_shards), want)


@pytest.mark.medium
@given(size=st.sampled_from(SIZES), seed=seeds)
def test_write_touches_its_slots_alone(size, seed):
    capacity, num, num_shards = size
    scales = np.linspace(0, 1, capacity, dtype=np.float32)
    labels = np.tile(np.arange(capacity // num_shards) // 3, num_shards)
    options = {"log_scales": jnp.asarray(scales), "labels": jnp.asarray(labels, jnp.int32)}
    buffer = make(capacity, num_shards=num_shards, **options)
    chains = draw(buffer, num, jax.random.key(seed))
    index = np.asarray(chains.index)
    np.testing.assert_array_equal(chains.labels, labels[index])
    others = np.setdiff1d(np.arange(capacity), index)
    ages, new = 1000 + np.arange(num, dtype=np.int32), -np.arange(num, dtype=np.float32)
    for changes in ({}, {"ages": ages}, {"ages": ages, "log_scales": new}):
        after = write(buffer, chains, x=-1 - chains.x, **changes)
        np.testing.assert_array_equal(np.asarray(after.positions)[index], -1 - chains.x)
        want = changes.get("ages", 10 * index)
        np.testing.assert_array_equal(np.asarray(after.ages)[index], want)
        want = changes.get("log_scales", scales[index])
        np.testing.assert_array_equal(np.asarray(after.log_scales)[index], want)
        for name in ("positions", "ages", "log_scales"):
            found, before = (np.asarray(getattr(b, name)) for b in (after, buffer))
            np.testing.assert_array_equal(found[others], before[others])
        np.testing.assert_array_equal(after.labels, labels)
        assert after.num_shards == num_shards
    np.testing.assert_array_equal(buffer.positions, make(capacity).positions)


@pytest.mark.parametrize("num_shards", [1, 2])
def test_images_are_written_back_as_they_were_drawn(num_shards, getkey):
    buffer = make(12, (3, 2, 1), num_shards)
    after = write(buffer, draw(buffer, 6, getkey()))
    np.testing.assert_array_equal(after.positions, buffer.positions)
    np.testing.assert_array_equal(after.ages, buffer.ages)


def test_what_is_not_kept_is_not_written(getkey):
    chains = draw(make(12), 5, getkey())
    assert chains.log_scales is None
    assert chains.labels is None
    after = write(make(12), chains, log_scales=np.zeros(5, np.float32))
    assert after.log_scales is None
    assert after.labels is None


COUNT = 20_000


@pytest.mark.parametrize(("capacity", "num"), [(16, 4), (12, 5), (7, 3), (9, 1), (130, 128)])
def test_every_slot_is_equally_likely_at_every_place(capacity, num, getkey):
    found = np.asarray(draws(make(capacity), num, jax.random.split(getkey(), COUNT)))
    ordered = np.sort(found, axis=1)
    assert np.all(np.diff(ordered, axis=1) > 0)
    share = num / capacity
    drawn = np.bincount(found.reshape(-1), minlength=capacity)
    assert drawn.shape == (capacity,)
    error = np.sqrt(COUNT * max(share * (1 - share), 1e-3))
    np.testing.assert_array_less(np.abs(drawn - COUNT * share), 5 * error)
    # each place of the batch is a fair draw too: restarts and data are matched to places
    for place in (0, num - 1):
        drawn = np.bincount(found[:, place], minlength=capacity)
        error = np.sqrt(COUNT / capacity * (1 - 1 / capacity))
        np.testing.assert_array_less(np.abs(drawn - COUNT / capacity), 5 * error)
    if (capacity, num) != (16, 4):
        return
    # from one arc to the next: every distance of two uniform numbers, as often as it should be
    for first, second in ((0, 1), (0, 2), (2, 3)):
        apart = (found[:, second] - found[:, first]) % 16 - 4 * (second - first)
        drawn = np.bincount(apart + 3, minlength=7)
        share = np.array([1, 2, 3, 4, 3, 2, 1]) / 16
        error = np.sqrt(COUNT * share * (1 - share))
        np.testing.assert_array_less(np.abs(drawn - COUNT * share), 5 * error)


def test_shards_draw_independently_of_each_other_and_of_the_noise_of_reading(getkey):
    # 2 of 256 slots from each of 4 shards, so that slots are nearly continuous
    buffer = ReplayBuffer(
        jnp.zeros((1024, 1), jnp.uint8), jnp.zeros(1024, jnp.int32), storage=UInt8(), num_shards=4
    )
    keys = jax.random.split(getkey(), COUNT)
    chains = eqx.filter_jit(jax.vmap(lambda key: buffer.draw(8, key=key)))(keys)
    x, index = chains.x, np.asarray(chains.index).reshape(COUNT, 4, 2)
    first = (index[:, :, 0] % 256) / 128 - 1
    # how far the second of two slots is from the first, less the distance of their arcs
    apart = (index[:, :, 1] - index[:, :, 0]) % 256 / 128 - 1
    noise = (np.asarray(x).reshape(COUNT, 8) + 1) * 256 - 1
    for one, two in ((0, 1), (0, 2), (1, 2), (2, 3)):
        assert_mean(first[:, one] * first[:, two], 0.0)
        assert_mean(apart[:, one] * apart[:, two], 0.0)
    for shard in range(4):
        for place in range(8):
            assert_mean(apart[:, shard] * noise[:, place], 0.0, 5.5)


def test_numbers_that_round_up_stay_in_their_arcs(monkeypatch):
    # the next number below one times an odd width rounds to the width in float32
    u = np.float32(1) - np.float32(2) ** -24
    monkeypatch.setattr("jax.random.uniform", lambda key, shape: jnp.full(shape, u))
    buffer = make(9)
    index = np.asarray(jax.jit(lambda key: buffer.draw(3, key=key).index)(jax.random.key(0)))
    # the last slot of each arc of three, on a ring turned by eight
    np.testing.assert_array_equal(index, [1, 4, 7])


def test_capacity_is_the_number_of_chains():
    assert make(16, (3, 2, 1)).capacity == 16


@pytest.mark.parametrize("num", [8, 1000])
def test_more_than_it_holds_cannot_be_drawn(num, getkey):
    with pytest.raises(ValueError, match=rf"num={num}: draw at most the 7 chains"):
        make(7).draw(num, key=getkey())


@pytest.mark.parametrize("num", [0, -1])
def test_no_fewer_than_one_can_be_drawn(num, getkey):
    with pytest.raises(ValueError, match=rf"num={num}: give a Python integer of at least 1"):
        make(7).draw(num, key=getkey())


def test_examples_of_another_shape_cannot_be_written():
    with pytest.raises(ValueError, match=r"x\.shape=\(3, 4\).*shape \(2,\)"):
        make(7).write(Chains(jnp.zeros((3, 4)), jnp.arange(3), jnp.arange(3)))


def test_chains_of_other_shards_cannot_be_written():
    chains = Chains(jnp.zeros((4, 2)), jnp.arange(4), jnp.arange(4))
    with pytest.raises(ValueError, match=r"index\.shape=\(4,\): each of the num_shards=3 has"):
        make(12, num_shards=3).write(chains)


def test_draws_of_a_shard_are_its_own_and_without_repeats():
    positions = np.arange(2.0 * 12, dtype=np.float32).reshape(12, 2)
    buffer = ReplayBuffer(jnp.asarray(positions), jnp.arange(12), num_shards=3)

    @eqx.filter_jit
    def once(key):
        chains = buffer.draw(6, key=key)
        after = buffer.write(dataclasses.replace(chains, x=-1 - chains.x))
        return chains.x, chains.index, chains.ages, after

    drawn = [once(jax.random.key(seed)) for seed in range(20)]
    for x, index, ages, after in drawn:
        np.testing.assert_array_equal(x, positions[np.asarray(index)])
        np.testing.assert_array_equal(np.asarray(index) // 4, [0, 0, 1, 1, 2, 2])
        assert len(set(index.tolist())) == 6
        np.testing.assert_array_equal(ages, index)
        expected = positions.copy()
        expected[np.asarray(index)] = -1 - expected[np.asarray(index)]
        np.testing.assert_array_equal(after.positions, expected)
        assert after.num_shards == 3
    within = np.asarray([index for _, index, _, _ in drawn]) % 4
    assert not np.array_equal(within[:, :2], within[:, 2:4])


def test_every_slot_of_each_shard_is_equally_likely(getkey):
    count = 6000
    buffer = ReplayBuffer(jnp.zeros((10, 1)), jnp.zeros(10, int), num_shards=2)
    keys = jax.random.split(getkey(), count)
    found = draws(buffer, 4, keys)
    drawn = np.bincount(np.asarray(found).reshape(-1), minlength=10)
    error = np.sqrt(count * 0.4 * 0.6)
    np.testing.assert_array_less(np.abs(drawn - count * 0.4), 5 * error)
