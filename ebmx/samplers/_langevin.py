"""Overdamped Langevin dynamics, unadjusted."""

import abc
import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Bounds, EnergyFn, Key, Number, Scalar, X
from ..energies._batch import value_and_gradient
from ._base import AbstractSampler, State, StepInfo, always
from ._fields import bounds as bounds_field
from ._fields import cast, check_bounds, clip_to, number, reflect_at
from ._increments import INCREMENTS, Increments, draw

ANY: Any = None


class Here(NamedTuple):
    """Energy and gradient where a chain is."""

    energy: Scalar
    gradient: X


def drift(energy: EnergyFn, x: X) -> Here:
    """Energy and gradient at `x`, computed once.

    Without the barrier XLA fuses the gradient into each of its uses (the update, its norm, the
    report) and computes it once for each of them.
    """
    return Here(*jax.lax.optimization_barrier(value_and_gradient(energy, x)))


def info_of(here: Here, acceptance: Scalar | None = None) -> StepInfo:
    """What a step reports that took this gradient; every proposal is accepted if not said."""
    taken = jnp.ones((), here.energy.dtype) if acceptance is None else acceptance
    grad_norm = jnp.sqrt(jnp.sum(here.gradient**2))
    return StepInfo(here.energy, grad_norm, taken, ~jnp.isfinite(here.energy))


class AbstractLangevin(AbstractSampler[State]):
    """A sampler of unadjusted Langevin dynamics: noise, gradient clip and bounds.

    Subclasses define the fields below, `effective_temperature`, `init` and `step`. A step reads the
    gradient by `drift`, passes it through `clip`, and the new position through `confine`.
    """

    if TYPE_CHECKING:  # annotations would be the first arguments of subclasses
        step_size = temperature = noise_scale = grad_clip = bounds = boundary = increments = ANY

    reports_acceptance = always(False)

    @property
    @abc.abstractmethod
    def effective_temperature(self) -> Number:
        """The `T` of the density `exp(-E/T)` that small steps sample."""

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)
        _checks.non_negative("temperature", self.temperature)
        if self.noise_scale is not None:
            _checks.non_negative("noise_scale", self.noise_scale)
            one = not _checks.is_concrete(self.temperature) or float(self.temperature) == 1.0
            fix = "give either a temperature or a noise scale, which sets it"
            _checks.require(one, "temperature", self.temperature, fix)
        if self.grad_clip is not None:
            _checks.positive("grad_clip", self.grad_clip)
        check_bounds(self.bounds)
        ok = self.boundary in ("clip", "reflect")
        _checks.require(ok, "boundary", repr(self.boundary), "give 'clip' or 'reflect'")
        ok = callable(self.increments) or self.increments in INCREMENTS
        fix = f"give one of {', '.join(INCREMENTS)}, or a function of (shape, dtype, *, key)"
        _checks.require(ok, "increments", repr(self.increments), fix)

    def clip(self, gradient: X) -> X:
        """The gradient that drives the chain."""
        if self.grad_clip is None:
            return gradient
        limit = cast(self.grad_clip, gradient)
        return jnp.clip(gradient, -limit, limit)

    def confine(self, x: X) -> X:
        """The position within the bounds."""
        if self.bounds is None:
            return x
        return clip_to(x, self.bounds) if self.boundary == "clip" else reflect_at(x, self.bounds)[0]


class AbstractOverdamped(AbstractLangevin[State]):
    """Langevin dynamics without a velocity, whose noise has variance `εT` in a step."""

    @property
    def effective_temperature(self) -> Number:
        """`noise_scale² / ε` if the noise has a scale of its own, else the temperature."""
        if self.noise_scale is None:
            return self.temperature
        return self.noise_scale**2 / self.step_size

    def noise_size(self, x: X) -> Scalar:
        """The standard deviation of the noise of a step: `√(εT)`, or `noise_scale`."""
        if self.noise_scale is None:
            return jnp.sqrt(cast(self.step_size, x) * cast(self.temperature, x))
        return cast(self.noise_scale, x)


class Langevin(AbstractOverdamped[Here | None]):
    """`x ← x − (ε/2) ∇E(x) + √(εT) ξ` with standard normal `ξ`; one gradient a step.

    It is not Metropolis-adjusted: for a Gaussian of precision `A` the chain's covariance is
    `T A⁻¹ (I − εA/4)⁻¹`, which is exact in the limit `ε → 0`.

    With a `noise_scale` the noise is `noise_scale · ξ` instead, as recipes for images use it. The
    chain then samples `E/T` at `T = noise_scale² / ε`, see `effective_temperature`, and not `E`.

    Numbers may be arrays or traced values: a new value does not retrace.

    Roberts and Tweedie (1996), "Exponential convergence of Langevin distributions and their
    discrete approximations".

    Args:
        step_size: `ε > 0`, in squared units of `x`.
        temperature: `T ≥ 0`; the chain samples `exp(-E/T)`.
        noise_scale: the standard deviation of the noise of a step, if it is not to be `√(εT)`.
        grad_clip: each coordinate of the gradient is clipped to `±grad_clip`.
        bounds: `(low, high)`: numbers for all coordinates or arrays of the shape of one example;
            `None` or an infinite number where there is no bound.
        boundary: what happens there, `"clip"` or `"reflect"`.
        increments: the distribution of `ξ`: `"normal"`; `"rademacher"`, `±1` from one random bit
            each; `"binomial"`, nine values that are nearly normal in their bulk, from 8 bits; or
            your own function of `(shape, dtype, *, key)`. An unadjusted step needs the first three
            moments of the normal distribution only (Kloeden and Platen, 1992, section 14.2).
        report_acceptance: whether `StepInfo.acceptance` is that of a Metropolis test of the step,
            as `MALA` would make it; far from 1, the chain is far from exact. It needs one more
            gradient when a chain starts, and none for a step. Otherwise all steps report 1. The
            test takes no account of bounds.

    Raises:
        ValueError: if a number is out of its range, or temperature and noise scale are both given.

    Examples:
        >>> from ebmx.samplers import Langevin
        >>> exact = Langevin(step_size=0.01)  # of exp(-E), for small steps
        >>> cold = Langevin(2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))  # for images
        >>> float(cold.effective_temperature)
        0.00019999999494757503
    """

    step_size: Number = number()
    temperature: Number = number(default=1.0)
    noise_scale: Number | None = number(default=None)
    grad_clip: Number | None = number(default=None)
    bounds: Bounds = bounds_field(default=None)
    boundary: Literal["clip", "reflect"] = eqx.field(static=True, default="clip")
    increments: Increments = eqx.field(static=True, default="normal")
    report_acceptance: bool = eqx.field(static=True, default=False)

    @property
    def reports_acceptance(self) -> bool:
        """Only if asked for."""
        return self.report_acceptance

    @property
    def reports_new_energy(self) -> bool:
        """Only if acceptances are reported, which need it."""
        return self.report_acceptance

    @property
    def max_drift(self) -> Number:
        """`(ε/2) · grad_clip`; infinite if gradients are not clipped."""
        if self.grad_clip is None:
            return jnp.asarray(jnp.inf)
        return 0.5 * self.step_size * self.grad_clip

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Here | None:
        """No state, unless acceptances are reported."""
        del key
        return Here(*value_and_gradient(energy, x)) if self.report_acceptance else None

    def retemper(
        self, energy: EnergyFn, x: X, state: Here | None, factor: Number, *, key: Key
    ) -> Here | None:
        """Energy and gradient times the factor."""
        del energy, key
        if state is None:
            return None
        return Here(*(value * cast(factor, value) for value in state))

    def step(
        self, energy: EnergyFn, x: X, state: Here | None, *, key: Key
    ) -> tuple[X, Here | None, StepInfo]:
        """One step of one chain, at the cost of one gradient."""
        here = drift(energy, x) if state is None else state
        step_size, scale = cast(self.step_size, x), self.noise_size(x)
        mean = x - 0.5 * step_size * self.clip(here.gradient)
        new = self.confine(mean + scale * draw(self.increments, x, key=key))
        if state is None:
            return new, None, info_of(here)
        there = drift(energy, new)
        back = new - 0.5 * step_size * self.clip(there.gradient)
        distances = jnp.sum((new - mean) ** 2) - jnp.sum((x - back) ** 2)
        acceptance = _acceptance(here.energy - there.energy, distances, scale, step_size)
        return new, there, info_of(there, acceptance)


def _acceptance(fall: Scalar, distances: Scalar, scale: Scalar, step_size: Scalar) -> Scalar:
    """`min(1, p(y) q(y, x) / (p(x) q(x, y)))` of the transition from `x` to `y`.

    Its limit if there is no noise, and 0 if an energy is not finite.
    """
    # the log of the ratio times the variance of the noise, which is `εT`: without noise, its sign
    # says what the ratio tends to
    dtype = fall.dtype
    log_ratio = step_size.astype(dtype) * fall + 0.5 * distances.astype(dtype)
    variance = (scale**2).astype(dtype)
    noisy = variance > 0
    log_ratio = log_ratio / jnp.where(noisy, variance, 1)
    without_noise = jnp.where(log_ratio < 0, 0, 1).astype(dtype)
    acceptance = jnp.where(noisy, jnp.exp(jnp.minimum(log_ratio, 0)), without_noise)
    return jnp.where(jnp.isfinite(log_ratio) | (log_ratio > 0), acceptance, 0)


def displacement_budget(sampler: AbstractSampler, num_steps: int) -> float:
    """How far the drift can carry one coordinate in `num_steps`, `num_steps · (ε/2) · grad_clip`.

    Infinite for samplers that do not clip the gradient. Persistent and noise-started chains whose
    budget is smaller than the range of the data cannot reach it, and training with them learns
    nothing.

    Args:
        sampler: any sampler.
        num_steps: how many steps, at least 1.

    Returns:
        A length in units of `x`.

    Raises:
        ValueError: if the number of steps is below 1.
    """
    _checks.at_least("num_steps", num_steps, 1)
    farthest = sampler.max_drift
    return num_steps * float(farthest) if _checks.is_concrete(farthest) else math.inf
