"""Wells with exact normalisers and moments."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Number, Scalar, X
from .._base import AbstractCentred
from .._constants import number

_FARTHEST = 50.0  # nats above the wells, where integrals over a well end
_NODES = 401


class DoubleWell(AbstractCentred):
    """`E(x) = h Σ (xᵢ² − 1)²`: `2^d` wells at `±1`, barriers of height `h`.

    Normaliser and variance are one-dimensional integrals, by the trapezoidal rule, whose error is
    that of rounding.

    Args:
        shape: of one example.
        height: `h`, in nats.

    Raises:
        ValueError: if a number is out of its range.
    """

    shape: tuple[int, ...] = eqx.field(static=True, converter=tuple)
    height: Number = number(default=2.0)

    def __check_init__(self):
        _checks.dimensions("shape", self.shape)
        _checks.positive("height", self.height)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        return jnp.asarray(self.height, jnp.result_type(x)) * jnp.sum((x**2 - 1) ** 2)

    @property
    def variance(self) -> X:
        x, mass = self._density()
        return jnp.full(self.shape, jnp.sum(mass * x**2) / jnp.sum(mass))

    @property
    def log_z(self) -> Scalar:
        _, mass = self._density()
        return math.prod(self.shape) * jnp.log(2 * jnp.sum(mass))

    def _density(self) -> tuple[jax.Array, jax.Array]:
        """Nodes of the positive half, and the mass at each, the step of the grid included."""
        # The grid ends where the energy is `_FARTHEST`, at `x² = 1 ± a`, or begins at 0. It is one
        # of `t = x - 1`, without cancellation, and fixed, since its ends add nothing.
        a = jax.lax.stop_gradient(jnp.sqrt(_FARTHEST / self.height))
        below = jnp.minimum(a, 1.0)
        low, high = -below / (1 + jnp.sqrt(1 - below)), a / (1 + jnp.sqrt(1 + a))
        fraction = jnp.linspace(0.0, 1.0, _NODES)
        t = low + fraction * (high - low)
        ends = jnp.ones(_NODES).at[jnp.array([0, -1])].set(0.5)
        step = (high - low) / (_NODES - 1)
        return 1 + t, step * ends * jnp.exp(-self.height * (t * (2 + t)) ** 2)
