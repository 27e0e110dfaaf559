"""What a sampler is."""

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import EnergyFn, Flag, Key, Number, Scalar, X
from ..energies._repr import show

State = TypeVar("State")

if TYPE_CHECKING:
    declared = property
else:

    class declared:
        """A property with a default, which a subclass may replace by a property or a field.

        Without `__set__`, unlike `property`, and without a value on the class, which dataclasses
        would take for the default of the field.
        """

        def __init__(self, function: Callable):
            self.function = function
            self.__doc__ = function.__doc__

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            if instance is None:
                raise AttributeError(self.function.__name__)
            return self.function(instance)


class StepInfo(eqx.Module):
    """What one step of one chain reports. It is small, since loops carry and stack it."""

    energy: Scalar = eqx.field(converter=jnp.asarray)
    """The energy where the step took its (last) gradient, in nats, or at the new position: see
    `AbstractSampler.reports_new_energy`. Training restarts a chain whose energy is not finite."""
    grad_norm: Scalar | None = eqx.field(converter=lambda v: None if v is None else jnp.asarray(v))
    """The norm of the gradient of the energy there; `None` if the sampler takes no gradient."""
    acceptance: Scalar = eqx.field(converter=jnp.asarray)
    """The probability with which the proposal is accepted; 1 for samplers that never reject."""
    divergent: Flag = eqx.field(converter=jnp.asarray)
    """Whether the step became non-finite, or its integrator failed."""


class AbstractSampler(eqx.Module, Generic[State]):
    """A Markov chain on ONE example. To write one, define `init` and `step`.

    ```python
    class Unadjusted(AbstractSampler[None]):
        step_size: float

        def init(self, energy, x, *, key):
            return None

        def step(self, energy, x, state, *, key):
            value, gradient = jax.value_and_grad(energy)(x)
            noise = jnp.sqrt(self.step_size) * jax.random.normal(key, x.shape)
            norm = jnp.linalg.norm(gradient)
            info = StepInfo(value, norm, acceptance=1.0, divergent=~jnp.isfinite(value))
            return x - self.step_size / 2 * gradient + noise, state, info

        @property
        def reports_acceptance(self):
            return False
    ```

    The fields are hyper-parameters. The energy is an argument of each call and is never stored; the
    position `x` travels apart from the state, which holds whatever else a step needs from the one
    before (a momentum, a cached gradient; `None` for nothing). `run` and `sample` map one chain
    over many and loop over its steps.

    The properties are what training, tuning and estimates of log Z may rely on. Override those
    whose default does not hold, by a property or a field: an adjusted sampler is invariant, an
    unadjusted one reports no acceptance. Samplers that hold others (`Cycle`, `Mixture`, `Annealed`)
    take theirs from these.
    """

    @abc.abstractmethod
    def init(self, energy: EnergyFn, x: X, *, key: Key) -> State:
        """The state of a chain that starts at `x`, a pytree of arrays or `None`."""

    @abc.abstractmethod
    def step(self, energy: EnergyFn, x: X, state: State, *, key: Key) -> tuple[X, State, StepInfo]:
        """One step of one chain: the next position, the next state, and what happened."""

    def __repr__(self) -> str:
        return show(self)

    @declared
    def is_invariant(self) -> bool:
        """Whether a step leaves `exp(-E/T)` invariant at every step size; `False` by default.

        `T` is the `effective_temperature`. Log Z by annealing and Jarzynski weights need it.
        """
        return False

    @declared
    def is_restartable(self) -> bool:
        """Whether a chain may go on with a new state from `init` and stays invariant."""
        return True

    @declared
    def is_equivariant(self) -> bool:
        """Whether a step from a shifted position on the shifted energy is the shifted step.

        Proposals that do not start from the position are not equivariant; `Reflected` needs it.
        """
        return True

    @declared
    def is_discrete(self) -> bool:
        """Whether positions are zeros and ones, or one-hot categories; `False` by default."""
        return False

    @declared
    def reports_acceptance(self) -> bool:
        """Whether `StepInfo.acceptance` is measured; `warmup` tunes step sizes by it."""
        return True

    @declared
    def reports_new_energy(self) -> bool:
        """Whether `StepInfo.energy` is that of the position that `step` returns."""
        return False

    @declared
    def effective_temperature(self) -> Number:
        """The `T` of the density `exp(-E/T)` that the sampler samples."""
        return jnp.ones(())

    @declared
    def bounds(self) -> tuple[Any, Any] | None:
        """The lowest and the highest value of a coordinate, `None` if positions have no bounds."""
        return None

    @declared
    def max_drift(self) -> Number:
        """How far the gradient can carry one coordinate in a step, in units of `x`."""
        return jnp.asarray(jnp.inf)

    def refresh(self, energy: EnergyFn, x: X, state: State, *, key: Key) -> State:
        """The state after something else has moved the chain to `x` or changed the energy.

        A new state by default; a sampler whose state is more than a cache keeps the rest.
        """
        del state
        return self.init(energy, x, key=key)

    def retemper(self, energy: EnergyFn, x: X, state: State, factor: Number, *, key: Key) -> State:
        """The state at the same `x` after the energy was multiplied by `factor`, to `energy`.

        `refresh` by default; a sampler that caches energies may scale them instead.
        """
        del factor
        return self.refresh(energy, x, state, key=key)

    def retemper_path(
        self, energy: EnergyFn, x: X, state: State, factor: Number, base: EnergyFn, *, key: Key
    ) -> State:
        """The state at the same `x` after the energy became `factor * E + (1 - factor) * base`.

        `energy` is the new one. `refresh` by default; a sampler that caches energies may change
        them instead.
        """
        del factor, base
        return self.refresh(energy, x, state, key=key)


def always(value: Any) -> Any:
    """A property that all samplers of a class have, whatever their fields."""
    return declared(lambda self: value)


def _of_sampler(name: str) -> Any:
    return declared(lambda self: getattr(self.sampler, name))


class AbstractWrapper(AbstractSampler[State]):
    """A sampler around another one, `sampler`, whose properties it takes over."""

    sampler: eqx.AbstractVar[AbstractSampler]
    is_invariant = _of_sampler("is_invariant")
    is_restartable = _of_sampler("is_restartable")
    is_equivariant = _of_sampler("is_equivariant")
    is_discrete = _of_sampler("is_discrete")
    reports_acceptance = _of_sampler("reports_acceptance")
    reports_new_energy = _of_sampler("reports_new_energy")
    effective_temperature = _of_sampler("effective_temperature")
    bounds = _of_sampler("bounds")
    max_drift = _of_sampler("max_drift")


def check_invariant(sampler: AbstractSampler, name: str = "sampler") -> None:
    """Check that repeated steps, each with a new state, sample `exp(-E)` exactly."""
    kind = type(sampler).__name__
    fix = (
        "it does not leave the density invariant, which biases the result: give MALA, HMC or "
        "another sampler that can reject (a sampler of your own declares `is_invariant`)"
    )
    _checks.require(sampler.is_invariant, name, kind, fix)
    check_restartable(sampler, name)
    temperature = sampler.effective_temperature
    if _checks.is_concrete(temperature):
        fix = f"{kind} samples exp(-E/T) at this T: give a sampler at temperature 1"
        ok = bool(np.allclose(np.asarray(temperature), 1.0))  # not JAX's: it would be traced
        _checks.require(ok, f"{name}.effective_temperature", temperature, fix)


def check_restartable(sampler: AbstractSampler, name: str = "sampler") -> None:
    """Check that a chain may go on from its position alone, with a new state."""
    fix = (
        "its state cannot be made again from the chain's position, as each update would do: give "
        "MALA or another; for replica exchange in training there is TemperedPCD"
    )
    _checks.require(sampler.is_restartable, name, type(sampler).__name__, fix)


def common_temperature(temperatures: Any) -> Any:
    """The temperature that all of a list or an array have, else NaN."""
    if all(map(_checks.is_concrete, temperatures)) and _checks.is_concrete(temperatures):
        # NumPy's NaN, which jax_debug_nans lets pass
        known = np.asarray([np.asarray(one) for one in temperatures])
        return jnp.asarray(known[0]) if np.all(known == known[0]) else np.float32(np.nan)
    known = jnp.stack([jnp.asarray(one) for one in temperatures])
    return jnp.where(jnp.all(known == known[0]), known[0], np.nan)


def take_step(
    sampler: AbstractSampler, energy: EnergyFn, x: X, state: Any, *, key: Key
) -> tuple[X, Any, StepInfo]:
    """One step, with position and state in the precision in which loops carry them."""
    new, moved, info = sampler.step(energy, x, state, key=key)
    return new.astype(x.dtype), as_carried(moved, state), info


def as_carried(new: Any, old: Any) -> Any:
    """The new tree in the precision of the old one, as a loop carries it."""
    shapes = jax.tree.structure(new), jax.tree.structure(old)
    fix = f"`step` must return a state of the structure that `init` returned, {shapes[1]}"
    _checks.require(shapes[0] == shapes[1], "state", shapes[0], fix)

    def cast(new, old):
        if eqx.is_inexact_array(new) and eqx.is_inexact_array(old):
            return new.astype(old.dtype)
        return new

    return jax.tree.map(cast, new, old)
