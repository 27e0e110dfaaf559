"""Labels are whole numbers from 0, or become such without loss, or are refused by name."""

import jax
import numpy as np
import pytest

from ebmx.data import Dataset, batches, load, split

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(12, 8, 8)).astype(np.float32)
Y = np.arange(12) % 3

LOSSLESS = {
    "bytes": Y.astype(np.uint8),
    "floats": Y.astype(float),
    "column": Y[:, None],
    "column of floats": Y[:, None].astype(np.float32),
    "truth values": Y > 0,
}
WRONG = {
    "one-hot": (np.eye(3, dtype=int)[Y], r"labels\.shape=\(12, 3\): .*argmax\(1\)"),
    "negative": (Y - 1, r"labels=\[-1, -1, -1\]: .*labels - labels\.min\(\)"),
    "too few": (Y[:-1], r"labels\.shape=\(11,\): give one label for each of the 12"),
}
NO_CLASSES = {
    "one-hot floats": (np.eye(3)[Y], r"labels\.shape=\(12, 3\): .*argmax\(1\)"),
    "halves": (Y + 0.5, r"labels=\[0\.5, 1\.5, 2\.5\]: give whole numbers from 0"),
    "nan": (np.where(Y > 0, Y, np.nan), r"labels=\[nan, nan, nan\]: give whole numbers"),
    "negative floats": (Y - 1.0, r"labels=\[-1, -1, -1\]: give whole numbers from 0"),
}


def loaded(labels, folder):
    np.savez(folder / "d.npz", x=X, y=labels)
    return load(folder / "d.npz")


@pytest.mark.parametrize("name", LOSSLESS)
def test_what_is_whole_becomes_labels(name, tmp_path):
    labels = LOSSLESS[name]
    want = np.asarray(labels).reshape(-1).astype(int)
    data = loaded(labels, tmp_path)
    both = np.concatenate([data.train_labels, data.test_labels])
    assert both.dtype.kind in "iu"
    np.testing.assert_array_equal(np.bincount(both), np.bincount(want))
    given = Dataset("d", X, X, labels, labels)
    for found in (given.train_labels, given.test_labels):
        np.testing.assert_array_equal(found, want)
        assert found.dtype.kind in "iu"
    if np.asarray(labels).dtype.kind != "f":
        order = split(X, np.arange(12), key=KEY)[2]
        np.testing.assert_array_equal(split(X, labels, key=KEY)[2], want[order])
        x, y = next(batches(X, 12, labels=labels, key=KEY))
        index = next(batches(X, 12, labels=np.arange(12), key=KEY))[1]
        np.testing.assert_array_equal(y, want[index])
        assert x.shape == X.shape


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_label_is_refused(name, tmp_path):
    labels, match = WRONG[name]
    for call in (
        lambda: loaded(labels, tmp_path),
        lambda: Dataset("d", X, X, labels),
        lambda: Dataset("d", X, X, None, labels),
        lambda: split(X, labels, key=KEY),
        lambda: batches(X, 4, labels=labels, key=KEY),
    ):
        with pytest.raises(ValueError, match=match):
            call()


def test_texts_are_to_be_numbered(tmp_path):
    with pytest.raises(ValueError, match=r"^labels\.dtype=<U21: .*np\.unique\(labels, return_inv"):
        loaded(Y.astype(str), tmp_path)


@pytest.mark.parametrize("name", NO_CLASSES)
def test_floats_of_a_data_set_are_whole(name, tmp_path):
    labels, match = NO_CLASSES[name]
    for call in (lambda: loaded(labels, tmp_path), lambda: Dataset("d", X, X, labels)):
        with pytest.raises(ValueError, match=match):
            call()


def test_floats_of_a_batch_are_conditions():
    conditions = np.linspace(0, 1, 24).reshape(12, 2)
    train, test, ours, held_out = split(X, conditions, key=KEY)
    np.testing.assert_array_equal(np.sort(np.concatenate([ours, held_out]), 0), conditions)
    assert (len(train), len(test)) == (10, 2)
    assert next(batches(X, 4, labels=conditions, key=KEY))[1].shape == (4, 2)
    conditions[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"labels=1 non-finite"):
        batches(X, 4, labels=conditions, key=KEY)
