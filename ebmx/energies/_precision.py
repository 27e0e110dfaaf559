"""Precisions: dtypes that networks compute in, and common ones of several arrays."""

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
    """Check the name of a dtype; `None` is the dtype of the parameters."""
    fix = f"give None or one of {', '.join(_DTYPES)}"
    _checks.require(name is None or name in _DTYPES, "compute_dtype", repr(name), fix)
    return name


def together(*arrays: ArrayLike) -> tuple[jax.Array, ...]:
    """Arrays in their common dtype, also where implicit promotion is an error."""
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(*arrays)
    return tuple(jnp.asarray(array, dtype) for array in arrays)


def as_dtype_of(x: jax.Array, *numbers: ArrayLike) -> tuple[jax.Array, ...]:
    """Numbers in the dtype of an example, which the energy then has."""
    return tuple(jnp.asarray(number, jnp.result_type(x)) for number in numbers)


def cast_input(x: jax.Array, compute_dtype: str | None, layers: Sequence[Any]) -> jax.Array:
    """`x` in the dtype that the network computes in; for `None`, that of its last layer."""
    return x.astype(compute_dtype or layers[-1].weight.dtype)


def cast_layers(layers: Layers, compute_dtype: str | None) -> Layers:
    """The layers with floating-point arrays in this dtype; unchanged for `None`."""
    if compute_dtype is None:
        return layers
    numbers, rest = eqx.partition(layers, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(lambda leaf: leaf.astype(compute_dtype), numbers), rest)
