"""Langevin dynamics with a step size for each coordinate."""

import abc
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._types import Bounds, EnergyFn, Key, Number, X
from ..energies import value_and_gradient
from ._base import StepInfo
from ._fields import bounds as bounds_field
from ._fields import cast, number
from ._increments import normal
from ._langevin import AbstractLangevin

Memory = TypeVar("Memory")


class AbstractPreconditioner(eqx.Module, Generic[Memory]):
    """A diagonal matrix `G(x)`, the factor on the step size of each coordinate."""

    @abc.abstractmethod
    def init(self, x: X) -> Memory:
        """What it remembers of a chain that starts at `x`."""

    @abc.abstractmethod
    def update(self, memory: Memory, gradient: X) -> tuple[X, Memory]:
        """The diagonal, of the shape of one example, and what it remembers after this gradient."""


@guarded
class Diagonal(AbstractPreconditioner[None]):
    """A fixed diagonal, best near the variances of the coordinates.

    Args:
        scale: positive, of the shape of one example or a part that broadcasts to it.

    Raises:
        ValueError: if a number is out of its range.
    """

    scale: jax.Array = number()

    def __check_init__(self):
        _checks.positive("scale", self.scale)

    def init(self, x: X) -> None:
        """Nothing."""
        shape = jnp.shape(self.scale)
        fix = f"give a scalar or an array of shape {x.shape}"
        _checks.require(shape in ((), x.shape), "scale.shape", shape, fix)

    def update(self, memory: None, gradient: X) -> tuple[X, None]:
        """The fixed diagonal."""
        return jnp.broadcast_to(cast(self.scale, gradient), gradient.shape), memory


@guarded
class RMSProp(AbstractPreconditioner[jax.Array]):
    """`V ← β V + (1 − β) ∇E²`, `G = 1 / (λ + √V)`.

    Its own change with the position is left out, so the chain is biased as long as `G` moves.

    Li et al. (2016), "Preconditioned stochastic gradient Langevin dynamics for deep neural
    networks".

    Args:
        decay: `β` in [0, 1).
        damping: `λ > 0`, in units of the gradient.

    Raises:
        ValueError: if a number is out of its range.
    """

    decay: Number = number(default=0.99)
    damping: Number = number(default=1e-5)

    def __check_init__(self):
        _checks.probability("decay", self.decay)
        _checks.positive("damping", self.damping)

    def init(self, x: X) -> jax.Array:
        """Ones, as if gradients had been of size one."""
        return jnp.ones(x.shape, x.dtype)

    def update(self, memory: jax.Array, gradient: X) -> tuple[X, jax.Array]:
        """The diagonal with this gradient taken in."""
        decay = cast(self.decay, memory)
        square = decay * memory + (1 - decay) * gradient.astype(memory.dtype) ** 2
        return 1 / (cast(self.damping, memory) + jnp.sqrt(square)), square


@guarded
class PreconditionedLangevin(AbstractLangevin[Any]):
    """`x ← x − (ε/2) G ∇E(x) + √(εTG) ξ` with a diagonal `G`; one gradient a step.

    Args:
        step_size: `ε > 0`.
        preconditioner: `Diagonal(...)` or `RMSProp(...)`.
        temperature: as for `Langevin`; the gradient is clipped before it meets `G`.
        grad_clip: as for `Langevin`; the gradient is clipped before it meets `G`.
        bounds: as for `Langevin`; the gradient is clipped before it meets `G`.
        boundary: as for `Langevin`; the gradient is clipped before it meets `G`.
        increments: as for `Langevin`; the gradient is clipped before it meets `G`.
        noise_scale: the noise is `noise_scale · √G ξ`, if it is not to be `√(εTG) ξ`.

    Raises:
        ValueError: if a number is out of its range, or temperature and noise scale are both given.
    """

    step_size: Number = number()
    preconditioner: AbstractPreconditioner = eqx.field(default_factory=RMSProp)
    temperature: Number = number(default=1.0)
    noise_scale: Number | None = number(default=None)
    grad_clip: Number | None = number(default=None)
    bounds: Bounds = bounds_field(default=None)
    boundary: Literal["clip", "reflect"] = eqx.field(static=True, default="clip")
    increments: Callable = eqx.field(static=True, default=normal)

    def __check_init__(self):
        self.check()

    @property
    def effective_temperature(self) -> Number:
        """`noise_scale² / ε` if the noise has a scale of its own, else the temperature."""
        if self.noise_scale is None:
            return self.temperature
        return self.noise_scale**2 / self.step_size

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Any:
        """What the preconditioner remembers."""
        del energy, key
        return self.preconditioner.init(x)

    def refresh(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> Any:
        """What the preconditioner remembers stays."""
        del energy, x, key
        return state

    def step(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> tuple[X, Any, StepInfo]:
        """One step of one chain, at the cost of one gradient."""
        value, gradient = jax.lax.optimization_barrier(value_and_gradient(energy, x))
        diagonal, state = self.preconditioner.update(state, gradient)
        diagonal, step_size = diagonal.astype(x.dtype), cast(self.step_size, x)
        scale = self.noise_scale
        scale = jnp.sqrt(step_size * cast(self.temperature, x)) if scale is None else cast(scale, x)
        noise = scale * jnp.sqrt(diagonal) * self.increments(key, x.shape, x.dtype)
        new = self.confine(x - 0.5 * step_size * diagonal * self.clip(gradient) + noise)
        grad_norm = jnp.sqrt(jnp.sum(gradient**2))
        info = StepInfo(value, grad_norm, jnp.ones((), value.dtype), ~jnp.isfinite(value))
        return new, state, info
