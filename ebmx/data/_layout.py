"""What the axes of an array of examples are, and in which ranges its numbers are."""

from typing import Literal

import numpy as np

from .. import _checks, _warnings

Layout = Literal["auto", "images", "channels-first", "series", "table"]
_COLOURS = 4  # channels that an image may have
_DIMENSIONS = {"images": (2, None), "channels-first": (4, 4), "series": (2, 3), "table": (2, None)}


def layout_of(x: np.ndarray, layout: Layout) -> str:
    """The layout of examples `(num, ...)`, found by its shape if it is `"auto"`; see `load`.

    Raises:
        ValueError: if the layout does not fit the number of axes, or the shape may be two of them.
    """
    if layout == "auto":
        return _found(x)
    fix = f"give one of auto, {', '.join(_DIMENSIONS)}"
    _checks.require(layout in _DIMENSIONS, "layout", repr(layout), fix)
    low, high = _DIMENSIONS[layout]
    fix = f"examples of shape {x.shape} do not have these axes"
    ok = low <= x.ndim and (high is None or x.ndim <= high)
    _checks.require(ok, "layout", repr(layout), f"{fix}; leave it out, or give another one")
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
        text = (
            f"examples of shape {x.shape} are taken for images with channels first, and transposed "
            f"to (num, {second}, {last}, {first}): give layout='channels-first' or 'images'"
        )
        _warnings.warn(text, UserWarning)
        return "channels-first"
    fix = "are the channels first, or last? give layout='channels-first' or 'images'"
    unclear = first != second == last and (last > _COLOURS or first <= _COLOURS)
    _checks.require(not unclear, "examples.shape", x.shape, fix)
    return "images"


def arranged(x: np.ndarray, layout: str) -> np.ndarray:
    """Images as `(num, height, width, channel)`; other examples as they are."""
    if layout == "channels-first":
        return np.ascontiguousarray(np.moveaxis(x, 1, -1))
    return x[..., None] if layout == "images" and x.ndim == 3 else x


def ranges(
    train: np.ndarray, test: np.ndarray, layout: str
) -> tuple[float | np.ndarray, float | np.ndarray]:
    """The range of all numbers, or of each column of a table, or of each channel of a series.

    Raises:
        ValueError: if a value is not finite, or all are the same.
    """
    for name, x in (("train", train), ("test", test)):
        _checks.finite(x, name)
    if layout in ("images", "channels-first") and train.dtype == np.uint8:
        top = max(int(train.max()), int(test.max()))
        # bytes of fewer levels, such as zeros and ones, are not the dark part of 256
        return 0.0, 255.0 if top > 127 else float(max(top, 1))
    axes = _axes(train, layout)
    low, high = _extent(train, axes)
    if np.ndim(low) > 0:
        # a column that is constant in the training part alone keeps its values in the other
        constant, (other_low, other_high) = low == high, _extent(test, axes)
        low = np.where(constant, np.minimum(low, other_low), low)
        high = np.where(constant, np.maximum(high, other_high), high)
    fix = "all numbers are the same: there is nothing to learn"
    _checks.require(bool(np.any(low < high)), "train", np.ravel(low)[:3], fix)
    return (float(low), float(high)) if np.ndim(low) == 0 else (low, high)


def _axes(x: np.ndarray, layout: str) -> tuple[int, ...]:
    """Those over which one range is taken."""
    if layout == "table":
        return (0,)
    return tuple(range(x.ndim))[: 2 if layout == "series" and x.ndim == 3 else None]


def _extent(x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return x.min(axes).astype(np.float64), x.max(axes).astype(np.float64)


def words(
    shape: tuple[int, ...], layout: str, low: float | np.ndarray, high: float | np.ndarray
) -> str:
    """How examples of this shape were taken, in words."""
    size = "×".join(map(str, shape))
    if np.ndim(low) > 0:
        num, constant = np.size(low), int(np.sum(np.equal(low, high)))
        each = f"each of {num} columns" if layout == "table" else f"each of {num} channels"
        more = f" ({constant} constant)" if constant else ""
        return f"{'rows' if layout == 'table' else 'series'} of {size}, {each} in its range{more}"
    kind = "series" if layout == "series" else "images" if len(shape) == 3 else "examples"
    first = ", channels given first" if layout == "channels-first" else ""
    return f"{kind} of {size}{first}, in [{low:g}, {high:g}]"
