"""Activations by name. Prefer a smooth one: the gradient of the energy drives the chains."""

from collections.abc import Callable

import jax

from ... import _checks

_NAMES = ("silu", "swish", "softplus", "gelu", "elu", "celu", "tanh", "relu", "leaky_relu")


def resolve_activation(activation: str | Callable) -> Callable:
    """The function of this name in `jax.nn`; a function is returned as it is."""
    if callable(activation):
        return activation
    fix = f"give a function or one of {', '.join(_NAMES)}"
    _checks.require(activation in _NAMES, "activation", repr(activation), fix)
    return getattr(jax.nn, activation)
