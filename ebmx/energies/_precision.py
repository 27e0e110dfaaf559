"""Which numbers a network computes in."""

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks

Layers = TypeVar("Layers")

_DTYPES = ("bfloat16", "float16", "float32", "float64")


def resolve_dtype(name: str | None) -> str | None:
    """A dtype by its name; `None` is that of the parameters."""
    fix = f"give None or one of {', '.join(_DTYPES)}"
    _checks.require(name is None or name in _DTYPES, "compute_dtype", repr(name), fix)
    return name


def cast(x: jax.Array, compute_dtype: str | None) -> jax.Array:
    """`x` in this dtype; as it is for `None`."""
    return x if compute_dtype is None else x.astype(jnp.dtype(compute_dtype))


def cast_layers(layers: Layers, compute_dtype: str | None) -> Layers:
    """The floating-point arrays of layers in this dtype."""

    def one(leaf: Any) -> Any:
        return cast(leaf, compute_dtype) if eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(one, layers)
