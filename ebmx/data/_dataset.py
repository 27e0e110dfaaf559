"""Data sets in memory."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .. import _checks
from .._arguments import check_arguments
from ._batches import split
from ._labels import as_labels
from ._layout import Layout, arranged, layout_of, ranges, standard_ranges, words
from ._scale import Range, binarised, check_range, check_span, check_threshold, scale
from ._source import Source

_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Examples for training and for testing, scaled to [-1, 1] or another span.

    `from_arrays` scales and splits arrays as they are; `load` does so with files.

    Raises:
        ValueError: if examples are not finite or have different shapes, labels are not integers
            from 0, one for each example, a range does not fit, or names are too few or too many.
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
    columns: tuple[str, ...] = ()
    """Names of the columns of a table, if they have any."""
    classes: tuple[str, ...] = ()
    """Names of the labels, the first of them of label 0, if they have any."""
    binarise: float | None = None
    """The threshold of examples of zeros and ones, a fraction of the range."""

    def __post_init__(self):
        for name, x in (("train", self.train), ("test", self.test)):
            _checks.require(np.ndim(x) > 0, f"{name}.shape", np.shape(x), "give (num, *shape)")
            _checks.finite(x, name)
            labels = getattr(self, f"{name}_labels")
            if labels is not None:
                labels = as_labels(labels, len(x), f"{name}_labels")
                object.__setattr__(self, f"{name}_labels", labels)
        _check_test_shape(np.shape(self.test), self.shape)
        check_range(self.low, self.high, self.shape)
        check_span(self.span)
        check_threshold(self.binarise, self.span)
        self._check_names()

    def _check_names(self) -> None:
        fix = f"give a name for each column of examples of shape {self.shape}, or none"
        ok = not self.columns or (len(self.columns),) == self.shape
        _checks.require(ok, "columns", self.columns, fix)
        for name in ("train_labels", "test_labels"):
            labels = getattr(self, name)
            most = -1 if labels is None or not self.classes else int(labels.max())
            fix = f"`{name}` go up to {most}: give a name for each from 0 on, or none"
            _checks.require(most < len(self.classes), "classes", self.classes, fix)

    @classmethod
    @check_arguments
    def from_arrays(
        cls,
        train: np.ndarray | jax.Array,
        test: np.ndarray | jax.Array | None = None,
        *,
        labels: np.ndarray | jax.Array | None = None,
        test_labels: np.ndarray | jax.Array | None = None,
        columns: tuple[str, ...] = (),
        classes: tuple[str, ...] = (),
        name: str = "arrays",
        test_fraction: float = 0.2,
        seed: int = 0,
        layout: Layout = "auto",
        span: tuple[float, float] = (-1.0, 1.0),
        standardise: bool = False,
        binarise: float | None = None,
    ) -> "Dataset":
        """A data set of arrays in memory, scaled, split and checked as `load` does with files.

        Args:
            train: examples `(num, *shape)`, in data units.
            test: test examples, likewise; a fraction of `train`, chosen at random, if not given.
            labels: labels of `train`, integers from 0, `(num,)`.
            test_labels: labels of `test`.
            columns: names of the columns of a table.
            classes: names of the labels.
            name: what the data set is called.
            test_fraction: as for `load`.
            seed: as for `load`.
            layout: as for `load`.
            span: as for `load`.
            standardise: as for `load`.
            binarise: as for `load`.

        Returns:
            A `Dataset`.

        Raises:
            ValueError: as `load` does; or if there are `test_labels` without `test`.

        Warns:
            UserWarning: as `load` does.
        """
        whole = "all" if test is None else "train"
        parts = {whole: train, "test": test, f"{whole}_labels": labels, "test_labels": test_labels}
        fix = "there is no `test`: give `labels` for all examples"
        _checks.require(test is not None or test_labels is None, "test_labels", "given", fix)
        given = {part: np.asarray(value) for part, value in parts.items() if value is not None}
        source = Source(given, columns=tuple(columns), classes=tuple(classes))
        options = test_fraction, seed, layout, span, binarise
        return assemble(name, source, lambda shape: standardise, *options)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return np.shape(self.train)[1:]

    @property
    def summary(self) -> str:
        """The numbers of examples, how the arrays were interpreted, and the labels, in words."""
        labels, reading = self.train_labels, self.reading or f"of shape {self.shape}"
        classes = "no labels" if labels is None else f"labels {labels.min()} to {labels.max()}"
        classes += f" ({_listed(self.classes)})" if self.classes else ""
        num = f"{len(self.train)} training and {len(self.test)} test examples"
        return f"{self.name}: {num}, {reading}, {classes}"

    @property
    def log_jacobian(self) -> float:
        """What to add to a log density of scaled examples for that in data units, in nats.

        The log determinant of `from_units`; columns that are constant are left out. Zeros and ones
        have probabilities in place of a density, and 0 is added.
        """
        if self.binarise is not None:
            return 0.0
        width = np.broadcast_to(np.subtract(self.high, self.low, dtype=np.float64), self.shape)
        return float(np.sum(np.log((self.span[1] - self.span[0]) / width[width > 0])))

    def to_units(self, x: np.ndarray) -> np.ndarray:
        """Map from the span to data units, for each column by its own range.

        The inverse of `from_units`, to within rounding: of bytes and other integers below 2²⁰,
        `np.rint(data.to_units(data.from_units(x)))` is `x` exactly.

        Args:
            x: examples `(num, *shape)`, such as samples.

        Returns:
            An array of that shape.
        """
        start, end = self.span
        return (np.asarray(x) - start) / (end - start) * (self.high - self.low) + self.low

    def from_units(self, x: np.ndarray) -> np.ndarray:
        """Map from data units to the span, as `load` does; the inverse of `to_units`.

        With `binarise` to zeros and ones, of which `to_units` makes the ends of the range.

        Args:
            x: examples `(num, *shape)` in data units, images with the channels last.

        Returns:
            An array of that shape, float32.
        """
        x = np.asarray(x)
        fix = f"give (num, {', '.join(map(str, self.shape))})"
        _checks.require(x.shape[1:] == self.shape, "x.shape", x.shape, fix)
        return binarised(scale(x, self.low, self.high, span=self.span), self.binarise)


def _check_test_shape(test: tuple[int, ...], shape: tuple[int, ...]) -> None:
    fix = f"the examples of `train` have shape {shape}: give examples of the same shape"
    _checks.require(test[1:] == shape, "test.shape", test, fix)


def assemble(
    name: str,
    source: Source,
    standardise: Callable[[tuple[int, ...]], bool],
    test_fraction: float,
    seed: int,
    layout: Layout,
    span: tuple[float, float],
    binarise: float | None = None,
) -> Dataset:
    """Arrange, split and scale what was read; whether to standardise may depend on the shape."""
    parts: dict[str, Any] = dict(source.parts)
    examples = {part: _numbers(x) for part, x in parts.items() if "labels" not in part}
    layout = source.layout if layout == "auto" else layout
    axes = layout_of(examples["all" if "all" in examples else "train"], layout)
    for part, x in examples.items():
        parts[part], name_of = arranged(x, axes), f"{part}_labels"
        if name_of in parts:
            said = name_of.removeprefix("all_")
            parts[name_of] = as_labels(parts[name_of], len(x), said)
    if "all" in parts or "test" not in parts:
        whole = "all" if "all" in parts else "train"
        x, labels = parts[whole], parts.get(f"{whole}_labels")
        pieces = split(x, labels, test_fraction=test_fraction, key=jax.random.key(seed))
    else:
        labels = parts.get("train_labels"), parts.get("test_labels")
        pieces = parts["train"], parts["test"], *labels
    train, test, train_labels, test_labels = pieces
    _check_test_shape(test.shape, train.shape[1:])
    low, high = source.known or ranges(train, test, axes)
    standard = standardise(train.shape[1:])
    _checks.require(isinstance(standard, bool), "standardise", standard, "give True or False")
    if standard:
        low, high = standard_ranges(train, axes)
    if binarise is not None:
        fix = "zeros and ones are made of a range: leave one of the two out"
        _checks.require(not standard, "binarise", binarise, fix)
        span = (0.0, 1.0)
        check_threshold(binarise, span)
    train, test = (binarised(scale(x, low, high, span=span), binarise) for x in (train, test))
    reading = words(train.shape[1:], axes, low, high, standard)
    if binarise is not None:
        reading += f", as zeros and ones at {binarise:g} of it"
    if source.columns:
        label = f"; labels: {source.label}" if source.label else ""
        reading += f" ({_listed(source.columns)}{label})"
    names = source.columns, source.classes
    return Dataset(
        name, train, test, train_labels, test_labels, low, high, span, reading, *names, binarise
    )


def _numbers(x: np.ndarray) -> np.ndarray:
    """Examples as numbers; booleans become zeros and ones."""
    x = x.astype(np.uint8) if x.dtype == bool else x
    fix = "give numbers (num, *shape), at least two examples"
    real = np.issubdtype(x.dtype, np.integer) or np.issubdtype(x.dtype, np.floating)
    ok = real and x.ndim >= 2 and len(x) >= 2 and x.size > 0
    _checks.require(ok, "examples.shape", (x.dtype, *x.shape), fix)
    return x


def _listed(names: tuple[str, ...]) -> str:
    more = ["…"] if len(names) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more])
