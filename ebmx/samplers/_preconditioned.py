"""Langevin dynamics with a step size for each coordinate."""

import abc
from typing import Any, Generic, Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Bounds, EnergyFn, Key, Number, Numbers, X
from ..energies._constants import as_number
from ..energies._repr import show
from ._base import StepInfo
from ._fields import bounds as bounds_field
from ._fields import cast, number
from ._increments import Increments, draw
from ._langevin import AbstractOverdamped, drift, info_of

Memory = TypeVar("Memory")


class AbstractPreconditioner(eqx.Module, Generic[Memory]):
    """A diagonal matrix `G(x)`, the factor on the step size of each coordinate.

    Define `init`, the memory of a new chain, and `update`, which returns the diagonal and the
    memory after a gradient, as `RMSProp` does.
    """

    def __repr__(self) -> str:
        return show(self)

    @abc.abstractmethod
    def init(self, x: X) -> Memory:
        """The memory of a chain that starts at `x`; `None` if there is nothing to remember."""

    @abc.abstractmethod
    def update(self, memory: Memory, gradient: X) -> tuple[X, Memory]:
        """The diagonal, of the shape of one example, and the memory after this gradient."""


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


def _diagonal(given: Any) -> Any:
    return given if isinstance(given, AbstractPreconditioner) else as_number(given)


class PreconditionedLangevin(AbstractOverdamped[Any]):
    """`x ← x − (ε/2) G ∇E(x) + √(εTG) ξ` with a diagonal `G`; one gradient a step.

    Args:
        step_size: `ε > 0`.
        preconditioner: a fixed diagonal `G`, best near the variances of the coordinates: a positive
            number or array of the shape of one example; or one that adapts, such as `RMSProp()`.
        temperature: as for `Langevin`.
        noise_scale: the noise is `noise_scale · √G ξ`, if it is not to be `√(εTG) ξ`.
        grad_clip: as for `Langevin`; the gradient is clipped before it is multiplied by `G`.
        bounds: as for `Langevin`.
        boundary: as for `Langevin`.
        increments: as for `Langevin`.

    Raises:
        ValueError: if a number is out of its range, or temperature and noise scale are both given.
    """

    step_size: Number = number()
    preconditioner: AbstractPreconditioner | Numbers = eqx.field(
        converter=_diagonal, default_factory=RMSProp
    )
    temperature: Number = number(default=1.0)
    noise_scale: Number | None = number(default=None)
    grad_clip: Number | None = number(default=None)
    bounds: Bounds = bounds_field(default=None)
    boundary: Literal["clip", "reflect"] = eqx.field(static=True, default="clip")
    increments: Increments = eqx.field(static=True, default="normal")

    def __check_init__(self):
        if not isinstance(self.preconditioner, AbstractPreconditioner):
            _checks.positive("preconditioner", self.preconditioner)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Any:
        """The memory of the preconditioner, if it adapts."""
        del energy, key
        if isinstance(self.preconditioner, AbstractPreconditioner):
            return self.preconditioner.init(x)
        shape, fix = jnp.shape(self.preconditioner), f"give a scalar or an array of shape {x.shape}"
        _checks.require(shape in ((), x.shape), "preconditioner.shape", shape, fix)
        return None

    def refresh(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> Any:
        """The memory of the preconditioner stays."""
        del energy, x, key
        return state

    def step(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> tuple[X, Any, StepInfo]:
        """One step of one chain, at the cost of one gradient."""
        here = drift(energy, x)
        if isinstance(self.preconditioner, AbstractPreconditioner):
            diagonal, state = self.preconditioner.update(state, here.gradient)
        else:
            diagonal = jnp.broadcast_to(self.preconditioner, x.shape)
        diagonal, step_size = cast(diagonal, x), cast(self.step_size, x)
        noise = self.noise_size(x) * jnp.sqrt(diagonal) * draw(self.increments, x, key=key)
        new = self.confine(x - 0.5 * step_size * diagonal * self.clip(here.gradient) + noise)
        return new, state, info_of(here)
