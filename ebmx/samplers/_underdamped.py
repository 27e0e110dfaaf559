"""Underdamped Langevin dynamics, unadjusted."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._types import EnergyFn, Key, Number, Scalar, X
from ..energies import value_and_gradient
from ._base import StepInfo
from ._increments import normal
from ._langevin import AbstractLangevin, number, pair


class Momentum(NamedTuple):
    """The velocity of a chain, and the gradient and energy where it is."""

    velocity: X
    gradient: X
    energy: Scalar


@guarded
class UnderdampedLangevin(AbstractLangevin[Momentum]):
    """`dx = v dt, dv = −∇E(x) dt − γ v dt + √(2γT) dW` by the BAOAB splitting; one gradient a step.

    Half a kick, half a drift, the exact step of the velocity's noise and friction, half a drift,
    half a kick. Its positions are right up to `h²`, for Gaussians at every step size below 2 over
    the largest frequency.

    Leimkuhler and Matthews (2013), "Rational construction of stochastic numerical methods for
    molecular sampling".

    **Arguments:**

    - `step_size`: `h > 0`, in units of `x` for unit masses.
    - `friction`: `γ > 0`, per unit of time.
    - `temperature`: `T ≥ 0`; the chain samples `exp(-E/T)`.
    - `noise_scale`: the standard deviation of the velocity's noise in a step, if it is not to be
        `√(T (1 − exp(−2γh)))`.
    - `grad_clip`, `bounds`, `boundary`, `increments`: as for `Langevin`. A chain that is reflected
        turns its velocity round.

    **Raises:**

    `ValueError` if a number is out of its range, or temperature and noise scale are both given.
    """

    step_size: Number = number()
    friction: Number = number(default=1.0)
    temperature: Number = number(default=1.0)
    noise_scale: Number | None = number(default=None)
    grad_clip: Number | None = number(default=None)
    bounds: tuple[Number, Number] | None = pair(default=None)
    boundary: Literal["clip", "reflect"] = eqx.field(static=True, default="clip")
    increments: Callable = eqx.field(static=True, default=normal)

    def __check_init__(self):
        self.check()
        _checks.positive("friction", self.friction)

    @property
    def effective_temperature(self) -> Number:
        """`noise_scale² / (1 − exp(−2γh))` if the noise has a scale of its own, else `T`."""
        if self.noise_scale is None:
            return self.temperature
        return self.noise_scale**2 / -jnp.expm1(-2 * self.friction * self.step_size)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Momentum:
        """A velocity in equilibrium, and the first gradient."""
        value, gradient = value_and_gradient(energy, x)
        scale = jnp.sqrt(self.effective_temperature)
        velocity = (scale * jax.random.normal(key, x.shape)).astype(x.dtype)
        return Momentum(velocity, gradient, value)

    def step(
        self, energy: EnergyFn, x: X, state: Momentum, *, key: Key
    ) -> tuple[X, Momentum, StepInfo]:
        """One step of one chain, at the cost of one gradient."""
        half = 0.5 * self.step_size
        scale = self.noise_scale
        if scale is None:
            scale = jnp.sqrt(-self.temperature * jnp.expm1(-2 * self.friction * self.step_size))
        velocity = state.velocity - half * self.clip(state.gradient)
        x_half = x + half * velocity
        velocity = velocity * jnp.exp(-self.friction * self.step_size)
        velocity = velocity + scale * self.increments(key, x.shape, x.dtype)
        free = x_half + half * velocity
        new = self.confine(free).astype(x.dtype)
        value, gradient = jax.lax.optimization_barrier(value_and_gradient(energy, new))
        velocity = self._turn(free, velocity) - half * self.clip(gradient)
        grad_norm = jnp.sqrt(jnp.sum(gradient**2))
        info = StepInfo(value, grad_norm, jnp.ones((), value.dtype), ~jnp.isfinite(value))
        return new, Momentum(velocity.astype(x.dtype), gradient, value), info

    def _turn(self, free: X, velocity: X) -> X:
        """The velocity after the bounds: turned round if reflected, 0 if clipped."""
        if self.bounds is None:
            return velocity
        low, high = self.bounds
        if self.boundary == "clip":
            return jnp.where((free < low) | (free > high), 0, velocity)
        odd = jnp.floor((free - low) / (high - low)) % 2 == 1
        return jnp.where(odd, -velocity, velocity)
