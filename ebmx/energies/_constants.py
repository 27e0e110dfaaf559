"""Marks on fields: which numbers of an energy are not parameters."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

CONSTANT, RELATIVE, EXACT, FREE = "constant", "relative", "exact", "free"
"""The role of the numbers of a field: constants, parameters that combine energies (a weight, a
constant), parameters of an exact density, and all other parameters."""

_ROLE = "ebmx_role"


def constant(**kwargs: Any) -> Any:
    """A field of a module whose arrays are not parameters: training does not change them.

    Use it in place of `eqx.field`: `low: jax.Array = ebmx.energies.constant()`. The optimiser, its
    weight decay, the moving average and the gradient norm leave these arrays out.

    Args:
        kwargs: as for `eqx.field`, such as `default` and `converter`.

    Returns:
        The field.
    """
    metadata = {_ROLE: CONSTANT, **kwargs.pop("metadata", {})}
    return eqx.field(metadata=metadata, **kwargs)


def relative(**kwargs: Any) -> Any:
    """A field of parameters that combine energies, such as a weight or a constant."""
    return constant(metadata={_ROLE: RELATIVE}, **kwargs)


def number(**kwargs: Any) -> Any:
    """A field of a constant that is given as a number."""
    return constant(converter=as_number, **kwargs)


def as_number(value: ArrayLike) -> jax.Array:
    """A number of any kind as an array of one dtype, so that one program serves all kinds."""
    return jnp.asarray(value, float)


def role_of(module: eqx.Module, name: str) -> str | None:
    """How a field of a module is marked; `None` if it is not."""
    return next((f.metadata.get(_ROLE) for f in dataclasses.fields(module) if f.name == name), None)
