"""Fields of samplers: numbers that can be swept without retracing, and bounds."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import X
from ..energies._constants import as_number


def number(**kwargs: Any) -> Any:
    """A field that holds a sweepable number or an array of numbers, or `None`."""
    return eqx.field(converter=lambda v: None if v is None else as_number(v), **kwargs)


def bounds(**kwargs: Any) -> Any:
    """A field that holds `(low, high)`, or `None`; an end that is `None` becomes infinite."""

    def convert(value):
        if value is None:
            return None
        low, high = value
        low = -np.inf if low is None else low
        high = np.inf if high is None else high
        return as_number(low), as_number(high)

    return eqx.field(converter=convert, **kwargs)


def check_bounds(value: tuple[Any, Any] | None) -> None:
    """Check that the lower end is below the upper one, in each coordinate."""
    if value is None or not all(_checks.is_concrete(end) for end in value):
        return
    low, high = (np.asarray(end, np.float64) for end in value)
    ok = low.size > 0 and high.size > 0 and bool(np.all(low < high))
    fix = "give (low, high) with low < high, numbers or arrays of the shape of one example"
    _checks.require(ok, "bounds", (low.tolist(), high.tolist()), fix)


def at_least_single(dtype: Any) -> Any:
    """The precision, at least float32, which sums and comparisons with random numbers need."""
    return dtype if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)


def cast(value: Any, x: X) -> Any:
    """The number in the precision of the positions."""
    return jnp.asarray(value).astype(x.dtype)


def clip_to(x: X, bounds: tuple[Any, Any]) -> X:
    """The nearest position within the bounds."""
    return jnp.clip(x, *_ends(bounds, x))


def reflect_at(x: X, bounds: tuple[Any, Any]) -> tuple[X, jax.Array]:
    """The position reflected at the bounds until it is within, and where its direction is reversed.

    With two ends a coordinate is folded like a triangle wave, with one it is reflected once.
    """
    start, end, below, above = _finite_ends(bounds, x)
    both = below & above
    width = jnp.where(both, end - start, 1)
    phase = (x - start) % (2 * width)
    odd = phase > width
    folded = start + jnp.where(odd, 2 * width - phase, phase)
    under, over = below & ~above & (x < start), above & ~below & (x > end)
    single = jnp.where(under, 2 * start - x, jnp.where(over, 2 * end - x, x))
    return jnp.where(both, folded, single), jnp.where(both, odd, under | over)


def mirror_at(x: X, bounds: tuple[Any, Any]) -> X:
    """The mirror image of a position behind one of its bounds; the position where it has none."""
    start, end, below, above = _finite_ends(bounds, x)
    return jnp.where(below, 2 * start - x, jnp.where(above, 2 * end - x, x))


def wrap_at(x: X, bounds: tuple[Any, Any]) -> X:
    """The position moved by whole periods of the reflection to near the bounds."""
    start, end, below, above = _finite_ends(bounds, x)
    # there and back: the mirrored energy repeats after two widths
    period = jnp.where(below & above, 2 * (end - start), 1)
    return jnp.where(below & above, start + (x - start) % period, x)


def _ends(bounds: tuple[Any, Any], x: X) -> tuple[X, X]:
    for end in bounds:
        shape, fix = jnp.shape(end), f"give a number or an array that fits the shape {x.shape}"
        fits = zip(reversed(shape), reversed(x.shape), strict=False)
        ok = len(shape) <= x.ndim and all(one in (1, size) for one, size in fits)
        _checks.require(ok, "bounds.shape", shape, fix)
    return cast(bounds[0], x), cast(bounds[1], x)


def _finite_ends(bounds: tuple[Any, Any], x: X) -> tuple[X, X, jax.Array, jax.Array]:
    """Both ends with 0 in place of infinite ones, and where they are finite."""
    low, high = _ends(bounds, x)
    below, above = jnp.isfinite(low), jnp.isfinite(high)
    return jnp.where(below, low, 0), jnp.where(above, high, 0), below, above
