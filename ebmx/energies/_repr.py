"""How energies and samplers are printed."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

_LARGEST = 8  # entries of an array that is printed with its values


class _Shown(str):
    """A text that is printed without quotes."""

    __repr__ = str.__str__


def show(module: Any) -> str:
    """A module with the values of its numbers and short arrays, such as `MALA(step_size=0.1)`.

    Long arrays, and the weights of linear layers, are printed as Equinox does: `f32[64,784]`.
    """
    is_layer = lambda node: isinstance(node, eqx.nn.Linear)  # noqa: E731
    return eqx.tree_pformat(jax.tree.map(_value, module, is_leaf=is_layer))


def _value(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array | np.ndarray) or isinstance(leaf, Tracer):
        return leaf
    is_short = leaf.ndim <= 1 and leaf.size <= _LARGEST
    if not is_short or jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        return leaf
    array = np.asarray(leaf)
    return _Shown(np.array2string(array, separator=", ") if array.ndim else str(array[()]))
