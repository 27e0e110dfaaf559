"""Which numbers of an energy are not parameters: marked where they are stored."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

CONSTANT, RELATIVE, EXACT, FREE = "constant", "relative", "exact", "free"
"""What the numbers of a field are: no parameters, parameters of the way in which energies are
combined, parameters of an exact density, and all other parameters."""

_ROLE = "ebmx_role"


def constant(**kwargs: Any) -> Any:
    """A field of a module whose arrays are no parameters: training does not change them.

    It stands where `eqx.field` would: `low: jax.Array = ebmx.energies.constant()`. What is marked
    is unseen by the optimiser, by its weight decay, by the moving average and by the gradient norm.

    Args:
        kwargs: as for `eqx.field`, such as `default` and `converter`.

    Returns:
        The field.
    """
    return _field(CONSTANT, **kwargs)


def relative(**kwargs: Any) -> Any:
    """A field of parameters that combine energies: a weight or a constant, no energy itself."""
    return _field(RELATIVE, **kwargs)


def number(**kwargs: Any) -> Any:
    """A field of a constant that is given as a number."""
    return constant(converter=as_number, **kwargs)


def as_number(value: ArrayLike) -> jax.Array:
    """A number of any kind as an array of one dtype, so that one program serves all kinds."""
    return jnp.asarray(value, float)


def role_of(module: eqx.Module, name: str) -> str | None:
    """How a field of a module is marked; `None` if it is not."""
    fields = {field.name: field for field in dataclasses.fields(module)}
    return fields[name].metadata.get(_ROLE) if name in fields else None


def _field(role: str, **kwargs: Any) -> Any:
    metadata = {**kwargs.pop("metadata", {}), _ROLE: role}
    return eqx.field(metadata=metadata, **kwargs)
