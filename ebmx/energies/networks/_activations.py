"""Activations by name. Prefer a smooth one: the gradient of the energy drives the chains."""

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
    """The function of this name; a function is returned as it is."""
    if callable(activation):
        return activation
    if activation not in _ACTIVATIONS:
        names = ", ".join(_ACTIVATIONS)
        _checks.invalid("activation", repr(activation), f"give a function or one of {names}")
    return _ACTIVATIONS[activation]
