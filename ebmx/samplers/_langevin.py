"""Overdamped Langevin dynamics, unadjusted."""

import abc
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._types import EnergyFn, Key, Number, Scalar, X
from ..energies import value_and_gradient
from ._base import AbstractSampler, StepInfo
from ._increments import normal

State = TypeVar("State")


def number(**kwargs: Any) -> Any:
    """A field that holds a sweepable number, or `None`."""
    return eqx.field(converter=lambda v: None if v is None else jnp.asarray(v), **kwargs)


def pair(**kwargs: Any) -> Any:
    """A field that holds two sweepable numbers, or `None`."""

    def convert(value):
        return None if value is None else tuple(map(jnp.asarray, value))

    return eqx.field(converter=convert, **kwargs)


class AbstractLangevin(AbstractSampler[State]):
    """What unadjusted Langevin samplers share: noise, gradient clip and bounds."""

    step_size: eqx.AbstractVar[Number]
    temperature: eqx.AbstractVar[Number]
    noise_scale: eqx.AbstractVar[Number | None]
    grad_clip: eqx.AbstractVar[Number | None]
    bounds: eqx.AbstractVar[tuple[Number, Number] | None]
    boundary: eqx.AbstractVar[str]
    increments: eqx.AbstractVar[Callable]

    @property
    @abc.abstractmethod
    def effective_temperature(self) -> Number:
        """The `T` of the density `exp(-E/T)` that small steps sample."""

    def check(self) -> None:
        """Check the shared fields; for `__check_init__`."""
        _checks.positive("step_size", self.step_size)
        _checks.non_negative("temperature", self.temperature)
        if self.noise_scale is not None:
            _checks.non_negative("noise_scale", self.noise_scale)
            one = not _checks.is_concrete(self.temperature) or float(self.temperature) == 1.0
            fix = "give either a temperature or a noise scale, which sets it"
            _checks.require(one, "temperature", self.temperature, fix)
        if self.grad_clip is not None:
            _checks.positive("grad_clip", self.grad_clip)
        if self.bounds is not None:
            width = self.bounds[1] - self.bounds[0]
            _checks.positive("bounds[1] - bounds[0]", width, "give (low, high) with low < high")
        ok = self.boundary in ("clip", "reflect")
        _checks.require(ok, "boundary", repr(self.boundary), "give 'clip' or 'reflect'")

    def clip(self, gradient: X) -> X:
        """The gradient that drives the chain."""
        if self.grad_clip is None:
            return gradient
        return jnp.clip(gradient, -self.grad_clip, self.grad_clip)

    def confine(self, x: X) -> X:
        """The position within the bounds."""
        if self.bounds is None:
            return x
        low, high = self.bounds
        if self.boundary == "clip":
            return jnp.clip(x, low, high)
        phase = (x - low) % (2 * (high - low))
        return low + jnp.minimum(phase, 2 * (high - low) - phase)


class Transition(NamedTuple):
    """What the Metropolis test of a transition needs of where it began."""

    x: X
    mean: X
    energy: Scalar


@guarded
class Langevin(AbstractLangevin[Transition | None]):
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
    - `bounds`: `(low, high)` for each coordinate.
    - `boundary`: what happens there, `"clip"` or `"reflect"`.
    - `increments`: the distribution of `ξ`: `normal`, or the cheaper `rademacher` or `binomial`.
    - `report_acceptance`: whether `StepInfo.acceptance` is that of a Metropolis test of the step
        before, as `MALA` would make it: far from 1, the chain is far from exact. It needs no
        further gradient. The first step reports 1, and so do all if it is off. Bounds are left out.

    Numbers may be arrays or traced values: a new value does not retrace.

    **Raises:**

    `ValueError` if a number is out of its range, or temperature and noise scale are both given.

    Roberts and Tweedie (1996), "Exponential convergence of Langevin distributions and their
    discrete approximations".
    """

    step_size: Number = number()
    temperature: Number = number(default=1.0)
    noise_scale: Number | None = number(default=None)
    grad_clip: Number | None = number(default=None)
    bounds: tuple[Number, Number] | None = pair(default=None)
    boundary: Literal["clip", "reflect"] = eqx.field(static=True, default="clip")
    increments: Callable = eqx.field(static=True, default=normal)
    report_acceptance: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        self.check()

    @property
    def effective_temperature(self) -> Number:
        """`noise_scale² / ε` if the noise has a scale of its own, else the temperature."""
        if self.noise_scale is None:
            return self.temperature
        return self.noise_scale**2 / self.step_size

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Transition | None:
        """Nothing is carried from step to step, unless acceptances are reported."""
        del key
        if not self.report_acceptance:
            return None
        value = jax.eval_shape(lambda: value_and_gradient(energy, x)[0])
        # an energy that no proposal can be above: the first test accepts
        return Transition(x, x, jnp.full((), jnp.inf, value.dtype))

    def step(
        self, energy: EnergyFn, x: X, state: Transition | None, *, key: Key
    ) -> tuple[X, Transition | None, StepInfo]:
        """One step of one chain, at the cost of one gradient."""
        # the barrier keeps XLA from computing the gradient once for each of its uses
        value, gradient = jax.lax.optimization_barrier(value_and_gradient(energy, x))
        mean = x - 0.5 * self.step_size * self.clip(gradient)
        scale = self.noise_scale
        if scale is None:
            scale = jnp.sqrt(self.step_size * self.temperature)
        new = self.confine(mean + scale * self.increments(key, x.shape, x.dtype)).astype(x.dtype)
        acceptance = jnp.ones((), value.dtype)
        if state is not None:
            acceptance = _acceptance(state, Transition(x, mean, value), scale, self.step_size)
            state = Transition(x, mean.astype(x.dtype), value)
        grad_norm = jnp.sqrt(jnp.sum(gradient**2))
        return new, state, StepInfo(value, grad_norm, acceptance, ~jnp.isfinite(value))


def _acceptance(old: Transition, new: Transition, scale: Number, step_size: Number) -> Scalar:
    """`min(1, p(y) q(y, x) / (p(x) q(x, y)))` of the transition from `x` to `y`."""
    there = jnp.sum((new.x - old.mean) ** 2)
    back = jnp.sum((old.x - new.mean) ** 2)
    log_ratio = step_size * (old.energy - new.energy) + 0.5 * (there - back)
    return jnp.exp(jnp.minimum(log_ratio / scale**2, 0.0)).astype(new.energy.dtype)


@guarded
def displacement_budget(sampler: AbstractSampler, num_steps: int) -> float:
    """How far the drift can carry one coordinate in `num_steps`, `num_steps · (ε/2) · grad_clip`.

    Infinite for samplers that do not clip. Persistent and noise-started chains whose budget is
    smaller than the range of the data cannot reach it, and training with them learns nothing.

    **Arguments:**

    - `sampler`: any sampler.
    - `num_steps`: how many steps, at least 0.

    **Returns:**

    A length in units of `x`.

    **Raises:**

    `ValueError` if the number of steps is negative.
    """
    _checks.at_least("num_steps", num_steps, 1)
    if not isinstance(sampler, Langevin) or sampler.grad_clip is None:
        return math.inf
    if not (_checks.is_concrete(sampler.step_size) and _checks.is_concrete(sampler.grad_clip)):
        return math.inf
    return num_steps * float(sampler.step_size) / 2 * float(sampler.grad_clip)
