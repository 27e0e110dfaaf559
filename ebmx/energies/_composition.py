"""Energies made of other energies. Sums and weights are in the arithmetic of `AbstractEnergy`."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from .. import _checks
from .._types import Number, Scalar, X
from ._base import AbstractEnergy, check_order, common_shape, log_weights
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

    Examples:
        >>> import jax.numpy as jnp
        >>> from ebmx.energies import Gaussian, Mixture
        >>> left, right = Gaussian(jnp.array([-1.0])), Gaussian(jnp.array([1.0]))
        >>> energy = Mixture((left, right), weights=jnp.array([0.3, 0.7]))
        >>> bool(energy(jnp.array([1.0])) < energy(jnp.array([-1.0])))
        True
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energies: tuple[Any, ...]
    log_weights: jax.Array = relative()

    def __init__(self, energies: Sequence[Any], weights: ArrayLike | None = None):
        self.shape = common_shape(energies)
        self.energies = tuple(energies)
        self.log_weights = log_weights(weights, len(self.energies))

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        values = jnp.stack(together(*(energy(x) for energy in self.energies)))
        # training may have moved the weights, which still add up to 1
        log_w = jax.nn.log_softmax(self.log_weights).astype(values.dtype)
        return -jax.nn.logsumexp(log_w - values)


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
        corners = jnp.asarray(low, float), jnp.asarray(high, float)
        for name, corner in zip(("low", "high"), corners, strict=True):
            fix = f"give a number or an array of shape {self.shape}"
            ok = corner.shape in ((), self.shape)
            _checks.require(ok, f"{name}.shape", corner.shape, fix)
        check_order(*corners)
        self.low, self.high = (jnp.broadcast_to(corner, self.shape) for corner in corners)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        corners = jax.lax.stop_gradient((self.low, self.high))
        low, high = (corner.astype(jnp.result_type(x)) for corner in corners)
        inside = jnp.all((x >= low) & (x <= high))
        # the energy is taken at a point within, so that no gradient is NaN outside
        value = self.energy(jnp.where(inside, x, jnp.clip(x, low, high)))
        return jnp.where(inside, value, jnp.inf)
