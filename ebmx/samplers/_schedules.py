"""Hyper-parameters that change with the step."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Count, EnergyFn, Key, Number, X
from ._base import AbstractSampler, AbstractWrapper, StepInfo

Schedule = Callable[[Count], Any]


class Annealed(AbstractWrapper[tuple[Count, Any]]):
    """A sampler whose hyper-parameters follow schedules of the step of the chain.

    ```python
    schedule = optax.exponential_decay(1.0, transition_steps=500, decay_rate=0.01)
    Annealed(Langevin(0.1), temperature=schedule, step_size=optax.linear_schedule(0.1, 0.01, 500))
    ```

    With `Langevin` and a falling `noise_scale` and `step_size` it is annealed Langevin dynamics:
    Song and Ermon (2019), "Generative modeling by estimating gradients of the data distribution".

    Args:
        sampler: a sampler.
        schedules: for each hyper-parameter by its name a function of the step, which counts from 0
            at the start of a `run` or `sample`: a schedule of optax, or your own. Another function
            retraces; a pytree such as `eqx.Partial` keeps its numbers as arrays, which do not.

    Raises:
        ValueError: if the sampler has no hyper-parameter of this name, or the value of a schedule
            at step 0 is out of its range.
    """

    sampler: AbstractSampler
    schedules: dict[str, Schedule]

    def __init__(self, sampler: AbstractSampler, **schedules: Schedule):
        self.sampler = sampler
        self.schedules = schedules

    def __check_init__(self):
        names = [field.name for field in dataclasses.fields(self.sampler)]
        for name, schedule in self.schedules.items():
            fix = f"{type(self.sampler).__name__} has the fields {', '.join(names)}"
            _checks.require(name in names, "schedules", name, fix)
            held = name in ("samplers", "temperatures", "parameters", "schedules")
            fix = "it is not a number for each step: give the schedule to a sampler that is held"
            _checks.require(not held, "schedules", name, fix)
            ok = callable(schedule)
            _checks.require(ok, name, schedule, "give a function of the step, from 0")
        noisy = getattr(self.sampler, "noise_scale", None) is not None
        fix = "a noise scale sets the temperature: let one of the two follow a schedule, not both"
        clash = "temperature" in self.schedules and (noisy or "noise_scale" in self.schedules)
        _checks.require(not clash, "schedules", sorted(self.schedules), fix)
        self.at(jnp.zeros((), jnp.int32))

    def at(self, step: Count) -> AbstractSampler:
        """The sampler with the hyper-parameters of one step."""
        values = {name: schedule(step) for name, schedule in self.schedules.items()}
        return dataclasses.replace(self.sampler, **values)

    @property
    def is_invariant(self) -> bool:
        """Whether the sampler is, and its temperature stays."""
        return self.sampler.is_invariant and "temperature" not in self.schedules

    @property
    def effective_temperature(self) -> Any:
        """That of the sampler, NaN if it follows a schedule."""
        names, noisy = set(self.schedules), getattr(self.sampler, "noise_scale", None) is not None
        changes = names & {"temperature", "noise_scale"} or (noisy and "step_size" in names)
        # NumPy's NaN, which jax_debug_nans lets pass
        return np.float32(np.nan) if changes else self.sampler.effective_temperature

    @property
    def bounds(self) -> tuple[Any, Any] | None:
        """Those of the sampler; `None` if they follow a schedule."""
        return None if "bounds" in self.schedules else self.sampler.bounds

    @property
    def max_drift(self) -> Number:
        """That of the sampler; infinite if what it depends on follows a schedule."""
        scheduled = {"step_size", "grad_clip"} & self.schedules.keys()
        return jnp.asarray(jnp.inf) if scheduled else self.sampler.max_drift

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> tuple[Count, Any]:
        """The count of steps and the state of the sampler."""
        start = jnp.zeros((), jnp.int32)
        return start, self.at(start).init(energy, x, key=key)

    def refresh(
        self, energy: EnergyFn, x: X, state: tuple[Count, Any], *, key: Key
    ) -> tuple[Count, Any]:
        """The count stays."""
        count, inner = state
        return count, self.at(count).refresh(energy, x, inner, key=key)

    def retemper(
        self, energy: EnergyFn, x: X, state: tuple[Count, Any], factor: Number, *, key: Key
    ) -> tuple[Count, Any]:
        """The count stays."""
        count, inner = state
        return count, self.at(count).retemper(energy, x, inner, factor, key=key)

    def step(
        self, energy: EnergyFn, x: X, state: tuple[Count, Any], *, key: Key
    ) -> tuple[X, tuple[Count, Any], StepInfo]:
        """One step with the hyper-parameters of its number."""
        count, inner = state
        x, inner, info = self.at(count).step(energy, x, inner, key=key)
        return x, (count + 1, inner), info
