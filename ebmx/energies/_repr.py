"""How energies and samplers are printed."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

_LARGEST = 8  # entries of an array that is printed with its values


class _Values:
    """A short array, printed as a list of its values."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __repr__(self) -> str:
        return str(self.array[()]) if self.array.ndim == 0 else _listed(self.array)


def show(module: Any) -> str:
    """A module with the values of its numbers and short arrays, such as `MALA(step_size=0.1)`.

    Long arrays, and the weights of linear layers, are printed as Equinox does: `f32[64,784]`.
    """
    is_layer = lambda node: isinstance(node, eqx.nn.Linear)  # noqa: E731
    return eqx.tree_pformat(jax.tree.map(_value, module, is_leaf=is_layer))


def _listed(array: np.ndarray) -> str:
    return np.array2string(array, separator=", ")


def _value(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array | np.ndarray) or isinstance(leaf, Tracer):
        return leaf
    is_short = leaf.ndim <= 1 and leaf.size <= _LARGEST
    if not is_short or jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        return leaf
    return _Values(np.asarray(leaf))
