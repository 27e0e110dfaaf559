"""Data sets in memory: scaling, splitting, batching."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Key
from ._labels import as_conditions, as_labels

Range = float | np.ndarray


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Examples for training and for testing, scaled to [-1, 1] or another span.

    Raises:
        ValueError: if examples are not finite or have different shapes, labels are not integers
            from 0, one for each example, or a range does not fit.
    """

    name: str
    """The name that `load` takes."""
    train: np.ndarray
    """Training examples `(num, *shape)`, float32; images are `(num, height, width, channel)`."""
    test: np.ndarray
    """Test examples, likewise."""
    train_labels: np.ndarray | None = None
    """Integers from 0, `(num,)`. Floats of integer value and a column `(num, 1)` are converted."""
    test_labels: np.ndarray | None = None
    """Likewise, of the test examples."""
    low: Range = -1.0
    """What is mapped to the lower end of the span, in data units; for a table one per column,
    `(columns,)`, for a series one per channel. Where it equals `high`, all is the middle."""
    high: Range = 1.0
    """What is mapped to the upper end of the span, as `low`."""
    span: tuple[float, float] = (-1.0, 1.0)
    """The interval to which the data units are mapped."""
    reading: str = ""
    """How `load` interpreted the arrays, in words."""

    def __post_init__(self):
        for name, x in (("train", self.train), ("test", self.test)):
            _checks.require(np.ndim(x) > 0, f"{name}.shape", np.shape(x), "give (num, *shape)")
            _checks.finite(x, name)
            labels = getattr(self, f"{name}_labels")
            if labels is not None:
                labels = as_labels(labels, len(x), f"{name}_labels")
                object.__setattr__(self, f"{name}_labels", labels)
        fix = f"the examples of `train` have shape {self.shape}: give examples of the same shape"
        shape = np.shape(self.test)
        _checks.require(shape[1:] == self.shape, "test.shape", shape, fix)
        _check_range(self.low, self.high, self.shape)
        _check_span(self.span)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return np.shape(self.train)[1:]

    @property
    def summary(self) -> str:
        """The numbers of examples, how the arrays were interpreted, and the labels, in words."""
        labels, reading = self.train_labels, self.reading or f"of shape {self.shape}"
        classes = "no labels" if labels is None else f"labels {labels.min()} to {labels.max()}"
        num = f"{len(self.train)} training and {len(self.test)} test examples"
        return f"{self.name}: {num}, {reading}, {classes}"

    def to_units(self, x: np.ndarray) -> np.ndarray:
        """Map from the span to data units, for each column by its own range.

        Args:
            x: examples `(num, *shape)`, such as samples.

        Returns:
            An array of that shape.
        """
        start, end = self.span
        return (np.asarray(x) - start) / (end - start) * (self.high - self.low) + self.low

    def from_units(self, x: np.ndarray) -> np.ndarray:
        """Map from data units to the span, as `load` does.

        Args:
            x: examples `(num, *shape)` in data units, images with the channels last.

        Returns:
            An array of that shape, float32.
        """
        x = np.asarray(x)
        fix = f"give (num, {', '.join(map(str, self.shape))})"
        _checks.require(x.shape[1:] == self.shape, "x.shape", x.shape, fix)
        return scale(x, self.low, self.high, span=self.span)


def _check_range(low: Range, high: Range, shape: tuple[int, ...]) -> None:
    for name, value in (("low", low), ("high", high)):
        _checks.finite_value(name, value)
        fix = f"give a number, or an array of the shape of the last axes of {shape}"
        ok = np.shape(value) in [shape[i:] for i in range(len(shape) + 1)]
        _checks.require(ok, f"{name}.shape", np.shape(value), fix)
    ok = bool(np.all(np.asarray(low) <= np.asarray(high)) and np.any(np.less(low, high)))
    _checks.require(ok, "low", low, f"give low < high, which is {high}")


def _check_span(span: tuple[float, float]) -> None:
    ok = len(span) == 2 and bool(np.all(np.isfinite(span))) and span[0] < span[1]
    _checks.require(ok, "span", span, "give (low, high), such as (-1, 1) or (0, 1)")


def scale(
    x: np.ndarray,
    low: Range | None = None,
    high: Range | None = None,
    *,
    span: tuple[float, float] = (-1.0, 1.0),
) -> np.ndarray:
    """Map `[low, high]` linearly to [-1, 1] or another span.

    Args:
        x: an array of numbers of any dtype and shape.
        low: a number in data units, or an array of the shape of the last axes of `x`, such as
            `x.min(0)`. By default 0 for uint8, else the smallest value.
        high: as `low`, such as `x.max(0)`. By default 255 for uint8, or 1 if no value is above 1,
            else the largest value. Where `low` equals `high`, the result is the middle of the span.
        span: the interval to map to.

    Returns:
        An array of the shape of `x`, float32.

    Raises:
        ValueError: if `low` is not below `high`, or a number is not finite.
    """
    x = np.asarray(x)
    _checks.require(x.size > 0, "x.shape", x.shape, "give at least one number")
    _checks.finite(x, "x")
    _check_span(span)
    smallest, largest = float(x.min()), float(x.max())
    if x.dtype == np.uint8:
        smallest, largest = 0.0, 1.0 if largest <= 1 else 255.0
    low = _end(smallest if low is None else low)
    high = _end(largest if high is None else high)
    _check_range(low, high, x.shape)
    # in double precision, if `x` has more digits than float32
    exact = x.astype(np.float32 if np.can_cast(x.dtype, np.float32) else np.float64)
    width = np.subtract(high, low)
    factor = np.divide(span[1] - span[0], width, out=np.zeros_like(width), where=width > 0)
    start = np.where(width > 0, span[0], 0.5 * (span[0] + span[1]))
    if np.ndim(width) == 0:
        factor, start = float(factor), float(start)
    return ((exact - low) * factor + start).astype(np.float32)


def _end(value: Range) -> Range:
    # Python's numbers do not turn float32 into double precision, as arrays of one number do
    return float(value) if np.ndim(value) == 0 else np.asarray(value, np.float64)


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
    x: np.ndarray, batch_size: int, *, labels: np.ndarray | None = None, start: int = 0, key: Key
) -> Iterator[Any]:
    """An endless iterator of batches in shuffled epochs, without the incomplete last batch of each.

    Args:
        x: examples `(num, *shape)`, floating point.
        batch_size: number of examples in a batch, at most `num`.
        labels: labels, integers from 0, `(num,)`; or conditions, floats `(num, ...)`. Batches are
            then pairs `(x, labels)`.
        start: number of batches to skip, such as those of an earlier part of the training. No
            examples are read for skipped epochs.
        key: a key; the same key gives the same batches.

    Returns:
        An iterator of arrays `(batch_size, *shape)`, or of pairs with labels `(batch_size,)`.

    Raises:
        ValueError: if examples are not finite or fewer than a batch, labels and examples differ in
            number, or labels are negative or one-hot.

    Examples:
        >>> import jax
        >>> import ebmx
        >>> digits = ebmx.data.load("digits")
        >>> batches = ebmx.data.batches(digits.train, 64, key=jax.random.key(0))  # without end
        >>> next(batches).shape
        (64, 8, 8, 1)
    """
    x = np.asarray(_checks.batch(x, "x"))
    _checks.finite(x, "x")
    _checks.at_least("batch_size", batch_size, 1)
    fix = f"there are {len(x)} examples: give at most that many"
    _checks.require(batch_size <= len(x), "batch_size", batch_size, fix)
    _checks.at_least("start", start, 0)
    epochs = _epochs(len(x), batch_size, start, host_generator(key))
    if labels is None:
        return (x[index] for index in epochs)
    conditions = as_conditions(labels, len(x), "labels")
    return ((x[index], conditions[index]) for index in epochs)


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
