"""Examples in memory: scaling, splitting, batching."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._arguments import guarded
from .._types import Key


@guarded
@dataclasses.dataclass(frozen=True)
class Dataset:
    """Examples for training and for testing, scaled to [-1, 1].

    **Raises:**

    `ValueError` if labels and examples differ in number, or examples are not finite.
    """

    name: str
    """As `load` takes it."""
    train: np.ndarray
    """`(num, *shape)`, float32; images are `(num, height, width, channel)`."""
    test: np.ndarray
    """`(num, *shape)`, likewise."""
    train_labels: np.ndarray | None = None
    """`(num,)`, whole numbers from 0, if there are any."""
    test_labels: np.ndarray | None = None
    """`(num,)`, likewise."""
    low: float = -1.0
    """The value in data units that became -1."""
    high: float = 1.0
    """The value in data units that became 1."""

    def __post_init__(self):
        pairs = {"train": self.train_labels, "test": self.test_labels}
        for name, labels in pairs.items():
            x = getattr(self, name)
            _checks.require(np.ndim(x) > 0, f"{name}.shape", np.shape(x), "give (num, *shape)")
            _checks.finite(x, name)
            _check_labels(labels, len(x), f"{name}_labels")
        _checks.finite_value("low", self.low)
        _checks.finite_value("high", self.high)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.train.shape[1:]

    def to_units(self, x: np.ndarray) -> np.ndarray:
        """From [-1, 1] to data units."""
        return (np.asarray(x) + 1) / 2 * (self.high - self.low) + self.low


def _check_labels(labels: np.ndarray | None, num: int, name: str) -> None:
    if labels is not None and np.shape(labels)[:1] != (num,):
        fix = f"give one label for each of the {num} examples"
        _checks.invalid(f"{name}.shape", np.shape(labels), fix)


@guarded
def scale(x: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Map `[low, high]` linearly to [-1, 1], as float32.

    **Arguments:**

    - `x`: numbers of any type and shape.
    - `low`, `high`: in data units; 0 and 255 for uint8, else the least and greatest value.

    **Returns:**

    An array of the shape of `x`, float32.

    **Raises:**

    `ValueError` if `low` is not below `high`, or a number is not finite.
    """
    x = np.asarray(x)
    _checks.require(x.size > 0, "x.shape", x.shape, "give at least one number")
    _checks.finite(x, "x")
    for name, value in (("low", low), ("high", high)):
        if value is not None:
            _checks.finite_value(name, value)
    default = (0, 255) if x.dtype == np.uint8 else (x.min(), x.max())
    low = float(default[0] if low is None else low)
    high = float(default[1] if high is None else high)
    _checks.require(low < high, "low", low, f"give low < high, which is {high}")
    return ((x.astype(np.float32) - low) * (2 / (high - low)) - 1).astype(np.float32)


@guarded
def split(
    x: np.ndarray, labels: np.ndarray | None = None, *, test_share: float = 0.2, key: Key
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Shuffle and split into `(train, test, train_labels, test_labels)`.

    **Arguments:**

    - `x`: examples `(num, ...)`.
    - `labels`: `(num,)`, or `None`.
    - `test_share`: the share that goes to `test`, in (0, 1).
    - `key`: a key.

    **Returns:**

    Four arrays; the labels are `None` if there are none.

    **Raises:**

    `ValueError` if labels and examples differ in number, or a part would be empty.
    """
    x, labels = np.asarray(x), None if labels is None else np.asarray(labels)
    _checks.require(x.ndim > 0 and len(x) > 0, "x.shape", x.shape, "give examples (num, *shape)")
    _checks.finite(x, "x")
    _check_labels(labels, len(x), "labels")
    _checks.finite_value("test_share", test_share)
    num_test = round(len(x) * test_share)
    fix = f"both parts of {len(x)} examples must have one at least"
    _checks.require(0 < num_test < len(x), "test_share", test_share, fix)
    order = host_generator(key).permutation(len(x))
    test, train = order[:num_test], order[num_test:]
    if labels is None:
        return x[train], x[test], None, None
    return x[train], x[test], labels[train], labels[test]


@guarded
def batches(
    x: np.ndarray,
    batch_size: int,
    *,
    labels: np.ndarray | None = None,
    start: int = 0,
    key: Key,
) -> Iterator[Any]:
    """Batches without end: shuffled epochs, the incomplete rest of each left out.

    **Arguments:**

    - `x`: examples `(num, *shape)`, floating point.
    - `labels`: the label of each, `(num,)`; batches are then pairs `(x, labels)`.
    - `batch_size`: at most `num`.
    - `start`: how many batches to leave out, such as those that an earlier part of the training
        has seen; whole epochs of them are not read.
    - `key`: a key; the same key gives the same batches.

    **Returns:**

    An iterator of arrays `(batch_size, *shape)`, or of pairs with labels `(batch_size,)`.

    **Raises:**

    `ValueError` if examples are not finite, fewer than a batch, or not as many as labels.
    """
    x = np.asarray(_checks.batch(x, "x"))
    _checks.finite(x, "x")
    _checks.at_least("batch_size", batch_size, 1)
    fix = f"there are {len(x)} examples: give at most that"
    _checks.require(batch_size <= len(x), "batch_size", batch_size, fix)
    _checks.at_least("start", start, 0)
    epochs = _epochs(len(x), batch_size, start, host_generator(key))
    if labels is None:
        return (x[index] for index in epochs)
    labels = np.asarray(labels)
    fix = f"give one label for each of the {len(x)} examples"
    _checks.require(labels.shape[:1] == (len(x),), "labels.shape", labels.shape, fix)
    return ((x[index], labels[index]) for index in epochs)


def _epochs(
    num: int, batch_size: int, start: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    epochs, first = divmod(start, num // batch_size)
    for _ in range(epochs):
        generator.permutation(num)
    while True:
        order = generator.permutation(num)
        for i in range(first, num // batch_size):
            yield order[i * batch_size : (i + 1) * batch_size]
        first = 0


def host_generator(key: Key) -> np.random.Generator:
    """A NumPy generator that depends on nothing but the key."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    data = jax.random.key_data(key) if typed else key
    return np.random.default_rng(jax.device_get(data).reshape(-1))
