"""The replay buffer: its draws are fair and without repeats, its writes touch nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebmx.training import ReplayBuffer

SIZES = ((12, 5), (16, 4), (7, 7))  # (capacity, num): uneven arcs, even arcs, all of it
seeds = st.integers(0, 2**31 - 1)


def make(capacity, shape=(2,)):
    positions = np.arange(capacity * int(np.prod(shape)), dtype=np.float32)
    ages = 10 * jnp.arange(capacity, dtype=jnp.int32)
    return ReplayBuffer(jnp.asarray(positions.reshape(capacity, *shape)), ages)


@given(size=st.sampled_from(SIZES), seed=seeds)
def test_draws_are_different_slots_and_what_rests_there(size, seed):
    capacity, num = size
    buffer = make(capacity)
    x, index = buffer.draw(num, key=jax.random.key(seed))
    index = np.asarray(index)
    assert len(set(index.tolist())) == num
    assert index.min() >= 0
    assert index.max() < capacity
    np.testing.assert_array_equal(x, np.asarray(buffer.positions)[index])


@given(size=st.sampled_from(SIZES), seed=seeds)
def test_write_touches_its_slots_alone(size, seed):
    capacity, num = size
    buffer = make(capacity)
    x, index = buffer.draw(num, key=jax.random.key(seed))
    after = buffer.write(index, -1 - x)
    others = np.setdiff1d(np.arange(capacity), index)
    np.testing.assert_array_equal(after.positions[index], -1 - x)
    np.testing.assert_array_equal(
        np.asarray(after.positions)[others], np.asarray(buffer.positions)[others]
    )
    np.testing.assert_array_equal(after.ages[index], buffer.ages[index] + 1)
    np.testing.assert_array_equal(np.asarray(after.ages)[others], np.asarray(buffer.ages)[others])
    np.testing.assert_array_equal(buffer.positions, make(capacity).positions)


@given(size=st.sampled_from(SIZES), seed=seeds)
def test_writing_back_what_was_drawn_moves_nothing(size, seed):
    capacity, num = size
    buffer = make(capacity, (3, 2, 1))
    x, index = buffer.draw(num, key=jax.random.key(seed))
    after = buffer.write(index, x, jnp.zeros(num, jnp.int32))
    np.testing.assert_array_equal(after.positions, buffer.positions)
    np.testing.assert_array_equal(after.ages[index], 0)
    assert int(jnp.sum(after.ages != buffer.ages)) == num - int(0 in index)


@pytest.mark.parametrize("capacity", [128, 130])
def test_128_draws_are_128_slots(capacity, getkey):
    keys = jax.random.split(getkey(), 300)
    draws = jax.jit(jax.vmap(lambda key: make(capacity).draw(128, key=key)[1]))(keys)
    ordered = np.sort(np.asarray(draws), axis=1)
    assert np.all(np.diff(ordered, axis=1) > 0)
    assert ordered.min() == 0
    assert ordered.max() == capacity - 1


@pytest.mark.parametrize(("capacity", "num"), [(16, 4), (12, 5), (7, 3), (9, 1)])
def test_every_slot_is_equally_likely(capacity, num, getkey):
    count = 20_000
    buffer, keys = make(capacity), jax.random.split(getkey(), count)
    draws = jax.jit(jax.vmap(lambda key: buffer.draw(num, key=key)[1]))(keys)
    drawn = np.bincount(np.asarray(draws).reshape(-1), minlength=capacity)
    share = num / capacity
    error = np.sqrt(count * share * (1 - share))
    assert drawn.shape == (capacity,)
    np.testing.assert_array_less(np.abs(drawn - count * share), 5 * error)


def test_the_first_of_a_draw_is_anywhere(getkey):
    # each place of the batch is a fair draw too: restarts and data are matched to places
    buffer, keys = make(12), jax.random.split(getkey(), 20_000)
    first = jax.jit(jax.vmap(lambda key: buffer.draw(5, key=key)[1][0]))(keys)
    drawn = np.bincount(np.asarray(first), minlength=12)
    error = np.sqrt(20_000 * (1 / 12) * (11 / 12))
    np.testing.assert_array_less(np.abs(drawn - 20_000 / 12), 5 * error)


def test_places_of_a_draw_owe_nothing_to_each_other(getkey):
    # from one arc to the next: every distance of two uniform numbers, as often as it should be
    buffer, keys = make(16), jax.random.split(getkey(), 20_000)
    draws = np.asarray(jax.jit(jax.vmap(lambda key: buffer.draw(4, key=key)[1]))(keys))
    for first, second in ((0, 1), (0, 2), (2, 3)):
        apart = (draws[:, second] - draws[:, first]) % 16 - 4 * (second - first)
        drawn = np.bincount(apart + 3, minlength=7)
        share = np.array([1, 2, 3, 4, 3, 2, 1]) / 16
        error = np.sqrt(20_000 * share * (1 - share))
        np.testing.assert_array_less(np.abs(drawn - 20_000 * share), 5 * error)


def test_another_key_draws_other_slots(getkey):
    buffer, key = make(1000), getkey()
    same, again, other = (buffer.draw(10, key=k)[1] for k in (key, key, getkey()))
    np.testing.assert_array_equal(same, again)
    assert not np.array_equal(same, other)


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
        make(7).write(jnp.arange(3), jnp.zeros((3, 4)))


@pytest.mark.parametrize(("slots", "num"), [(3, 4), (4, 3)])
def test_as_many_slots_as_positions(slots, num):
    with pytest.raises(Exception, match="num"):
        make(7).write(jnp.arange(slots), jnp.zeros((num, 2)))
