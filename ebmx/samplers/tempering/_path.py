"""The energies of the rungs of a ladder."""

import jax
import jax.numpy as jnp

from ..._types import EnergyFn, X
from ...energies import AbstractExactEnergy
from ...energies._tempered import Tempered


def tempered(
    energy: EnergyFn, base: AbstractExactEnergy | None, temperature: jax.Array
) -> EnergyFn:
    """The energy of a rung: `E / T`, or `E / T + (1 − 1/T) E₀` with a base."""

    rung = Tempered(energy, temperature)
    if base is None:
        return rung

    def with_base(x: X) -> jax.Array:
        value = rung(x)
        return value + share_of_base(base, temperature, x, value)

    return with_base


def share_of_base(
    base: AbstractExactEnergy, temperature: jax.Array, x: X, like: jax.Array
) -> jax.Array:
    """`(1 − 1/T) E₀(x)`, which is 0 at `T = 1` also where the base has no density."""
    weight = (1 - 1 / temperature).astype(like.dtype)
    return jnp.where(weight > 0, weight * base(x).astype(like.dtype), 0)


def without_share(
    base: AbstractExactEnergy, temperature: jax.Array, x: X, value: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """`E` and `E − E₀` from the energy of a rung with a base, at a finite temperature."""
    share = share_of_base(base, temperature, x, value)
    energy = (value - share) * temperature.astype(value.dtype)
    return energy, energy - base(x).astype(value.dtype)
