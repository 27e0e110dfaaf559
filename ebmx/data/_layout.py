"""The layout of the axes of an array of examples, and the ranges of its values."""

import math
from typing import Literal

import numpy as np

from .. import _checks, _warnings
from ._scale import Range

Layout = Literal["auto", "images", "channels-first", "series", "table"]
_COLOURS = 4  # channels that an image may have
_ANY = math.inf
_DIMENSIONS = {"images": (2, _ANY), "channels-first": (4, 4), "series": (2, 3), "table": (2, _ANY)}


def layout_of(x: np.ndarray, layout: Layout) -> str:
    """The layout of examples `(num, ...)`, found by the shape if it is `"auto"`; see `load`."""
    if layout == "auto":
        return _found(x)
    fix = f"give one of auto, {', '.join(_DIMENSIONS)}"
    _checks.require(layout in _DIMENSIONS, "layout", repr(layout), fix)
    low, high = _DIMENSIONS[layout]
    fix = f"it does not fit an array of shape {x.shape}; leave it out, or give another layout"
    _checks.require(low <= x.ndim <= high, "layout", repr(layout), fix)
    return layout


def _found(x: np.ndarray) -> str:
    if x.ndim == 2:
        return "images" if x.dtype == np.uint8 else "table"
    if x.ndim == 3 and x.dtype != np.uint8:
        short, long = sorted(x.shape[1:])
        return "images" if long <= 2 * short else "series"
    if x.ndim != 4:
        return "images"
    first, second, last = x.shape[1:]
    if first <= _COLOURS < last and first != second:
        text = f"examples of shape {x.shape} are interpreted as images with channels first, and "
        text += f"transposed to (num, {second}, {last}, {first}): give layout='channels-first' or "
        _warnings.warn(text + "'images'", UserWarning)
        return "channels-first"
    fix = "are the channels first, or last? layout='channels-first' transposes the examples to "
    fix += f"(num, {second}, {last}, {first}), layout='images' leaves them as they are"
    unclear = first != second == last and (last > _COLOURS or first <= _COLOURS)
    _checks.require(not unclear, "examples.shape", x.shape, fix)
    return "images"


def arranged(x: np.ndarray, layout: str) -> np.ndarray:
    """Images as `(num, height, width, channel)`; other examples unchanged."""
    if layout == "channels-first":
        return np.ascontiguousarray(np.moveaxis(x, 1, -1))
    return x[..., None] if layout == "images" and x.ndim == 3 else x


def ranges(train: np.ndarray, test: np.ndarray, layout: str) -> tuple[Range, Range]:
    """The range of all values, or of each column of a table, or of each channel of a series."""
    for name, x in (("train", train), ("test", test)):
        _checks.finite(x, name)
    if layout in ("images", "channels-first") and train.dtype == np.uint8:
        top = max(int(train.max()), int(test.max()))
        # images of few levels, such as zeros and ones, are not dark images of 256 levels
        return 0.0, 255.0 if top > 127 else float(max(top, 1))
    axes = _axes(train, layout)
    low, high = _extent(train, axes)
    if np.ndim(low) > 0:
        # a column that is constant in the training part has the range of both parts
        constant, (other_low, other_high) = low == high, _extent(test, axes)
        low = np.where(constant, np.minimum(low, other_low), low)
        high = np.where(constant, np.maximum(high, other_high), high)
    fix = "all values are equal: there is nothing to learn"
    _checks.require(bool(np.any(low < high)), "train", np.ravel(low)[:3], fix)
    return (float(low), float(high)) if np.ndim(low) == 0 else (low, high)


def standard_ranges(train: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """One standard deviation to each side of the mean, of each column or channel."""
    fix = "images have one range: leave it out, or give layout='table'"
    _checks.require(layout in ("table", "series"), "standardise", True, fix)
    axes = _axes(train, layout)
    mean, std = (np.asarray(f(train, axis=axes, dtype=np.float64)) for f in (np.mean, np.std))
    low, high = _extent(train, axes)
    # the mean of equal numbers is rounded, and so is not one of them
    mean, std = np.where(low == high, low, mean), np.where(low == high, 0.0, std)
    _checks.require(bool(np.any(std > 0)), "train", np.ravel(mean)[:3], "all numbers are equal")
    return mean - std, mean + std


def _axes(x: np.ndarray, layout: str) -> tuple[int, ...]:
    """The axes that share one range."""
    if layout == "table":
        return (0,)
    return tuple(range(x.ndim))[: 2 if layout == "series" and x.ndim == 3 else None]


def _extent(x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return x.min(axes).astype(np.float64), x.max(axes).astype(np.float64)


def words(
    shape: tuple[int, ...], layout: str, low: Range, high: Range, standardised: bool = False
) -> str:
    """How examples of this shape were interpreted, in words."""
    size = "×".join(map(str, shape))
    if np.ndim(low) > 0:
        rows, columns = ("rows", "columns") if layout == "table" else ("series", "channels")
        scaled, constant = "standardised" if standardised else "in its range", np.sum(low == high)
        more = f" ({constant} constant)" if constant else ""
        return f"{rows} of {size}, each of {np.size(low)} {columns} {scaled}{more}"
    kind = "series" if layout == "series" else "images" if len(shape) == 3 else "examples"
    first = ", channels given first" if layout == "channels-first" else ""
    return f"{kind} of {size}{first}, in [{low:g}, {high:g}]"
