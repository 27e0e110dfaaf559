"""Energies made of other energies. Sums and weights are in the arithmetic of `AbstractEnergy`."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from .. import _checks
from .._types import Number, Scalar, X
from ._base import AbstractEnergy, common_shape
from ._constants import as_number, constant, relative
from ._precision import together


class Normalised(AbstractEnergy):
    """`E(x) = E₁(x) + c` with a constant that training learns.

    Noise-contrastive estimation makes it `log Z` of `E₁`, and the density `exp(-E(x))`.

    Args:
        energy: an energy with a `shape`.
        constant: where `c` starts, in nats.

    Raises:
        ValueError: if the energy has no `shape`.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: Any
    constant: jax.Array = relative()

    def __init__(self, energy: Any, constant: Number = 0.0):
        self.shape = common_shape([energy])
        self.energy = energy
        _checks.finite_value("constant", constant)
        self.constant = as_number(constant)

    def __call__(self, x: X) -> Scalar:
        value = self.energy(x)
        return value + self.constant.astype(value.dtype)


class Mixture(AbstractEnergy):
    """`E(x) = -log Σₖ wₖ exp(-Eₖ(x))`: where any of the densities is likely.

    The weights are those of the components if each is normalised, `log Zₖ = 0`; in general the
    fraction of a component is in proportion to `wₖ Zₖ`. The parameters are `log_weights`, and `w`
    is their softmax.

    Args:
        energies: energies of one shape, at least one.
        weights: `(components,)`, positive; they are normalised. Equal if not given.

    Raises:
        ValueError: if shapes differ, or the weights are not one positive number a component.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energies: tuple[Any, ...]
    log_weights: jax.Array = relative()

    def __init__(self, energies: Sequence[Any], weights: ArrayLike | None = None):
        self.shape = common_shape(energies)
        self.energies = tuple(energies)
        count = len(self.energies)
        weights = jnp.ones(count) if weights is None else jnp.asarray(weights, float)
        fix = f"give one weight for each of the {count} energies"
        _checks.require(weights.shape == (count,), "weights.shape", weights.shape, fix)
        _checks.positive("weights", weights)
        self.log_weights = jax.nn.log_softmax(jnp.log(weights))

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        values = jnp.stack(together(*(energy(x) for energy in self.energies)))
        log_weights = jax.nn.log_softmax(self.log_weights).astype(values.dtype)
        return -jax.nn.logsumexp(log_weights - values)


class Box(AbstractEnergy):
    """An energy restricted to a box: infinite where a coordinate is outside.

    Adjusted samplers reject steps out of the box. Unadjusted ones leave it: give these `bounds`.

    Args:
        energy: an energy with a `shape`.
        low: the lowest corner, a number or an array of the energy's shape. Training does not
            change it.
        high: the highest corner, likewise.

    Raises:
        ValueError: if a shape does not fit, or `low < high` does not hold everywhere.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: Any
    low: jax.Array = constant()
    high: jax.Array = constant()

    def __init__(self, energy: Any, low: ArrayLike, high: ArrayLike):
        self.shape = common_shape([energy])
        self.energy = energy
        self.low, self.high = (self._corner(name, c) for name, c in (("low", low), ("high", high)))
        fix = "give low < high for each coordinate"
        if _checks.is_concrete(self.low) and _checks.is_concrete(self.high):
            ok = bool(jnp.all(self.low < self.high))
            _checks.require(ok, "high", high, fix)

    def _corner(self, name: str, corner: ArrayLike) -> jax.Array:
        corner = jnp.asarray(corner, float)
        fix = f"give a number or an array of shape {self.shape}"
        ok = corner.shape in ((), self.shape)
        _checks.require(ok, f"{name}.shape", corner.shape, fix)
        return jnp.broadcast_to(corner, self.shape)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        corners = jax.lax.stop_gradient((self.low, self.high))
        low, high = (corner.astype(jnp.result_type(x)) for corner in corners)
        inside = jnp.all((x >= low) & (x <= high))
        # the energy is taken at a point within, so that no gradient is NaN outside
        value = self.energy(jnp.where(inside, x, jnp.clip(x, low, high)))
        return jnp.where(inside, value, jnp.inf)
