"""Scale and shift of a layer's outputs by a condition."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Key


class Modulation(eqx.Module):
    """`(1 + a(c)) · h + b(c)`, with linear `a` and `b` that are zero at first.

    Perez et al. (2018), "FiLM: visual reasoning with a general conditioning layer".
    """

    layer: eqx.nn.Linear

    def __init__(self, condition_size: int, channels: int, *, key: Key):
        layer = eqx.nn.Linear(condition_size, 2 * channels, key=key)
        self.layer = jax.tree.map(jnp.zeros_like, layer)

    def __call__(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        """The outputs of a layer, channels last, under a condition."""
        numbers = self.layer(condition.astype(self.layer.weight.dtype)).astype(x.dtype)
        scale, shift = jnp.split(numbers.reshape(*(1,) * (x.ndim - 1), -1), 2, -1)
        return (1 + scale) * x + shift


def modulations(
    condition_size: int | None, channels: Sequence[int], *, key: Key
) -> tuple[Modulation | None, ...]:
    """One for each layer; `None` for each without a condition."""
    if condition_size is None:
        return (None,) * len(channels)
    _checks.at_least("condition_size", condition_size, 1)
    keys = jax.random.split(key, len(channels))
    pairs = zip(channels, keys, strict=True)
    return tuple(Modulation(condition_size, size, key=key) for size, key in pairs)


def modulated(modulation: Modulation | None, x: jax.Array, condition: Any) -> jax.Array:
    """The outputs of a layer, under a condition if there is one."""
    return x if modulation is None else modulation(x, condition)


def check_given(condition_size: int | None, condition: jax.Array | None) -> None:
    """Check that a network is called with a condition if it was made for one."""
    wanted = None if condition_size is None else (condition_size,)
    given = None if condition is None else condition.shape
    fix = "this network takes no condition: make it with condition_size"
    if condition_size is not None:
        fix = f"this network takes a condition of shape {wanted}, as NoiseConditional gives it one"
    _checks.require(given == wanted, "condition.shape", given, fix)
