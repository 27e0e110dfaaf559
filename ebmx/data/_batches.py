"""Splitting and batching."""

import mmap
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Key
from ._labels import as_conditions


def split(
    x: np.ndarray, labels: np.ndarray | None = None, *, test_fraction: float = 0.2, key: Key
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Shuffle, and split into `(train, test, train_labels, test_labels)`.

    Args:
        x: examples `(num, ...)`.
        labels: integers from 0, `(num,)`; or conditions, floats `(num, ...)`; or `None`.
        test_fraction: the fraction of the examples for `test`, in (0, 1).
        key: a key.

    Returns:
        Four arrays; the labels are `None` without `labels`.

    Raises:
        ValueError: if labels and examples differ in number, labels are negative or one-hot, or a
            part would be empty.
    """
    x = np.asarray(x)
    _checks.require(x.ndim > 0 and len(x) > 0, "x.shape", x.shape, "give examples (num, *shape)")
    _checks.finite(x, "x")
    labels = None if labels is None else as_conditions(labels, len(x), "labels")
    _checks.finite_value("test_fraction", test_fraction)
    num_test = round(len(x) * test_fraction)
    fix = f"each part of the {len(x)} examples must have at least one"
    _checks.require(0 < num_test < len(x), "test_fraction", test_fraction, fix)
    test, train = np.split(host_generator(key).permutation(len(x)), [num_test])
    if labels is None:
        return x[train], x[test], None, None
    return x[train], x[test], labels[train], labels[test]


def batches(
    x: np.ndarray,
    batch_size: int,
    *,
    labels: np.ndarray | None = None,
    transform: Callable[[np.ndarray], np.ndarray] | None = None,
    start: int = 0,
    key: Key,
) -> Iterator[Any]:
    """An endless iterator of batches in shuffled epochs, without the incomplete last batch of each.

    Of a memory-mapped file, such as `np.load("x.npy", mmap_mode="r")`, only the rows of a batch are
    read, when it is asked for.

    Args:
        x: examples `(num, *shape)`, floating point, or any numbers with a `transform`.
        batch_size: number of examples in a batch, at most `num`.
        labels: labels, integers from 0, `(num,)`; or conditions, floats `(num, ...)`. Batches are
            then pairs `(x, labels)`.
        transform: a function of the examples of a batch, `(batch_size, *shape)`, such as the
            `from_units` of a `Dataset`.
        start: number of batches to skip, such as those of an earlier part of the training. No
            examples are read for skipped epochs.
        key: a key; the same key gives the same batches.

    Returns:
        An iterator of arrays `(batch_size, *shape)`, or of pairs with labels `(batch_size,)`.

    Raises:
        ValueError: if examples are not finite or fewer than a batch, labels and examples differ in
            number, or labels are negative or one-hot. The numbers of a memory-mapped file are not
            checked here: `fit` checks the first batch, and skips those that are not finite.

    Examples:
        >>> import jax
        >>> import ebmx
        >>> digits = ebmx.data.load("digits")
        >>> batches = ebmx.data.batches(digits.train, 64, key=jax.random.key(0))  # without end
        >>> next(batches).shape
        (64, 8, 8, 1)
    """
    read = _reader(x, transform)
    _checks.at_least("batch_size", batch_size, 1)
    fix = f"there are {len(x)} examples: give at most that many"
    _checks.require(batch_size <= len(x), "batch_size", batch_size, fix)
    _checks.at_least("start", start, 0)
    epochs = _epochs(len(x), batch_size, start, host_generator(key))
    if labels is None:
        return (read(index) for index in epochs)
    conditions = as_conditions(labels, len(x), "labels")
    return ((read(index), conditions[index]) for index in epochs)


def _reader(
    x: Any, transform: Callable[[np.ndarray], np.ndarray] | None
) -> Callable[[np.ndarray], np.ndarray]:
    """A function that reads the examples of some numbers; the examples are checked."""
    mapped = _is_mapped(x)
    if transform is None:
        checked = _checks.batch(x[:1] if mapped else x, "x")
        dtype, rows = checked.dtype, x if mapped else np.asarray(checked)
    else:
        rows = x if mapped else np.asarray(x)
        fix = "give examples (num, *shape), at least one"
        _checks.require(rows.ndim > 0 and len(rows) > 0, "x.shape", rows.shape, fix)
        dtype = rows.dtype
    if not mapped:
        _checks.finite(rows, "x")

    def read(index: np.ndarray) -> np.ndarray:
        # a plain array: of a mapped one, rows that are picked are a copy in memory
        batch = np.asarray(rows[index], dtype)
        return batch if transform is None else transform(batch)

    return read


def _is_mapped(x: Any) -> bool:
    """Whether an array, or the one it is a view of, is a file in memory."""
    while isinstance(x, np.ndarray):
        x = x.base
    return isinstance(x, mmap.mmap)


def _epochs(
    num: int, batch_size: int, start: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    # skipped epochs are drawn too, so that the later ones are those of a run from the beginning
    epochs, first = divmod(start, num // batch_size)
    for _ in range(epochs):
        generator.permutation(num)
    while True:
        order = generator.permutation(num)
        for i in range(first, num // batch_size):
            yield order[i * batch_size : (i + 1) * batch_size]
        first = 0


def host_generator(key: Key) -> np.random.Generator:
    """A NumPy generator seeded by the key."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    data = jax.random.key_data(key) if typed else key
    return np.random.default_rng(jax.device_get(data).reshape(-1))
