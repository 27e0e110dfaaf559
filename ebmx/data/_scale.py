"""The linear map from data units to the span of a model."""

import numpy as np

from .. import _checks

Range = float | np.ndarray


def check_range(low: Range, high: Range, shape: tuple[int, ...]) -> None:
    for name, value in (("low", low), ("high", high)):
        _checks.finite_value(name, value)
        fix = f"give a number, or an array of the shape of the last axes of {shape}"
        ok = np.shape(value) in [shape[i:] for i in range(len(shape) + 1)]
        _checks.require(ok, f"{name}.shape", np.shape(value), fix)
    ok = bool(np.all(np.asarray(low) <= np.asarray(high)) and np.any(np.less(low, high)))
    _checks.require(ok, "low", low, f"give low < high, which is {high}")


def check_span(span: tuple[float, float]) -> None:
    ok = len(span) == 2 and bool(np.all(np.isfinite(span))) and span[0] < span[1]
    _checks.require(ok, "span", span, "give (low, high), such as (-1, 1) or (0, 1)")


def check_threshold(binarise: float | None, span: tuple[float, float]) -> None:
    if binarise is None:
        return
    ok = isinstance(binarise, int | float) and not isinstance(binarise, bool) and 0 <= binarise < 1
    _checks.require(ok, "binarise", binarise, "give a threshold in [0, 1), such as 0.5")
    fix = "zeros and ones have the span (0, 1)"
    _checks.require(tuple(span) == (0.0, 1.0), "span", span, fix)


def binarised(x: np.ndarray, threshold: float | None) -> np.ndarray:
    """One where a number in [0, 1] is above the threshold, else zero; without one as it is."""
    return x if threshold is None else (x > threshold).astype(np.float32)


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
    check_span(span)
    smallest, largest = float(x.min()), float(x.max())
    if x.dtype == np.uint8:
        smallest, largest = 0.0, 1.0 if largest <= 1 else 255.0
    low = _end(smallest if low is None else low)
    high = _end(largest if high is None else high)
    check_range(low, high, x.shape)
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
