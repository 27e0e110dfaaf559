"""Underdamped Langevin dynamics, unadjusted."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Bounds, EnergyFn, Key, Number, Scalar, X
from ._base import StepInfo, always
from ._fields import bounds as bounds_field
from ._fields import cast, number, reflect_at
from ._increments import Increments, draw
from ._langevin import AbstractLangevin, Here, drift, info_of


class Momentum(NamedTuple):
    """The velocity of a chain, and the gradient and energy where it is."""

    velocity: X
    gradient: X
    energy: Scalar


class UnderdampedLangevin(AbstractLangevin[Momentum]):
    """`dx = v dt, dv = −∇E(x) dt − γ v dt + √(2γT) dW` by the BAOAB splitting; one gradient a step.

    Half a kick, half a drift, the exact step of the velocity's noise and friction, half a drift,
    half a kick. Its positions are right up to `h²`, for Gaussians at every step size below 2 over
    the largest frequency.

    Leimkuhler and Matthews (2013), "Rational construction of stochastic numerical methods for
    molecular sampling".

    Args:
        step_size: `h > 0`, in units of `x` for unit masses.
        friction: `γ > 0`, per unit of time.
        temperature: `T ≥ 0`; the chain samples `exp(-E/T)`.
        noise_scale: the standard deviation of the velocity's noise in a step, if it is not to be
            `√(T (1 − exp(−2γh)))`.
        grad_clip: as for `Langevin`.
        bounds: as for `Langevin`.
        boundary: as for `Langevin`; `"reflect"` turns the velocity round, `"clip"` stops it.
        increments: as for `Langevin`.

    Raises:
        ValueError: if a number is out of its range, or temperature and noise scale are both given.
    """

    step_size: Number = number()
    friction: Number = number(default=1.0)
    temperature: Number = number(default=1.0)
    noise_scale: Number | None = number(default=None)
    grad_clip: Number | None = number(default=None)
    bounds: Bounds = bounds_field(default=None)
    boundary: Literal["clip", "reflect"] = eqx.field(static=True, default="clip")
    increments: Increments = eqx.field(static=True, default="normal")

    reports_new_energy = always(True)  # the gradient is taken at the end of a step

    def __check_init__(self):
        _checks.positive("friction", self.friction)

    @property
    def effective_temperature(self) -> Number:
        """`noise_scale² / (1 − exp(−2γh))` if the noise has a scale of its own, else `T`."""
        if self.noise_scale is None:
            return self.temperature
        return self.noise_scale**2 / -jnp.expm1(-2 * self.friction * self.step_size)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Momentum:
        """A velocity in equilibrium, and the first gradient."""
        value, gradient = drift(energy, x)
        scale = jnp.sqrt(cast(self.effective_temperature, x))
        velocity = scale * jax.random.normal(key, x.shape, x.dtype)
        return Momentum(velocity, gradient, value)

    def refresh(self, energy: EnergyFn, x: X, state: Momentum, *, key: Key) -> Momentum:
        """The velocity stays, the gradient is that at `x`."""
        del key
        value, gradient = drift(energy, x)
        return Momentum(state.velocity, gradient, value)

    def retemper(
        self, energy: EnergyFn, x: X, state: Momentum, factor: Number, *, key: Key
    ) -> Momentum:
        """The velocity stays: its density is the same at each temperature of the energy."""
        del energy, x, key
        gradient = state.gradient * cast(factor, state.gradient)
        return Momentum(state.velocity, gradient, state.energy * cast(factor, state.energy))

    def step(
        self, energy: EnergyFn, x: X, state: Momentum, *, key: Key
    ) -> tuple[X, Momentum, StepInfo]:
        """One step of one chain, at the cost of one gradient."""
        step_size, friction = cast(self.step_size, x), cast(self.friction, x)
        half = 0.5 * step_size
        if self.noise_scale is None:
            scale = jnp.sqrt(-cast(self.temperature, x) * jnp.expm1(-2 * friction * step_size))
        else:
            scale = cast(self.noise_scale, x)
        # B, A
        velocity = state.velocity - half * self.clip(state.gradient)
        x_half = x + half * velocity
        # O: noise and friction in the middle, which makes positions right to a higher order
        velocity = velocity * jnp.exp(-friction * step_size)
        velocity = velocity + scale * draw(self.increments, x, key=key)
        # A, B; the gradient is that of the next step's first kick
        free = x_half + half * velocity
        new = self.confine(free)
        value, gradient = drift(energy, new)
        velocity = self._turn(free, velocity) - half * self.clip(gradient)
        return new, Momentum(velocity, gradient, value), info_of(Here(value, gradient))

    def _turn(self, free: X, velocity: X) -> X:
        """The velocity after the bounds: turned round if reflected, 0 if clipped."""
        if self.bounds is None:
            return velocity
        if self.boundary == "clip":
            low, high = (cast(end, free) for end in self.bounds)
            return jnp.where((free < low) | (free > high), 0, velocity)
        return jnp.where(reflect_at(free, self.bounds)[1], -velocity, velocity)
