"""Checks at the public calls: each names the argument, its value and the fix."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from beartype import beartype
from jax.core import Tracer
from jaxtyping import jaxtyped

Function = TypeVar("Function", bound=Callable)


def checked(function: Function) -> Function:
    """Check the shapes and dtypes in `function`'s annotations at each call."""
    return cast(Function, jaxtyped(function, typechecker=beartype))


def invalid(name: str, value: object, fix: str) -> NoReturn:
    raise ValueError(f"{name}={_show(value)}: {fix}")


def require(condition: bool, name: str, value: object, fix: str) -> None:
    """Raise a `ValueError` naming the argument, its value and the fix."""
    if not condition:
        invalid(name, value, fix)


def positive(name: str, value: Any, fix: str = "give a finite number above 0") -> None:
    _numbers(name, value, lambda x: np.isfinite(x) & (x > 0), fix)


def non_negative(name: str, value: Any, fix: str = "give a finite number of at least 0") -> None:
    _numbers(name, value, lambda x: np.isfinite(x) & (x >= 0), fix)


def finite_value(name: str, value: Any) -> None:
    if value is not None:
        _numbers(name, value, np.isfinite, "give finite numbers")


def probability(name: str, value: Any) -> None:
    fix = "give a probability, in [0, 1]"
    _numbers(name, value, lambda p: p.ndim == 0 and 0 <= p <= 1, fix)


def fraction(name: str, value: Any) -> None:
    fix = "give a number in [0, 1)"
    _numbers(name, value, lambda x: (x.ndim == 0) & (x >= 0) & (x < 1), fix)


def _numbers(name: str, value: Any, ok: Callable[[np.ndarray], Any], fix: str) -> None:
    """Check numbers that are known; those of a trace pass."""
    if is_concrete(value):
        # NumPy's, since under a trace a comparison of JAX's would be traced
        numbers = np.asarray(value)
        require(numbers.size > 0 and bool(np.all(ok(numbers))), name, value, fix)


def at_least(name: str, value: Any, lowest: int) -> None:
    """Check a static size. Python integers only: an array here would retrace at each value."""
    ok = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= lowest
    require(bool(ok), name, value, f"give a Python integer of at least {lowest}")


def dimensions(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    ok = all(isinstance(d, int | np.integer) and d > 0 for d in shape)
    require(ok, name, tuple(shape), "give positive integers, such as (28, 28, 1)")
    return tuple(int(d) for d in shape)


def batch(x: Any, name: str, shape: tuple[int, ...] | None = None) -> jax.Array:
    """Return `x` as a floating-point array `(batch, *shape)` with at least one example."""
    if not isinstance(x, jax.Array | np.ndarray):
        invalid(name, type(x).__name__, "give a JAX or NumPy array of shape (batch, *shape)")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        fix = "give floating-point examples: x.astype(float) for zeros and ones; "
        fix += "ebmx.data.scale(x) maps integer pixels to [-1, 1]"
        invalid(f"{name}.dtype", str(x.dtype), fix)
    if x.ndim == 0 or x.shape[0] == 0:
        invalid(f"{name}.shape", x.shape, "give a batch (batch, *shape) of at least one example")
    if shape is not None and x.shape[1:] != shape:
        wanted = ", ".join(["batch", *map(str, shape)])
        fix = f"the energy takes examples of shape {shape}, so give a batch of shape ({wanted})"
        invalid(f"{name}.shape", x.shape, fix)
    return jnp.asarray(x)


def example(x: Any, shape: tuple[int, ...]) -> None:
    """Check the one example that an energy is called with."""
    if jnp.shape(x) != shape or not jnp.issubdtype(jnp.result_type(x), jnp.floating):
        got = f"{jnp.result_type(x)}{list(jnp.shape(x))}"
        fix = f"this energy takes ONE floating-point example of shape {shape}; for a batch use "
        invalid("x", got, fix + "jax.vmap(energy) or ebmx.energy(energy, x)")


def finite(x: Any, name: str) -> None:
    bad = ~np.isfinite(np.asarray(x))
    if bad.any():
        rows = np.unique(np.nonzero(bad)[0])[:5].tolist()
        some = f"remove or correct the examples {rows} (…)"
        fix = some if bad.ndim > 1 else "correct these values"
        invalid(name, f"{int(bad.sum())} non-finite values of {bad.size}", fix)


def is_concrete(value: Any) -> bool:
    return not isinstance(value, Tracer) and not callable(value)


def _show(value: object) -> str:
    if isinstance(value, jax.Array | np.ndarray | np.generic) and is_concrete(value):
        return str(np.asarray(value).tolist())
    return value if isinstance(value, str) else repr(value)
