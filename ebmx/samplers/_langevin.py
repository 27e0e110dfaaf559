"""Unadjusted Langevin dynamics."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import EnergyFn, Key, Number, X
from ..energies import value_and_gradient
from ._base import AbstractSampler, StepInfo


def _number(**kwargs: Any) -> Any:
    return eqx.field(converter=lambda v: None if v is None else jnp.asarray(v), **kwargs)


def _pair(**kwargs: Any) -> Any:
    def convert(value):
        return None if value is None else tuple(map(jnp.asarray, value))

    return eqx.field(converter=convert, **kwargs)


class Langevin(AbstractSampler[None]):
    """`x ← x − (ε/2) ∇E(x) + √(εT) ξ` with standard normal `ξ`; one gradient a step.

    It is not Metropolis-adjusted: for a Gaussian of precision `A` the chain's covariance is
    `T A⁻¹ (I − εA/4)⁻¹`, which meets the truth as `ε → 0`.

    With a `noise_scale` the noise is `noise_scale · ξ` instead, as recipes for images use it. Such
    a chain samples `E/T` at `T = noise_scale² / ε`, see `effective_temperature`, and not `E`.

    **Arguments:**

    - `step_size`: `ε > 0`, in squared units of `x`.
    - `temperature`: `T ≥ 0`; the chain samples `exp(-E/T)`.
    - `noise_scale`: the standard deviation of the noise of a step, if it is not to be `√(εT)`.
    - `grad_clip`: each coordinate of the gradient is clipped to `±grad_clip`.
    - `bounds`: `(low, high)`; each coordinate is clipped to them after a step.

    Numbers may be arrays or traced values: a new value does not retrace.

    **Raises:**

    `ValueError` if a number is out of its range, or temperature and noise scale are both given.

    Roberts and Tweedie (1996), "Exponential convergence of Langevin distributions and their
    discrete approximations".
    """

    step_size: Number = _number()
    temperature: Number = _number(default=1.0)
    noise_scale: Number | None = _number(default=None)
    grad_clip: Number | None = _number(default=None)
    bounds: tuple[Number, Number] | None = _pair(default=None)

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)
        _checks.non_negative("temperature", self.temperature)
        if self.noise_scale is not None:
            _checks.non_negative("noise_scale", self.noise_scale)
            one = not _checks.is_concrete(self.temperature) or float(self.temperature) == 1.0
            fix = "give either a temperature or a noise scale, whose square over step_size it is"
            _checks.require(one, "temperature", self.temperature, fix)
        if self.grad_clip is not None:
            _checks.positive("grad_clip", self.grad_clip)
        if self.bounds is not None:
            width = self.bounds[1] - self.bounds[0]
            _checks.positive("bounds[1] - bounds[0]", width, "give (low, high) with low < high")

    @property
    def effective_temperature(self) -> Number:
        """The `T` of the density `exp(-E/T)` that small steps sample."""
        if self.noise_scale is None:
            return self.temperature
        return self.noise_scale**2 / self.step_size

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> None:
        """Nothing is carried from step to step."""
        del energy, x, key

    def step(self, energy: EnergyFn, x: X, state: None, *, key: Key) -> tuple[X, None, StepInfo]:
        """One step of one chain, at the cost of one gradient."""
        value, gradient = jax.lax.optimization_barrier(value_and_gradient(energy, x))
        drift = gradient
        if self.grad_clip is not None:
            drift = jnp.clip(gradient, -self.grad_clip, self.grad_clip)
        scale = self.noise_scale
        if scale is None:
            scale = jnp.sqrt(self.step_size * self.temperature)
        new = x - 0.5 * self.step_size * drift + scale * jax.random.normal(key, x.shape, x.dtype)
        if self.bounds is not None:
            new = jnp.clip(new, *self.bounds)
        new = new.astype(x.dtype)
        info = StepInfo(
            energy=value,
            grad_norm=jnp.sqrt(jnp.sum(gradient**2)),
            acceptance=jnp.ones((), value.dtype),
            divergent=~jnp.isfinite(value),
        )
        return new, state, info


def displacement_budget(sampler: AbstractSampler, num_steps: int) -> float:
    """How far the drift can carry one coordinate in `num_steps`, `num_steps · (ε/2) · grad_clip`.

    Infinite for samplers that do not clip. Persistent and noise-started chains whose budget is
    smaller than the range of the data cannot reach it, and training with them learns nothing.
    """
    if not isinstance(sampler, Langevin) or sampler.grad_clip is None:
        return math.inf
    if not (_checks.is_concrete(sampler.step_size) and _checks.is_concrete(sampler.grad_clip)):
        return math.inf
    return num_steps * float(sampler.step_size) / 2 * float(sampler.grad_clip)
