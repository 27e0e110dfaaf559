"""Batches made ahead by a thread, and those of files larger than the memory."""

import gc
import itertools
import os
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from ebmx.data import Dataset, batches, prefetch

KEY = jax.random.key(0)


def threads():
    return [one for one in threading.enumerate() if one.name == "ebmx-prefetch"]


def settled(condition):
    """Whether a condition becomes true; a thread needs a moment."""
    return any(condition() or time.sleep(0.01) for _ in range(1000))


class Numbers:
    """The numbers up to one, which count how many were made."""

    def __init__(self, num=None):
        self.numbers = itertools.count() if num is None else iter(range(num))
        self.made, self.closed = 0, False

    def __iter__(self):
        return self

    def __next__(self):
        number = next(self.numbers)
        self.made += 1
        return number

    def close(self):
        self.closed = True


@pytest.mark.parametrize("num_batches", [1, 2, 7])
def test_the_batches_are_the_same_in_the_same_order(num_batches):
    source = Numbers(20)
    assert list(prefetch(source, num_batches=num_batches)) == list(range(20))
    assert source.closed
    assert threads() == []
    assert list(prefetch([], num_batches=num_batches)) == []


def test_so_many_are_made_ahead_and_no_more():
    source = Numbers()
    stream = prefetch(source, num_batches=3)
    assert (source.made, threads()) == (0, [])
    assert next(stream) == 0
    # the one that was taken, three that are ready, and one that waits for room
    assert settled(lambda: source.made == 5)
    assert not any(source.made > 5 or time.sleep(0.01) for _ in range(5))
    assert next(stream) == 1
    stream.close()
    assert (source.closed, threads()) == (True, [])


@pytest.mark.parametrize("taken", [1, 4])
def test_the_thread_ends_when_nothing_refers_to_the_iterator(taken):
    source = Numbers()
    stream = prefetch(source)
    assert list(itertools.islice(stream, taken)) == list(range(taken))
    del stream
    gc.collect()
    assert settled(lambda: source.closed)
    assert threads() == []


def test_an_error_is_raised_in_the_place_of_its_batch():
    def failing():
        yield from range(3)
        raise OSError("the disk is gone")

    stream = prefetch(failing(), num_batches=2)
    assert list(itertools.islice(stream, 3)) == [0, 1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)
    assert threads() == []
    assert list(stream) == []


@pytest.mark.parametrize("num_batches", [0, -1, 1.5, True])
def test_a_number_of_batches_that_does_not_fit(num_batches):
    with pytest.raises(ValueError, match="num_batches="):
        prefetch([], num_batches=num_batches)


ROWS = np.random.default_rng(0).integers(0, 256, (40, 3, 2), np.uint8)


@pytest.mark.parametrize("labels", [None, np.arange(40)])
def test_batches_of_a_mapped_file_are_those_of_its_array(labels, tmp_path):
    x = ROWS.astype(float)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    options = {"labels": labels, "start": 3, "key": KEY}
    for view in (mapped, np.asarray(mapped), mapped[:]):
        streams = batches(x, 8, **options), batches(view, 8, **options)
        for _ in range(7):
            whole, read = map(next, streams)
            for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(read), strict=True):
                np.testing.assert_array_equal(one, other)
                # a copy: a batch that is changed does not change the file
                assert (one.dtype, type(other)) == (other.dtype, np.ndarray)
                assert other.flags.owndata


def test_bytes_are_scaled_batch_by_batch(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    with pytest.raises(ValueError, match=r"x\.dtype=.*uint8"):
        batches(mapped, 8, key=KEY)
    data = Dataset.from_arrays(ROWS)
    want = next(batches(data.from_units(ROWS[..., None]), 8, key=KEY))
    for x in (mapped, ROWS):
        stream = batches(x, 8, transform=lambda x: data.from_units(x[..., None]), key=KEY)
        np.testing.assert_array_equal(next(stream), want, strict=True)
    with pytest.raises(ValueError, match=r"x\.shape=\(0, 2\): give examples"):
        batches(np.zeros((0, 2), np.uint8), 8, transform=lambda x: x, key=KEY)


@pytest.mark.medium
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_file_larger_than_the_memory_is_not_read_whole(tmp_path):
    path = tmp_path / "x.npy"
    # a hole of 8 GB, which takes no room on the disk; at the ends of rows there are numbers
    x = np.lib.format.open_memmap(path, "w+", np.float32, (100_000, 20_000))
    x[::10_000, 0] = np.arange(10)
    x.flush()
    del x
    assert os.stat(path).st_blocks * 512 < 1e8
    before = memory()
    mapped = np.load(path, mmap_mode="r")
    for _ in range(2):
        stream = prefetch(batches(mapped, 16, key=KEY))
        assert {batch.shape for batch in itertools.islice(stream, 4)} == {(16, 20_000)}
        stream.close()
    # the order of the rows, and some batches
    assert memory() - before < 200e6


def memory():
    """How much memory the process holds, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_fit_trains_on_what_is_made_ahead():
    import optax

    import ebmx
    from ebmx.training import DataOnly, Trainer, score_matching_loss

    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    trainer = Trainer(optax.sgd(0.1), DataOnly(), score_matching_loss)
    state = trainer.init(ebmx.energies.Gaussian(np.zeros(2), 1.0), key=KEY)
    ends = [
        ebmx.fit(trainer, state, stream, num_steps=5, key=KEY, progress=False)[1]["loss"]
        for stream in (batches(x, 8, key=KEY), prefetch(batches(x, 8, key=KEY)))
    ]
    np.testing.assert_array_equal(*ends)
    assert settled(lambda: threads() == [])
