"""Energies of constrained examples in coordinates without constraints."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Scalar, X
from .._base import AbstractEnergy, common_shape
from ..bijections._bijections import AbstractBijection


class Transformed(AbstractEnergy):
    """`E(z) = E₁(f(z)) - log |det ∂f/∂z|`: an energy of `x = f(z)` in coordinates without bounds.

    If `z` has the density `exp(-E)`, `x` has `exp(-E₁)` on the domain of `f`; `log Z` is the same.
    Every sampler moves in `z`; `unconstrain` makes its starts, `constrain` takes samples back.

    Args:
        energy: an energy `E₁` of `x`, by its density with respect to `dx`.
        bijection: `f`, such as `Exp()` or `Sigmoid(low, high)`.

    Raises:
        ValueError: if the energy has no `shape`, or the bijection does not fit it.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: Any
    bijection: AbstractBijection

    def __init__(self, energy: Any, bijection: AbstractBijection):
        self.shape = bijection.unconstrained_shape(common_shape([energy]))
        self.energy = energy
        self.bijection = bijection

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        value = self.energy(self.bijection.forward(x))
        return value - self.bijection.log_det(x).astype(value.dtype)

    def constrain(self, z: ArrayLike) -> jax.Array:
        """`x = f(z)` of many.

        Args:
            z: `(..., *shape)`, such as the values of samples, `(chains, draws, *shape)`.

        Returns:
            `x`, `(..., *shape)` with the shape of one example of the energy that was transformed.
        """
        z = jnp.asarray(z)
        leading("z", z, self.shape)
        return over_leading(self.bijection.forward, z, len(self.shape))

    def unconstrain(self, x: ArrayLike) -> jax.Array:
        """`z` with `f(z) = x` of many, such as where chains start.

        Args:
            x: `(..., *shape)`, with the shape of one example of the energy that was transformed.

        Returns:
            `z`, `(..., *shape)`.

        Raises:
            ValueError: if an `x` is outside of the domain, or on its edge.
        """
        x, shape = jnp.asarray(x), common_shape([self.energy])
        leading("x", x, shape)
        z = over_leading(self.bijection.inverse, x, len(shape))
        check_inside(z, "x", self.bijection)
        return z


def check_inside(z: jax.Array, name: str, bijection: AbstractBijection) -> None:
    """Check that an inverse was taken inside of the domain."""
    if _checks.is_concrete(z):
        bad = int(np.sum(~np.isfinite(np.asarray(z))))
        fix = f"give numbers strictly inside of the domain of {bijection}"
        _checks.require(bad == 0, name, f"{bad} of {z.size} outside", fix)


def over_leading(function: Callable, values: jax.Array, num_axes: int) -> Any:
    """A function of an array of so many axes, mapped over all axes before these."""
    for _ in range(values.ndim - num_axes):
        function = jax.vmap(function)
    return function(values)


def leading(name: str, x: jax.Array, shape: tuple[int, ...], what: str = "") -> tuple[int, ...]:
    """The axes before those of one example, which have to be `shape`."""
    num = x.ndim - len(shape)
    fix = f"give {what}(..., {', '.join(map(str, shape))})"
    _checks.require(num >= 0 and x.shape[num:] == shape, f"{name}.shape", x.shape, fix)
    return x.shape[:num]
