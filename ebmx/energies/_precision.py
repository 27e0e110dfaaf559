"""Which numbers a network computes in."""

from collections.abc import Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from .. import _checks

Layers = TypeVar("Layers")

_DTYPES = ("bfloat16", "float16", "float32", "float64")


def resolve_dtype(name: str | None) -> str | None:
    """A dtype by its name; `None` is that of the parameters."""
    fix = f"give None or one of {', '.join(_DTYPES)}"
    _checks.require(name is None or name in _DTYPES, "compute_dtype", repr(name), fix)
    return name


def together(*arrays: ArrayLike) -> tuple[jax.Array, ...]:
    """Arrays in their common dtype, also where a program has forbidden implicit promotion."""
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(*arrays)
    return tuple(jnp.asarray(array, dtype) for array in arrays)


def cast_input(x: jax.Array, compute_dtype: str | None, layers: Sequence[Any]) -> jax.Array:
    """`x` in what the network computes in: this dtype, or for `None` that of its last layer."""
    return x.astype(compute_dtype or layers[-1].weight.dtype)


def cast_layers(layers: Layers, compute_dtype: str | None) -> Layers:
    """The floating-point arrays of layers in this dtype; as they are for `None`."""
    if compute_dtype is None:
        return layers

    def one(leaf: Any) -> Any:
        return leaf.astype(compute_dtype) if eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(one, layers)
