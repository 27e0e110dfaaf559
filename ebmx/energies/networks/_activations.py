"""Activations by name. A smooth one is what an energy wants: its gradient drives the chains."""

from collections.abc import Callable

import jax

from ... import _checks

_ACTIVATIONS: dict[str, Callable] = {
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
    "celu": jax.nn.celu,
    "tanh": jax.nn.tanh,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
}


def resolve_activation(activation: str | Callable) -> Callable:
    """The function of that name; a function stays what it is."""
    if callable(activation):
        return activation
    if activation not in _ACTIVATIONS:
        names = ", ".join(_ACTIVATIONS)
        _checks.invalid("activation", repr(activation), f"give a function or one of {names}")
    return _ACTIVATIONS[activation]
