"""Scaling, splitting and batching."""

import itertools

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given

from ebmx.data import Dataset, batches, scale, split


def numbered(num):
    """Examples that say which they are."""
    return np.arange(num, dtype=np.float32)[:, None].repeat(3, 1)


def test_scale_maps_the_range_to_minus_one_and_one():
    np.testing.assert_allclose(scale(np.array([2.0, 3.0, 6.0])), [-1.0, -0.5, 1.0])
    np.testing.assert_allclose(scale(np.array([0, 51, 255], np.uint8)), [-1.0, -0.6, 1.0])
    np.testing.assert_allclose(scale(np.array([1, 2], np.uint8)), [-0.9921569, -0.9843137])
    np.testing.assert_allclose(scale(np.array([0.0, 4.0]), 0, 16), [-1.0, -0.5])
    assert scale(np.array([0, 16])).dtype == np.float32


@given(low=st.floats(-100, 100), width=st.floats(0.1, 100), fraction=st.floats(0, 1))
def test_units_come_back(low, width, fraction):
    x = np.array([[low + fraction * width]])
    data = Dataset("d", scale(x, low, low + width), x[:1], low=low, high=low + width)
    np.testing.assert_allclose(data.to_units(data.train), x, rtol=1e-4, atol=1e-4)


@given(
    num=st.integers(3, 60),
    test_fraction=st.sampled_from([0.2, 0.5]),
    seed=st.integers(0, 99),
)
def test_split_is_disjoint_and_complete(num, test_fraction, seed):
    x, labels = numbered(num), np.arange(num)
    key = jax.random.key(seed)
    train, test, train_labels, test_labels = split(x, labels, test_fraction=test_fraction, key=key)
    assert len(test) == round(num * test_fraction)
    both = np.concatenate([train, test])
    np.testing.assert_array_equal(np.sort(both[:, 0]), x[:, 0])
    np.testing.assert_array_equal(train[:, 0], train_labels)
    np.testing.assert_array_equal(test[:, 0], test_labels)
    again = split(x, test_fraction=test_fraction, key=key)
    np.testing.assert_array_equal(again[0], train)
    assert again[2:] == (None, None)


def test_split_shuffles_by_key():
    one, other = (split(numbered(50), key=jax.random.key(seed))[1] for seed in (0, 1))
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, numbered(50)[:10])


@given(num=st.integers(4, 30), batch_size=st.integers(1, 4), seed=st.integers(0, 99))
def test_an_epoch_covers_each_example_at_most_once(num, batch_size, seed):
    stream = batches(numbered(num), batch_size, key=jax.random.key(seed))
    for _ in range(2):
        epoch = list(itertools.islice(stream, num // batch_size))
        assert {batch.shape for batch in epoch} == {(batch_size, 3)}
        seen = np.concatenate(epoch)[:, 0]
        assert len(np.unique(seen)) == num // batch_size * batch_size
        assert set(seen) <= set(range(num))


def test_batches_depend_on_the_key_and_the_epoch():
    def epochs(seed):
        stream = batches(numbered(12), 6, key=jax.random.key(seed))
        return [np.concatenate([next(stream), next(stream)])[:, 0] for _ in range(2)]

    np.testing.assert_array_equal(epochs(0), epochs(0))
    assert not np.array_equal(epochs(0), epochs(1))
    assert not np.array_equal(*epochs(0))
    old = next(batches(numbered(12), 6, key=jax.random.PRNGKey(0)))
    np.testing.assert_array_equal(old[:, 0], epochs(0)[0][:6])


@given(num=st.integers(4, 30), batch_size=st.integers(1, 4), seed=st.integers(0, 99))
def test_labels_stay_with_their_examples(num, batch_size, seed):
    key = jax.random.key(seed)
    stream = batches(numbered(num), batch_size, labels=np.arange(num), key=key)
    plain = batches(numbered(num), batch_size, key=key)
    for _ in range(2 * num // batch_size + 1):
        x, labels = next(stream)
        assert labels.shape == (batch_size,)
        np.testing.assert_array_equal(x[:, 0], labels)
        # the same order as without labels
        np.testing.assert_array_equal(x, next(plain))


def test_conditions_are_labels_too():
    conditions = numbered(6)[:, :2] / 7
    x, y = next(batches(numbered(6), 4, labels=conditions, key=KEY))
    assert y.shape == (4, 2)
    np.testing.assert_allclose(y[:, 0], x[:, 0] / 7)
    assert next(batches(numbered(6), 4, labels=[0, 1, 2, 3, 4, 5], key=KEY))[1].shape == (4,)


HOLED = numbered(4)
HOLED[2, 1] = np.inf
KEY = jax.random.key(0)
BAD = {
    "batch size": (lambda: batches(numbered(3), 4, key=KEY), "batch_size=4: there are 3"),
    "no batch": (lambda: batches(numbered(3), 0, key=KEY), "batch_size=0: .*at least 1"),
    "non-finite": (lambda: batches(HOLED, 2, key=KEY), r"x=1 non-finite.*\[2\]"),
    "integers": (lambda: batches(np.ones((3, 2), int), 2, key=KEY), r"x\.dtype=.*int64.*scale"),
    "batch labels": (
        lambda: batches(numbered(3), 2, labels=np.arange(4), key=KEY),
        r"labels\.shape=\(4,\): give one label for each of the 3",
    ),
    "one label": (
        lambda: batches(numbered(3), 2, labels=np.array(1), key=KEY),
        r"labels\.shape=\(\): give one label for each of the 3",
    ),
    "labels": (lambda: split(numbered(3), np.ones(4), key=KEY), r"labels\.shape=\(4,\).*3 exam"),
    "all": (lambda: split(numbered(3), test_fraction=1.0, key=KEY), r"test_fraction=1\.0"),
    "none": (lambda: split(numbered(3), test_fraction=0.0, key=KEY), r"test_fraction=0\.0"),
    "range": (lambda: scale(np.ones(3)), r"low=1\.0: give low < high"),
    "data labels": (
        lambda: Dataset("d", numbered(3), numbered(2), np.ones(2), None),
        r"train_labels\.shape=\(2,\): give one label for each of the 3",
    ),
    "test labels": (
        lambda: Dataset("d", numbered(3), numbered(2), None, np.ones(3)),
        r"test_labels\.shape=\(3,\): give one label for each of the 2",
    ),
    "data": (lambda: Dataset("d", HOLED, numbered(2)), r"train=1 non-finite"),
    "test data": (lambda: Dataset("d", numbered(2), HOLED), r"test=1 non-finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_examples_that_do_not_fit_are_refused(name):
    call, match = BAD[name]
    # at the call, and not when the first batch is taken
    with pytest.raises(ValueError, match=f"^{match}"):
        call()


@pytest.mark.parametrize("start", [0, 1, 3, 4, 7, 9])
def test_batches_from_a_number_on_are_the_rest_of_all(start, getkey):
    x, key = numbered(14), getkey()
    whole = list(itertools.islice(batches(x, 4, key=key), 12))
    rest = list(itertools.islice(batches(x, 4, start=start, key=key), 12 - start))
    np.testing.assert_array_equal(rest, whole[start:])
    with pytest.raises(ValueError, match="start=-1"):
        batches(x, 4, start=-1, key=key)
