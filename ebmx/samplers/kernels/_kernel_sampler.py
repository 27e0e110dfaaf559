"""What samplers that are kernels of BlackJAX have in common."""

import abc
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Number, X
from .._base import AbstractSampler, StepInfo, always
from ._blackjax import BlackJAX, check_masses, wide


class AbstractKernelSampler(AbstractSampler[Any]):
    """A sampler that is a kernel of BlackJAX: define the parameters as fields, and `kernel`."""

    is_invariant = always(True)  # by a Metropolis test, except for `MCLMC`
    reports_new_energy = always(True)

    def __check_init__(self: Any):  # Equinox runs it beside that of a subclass
        _checks.positive("step_size", self.step_size)
        check_masses(getattr(self, "inverse_mass_matrix", None))

    @abc.abstractmethod
    def kernel(self, x: X) -> BlackJAX:
        """The kernel for positions of the shape and dtype of `x`."""

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Any:
        """The kernel's state at `x`, without the position."""
        return self.kernel(x).init(energy, x, key=key)

    def retemper(self, energy: EnergyFn, x: X, state: Any, factor: Number, *, key: Key) -> Any:
        """Scales what the state caches, or makes a new state."""
        return self.kernel(x).retemper(energy, x, state, factor, key=key)

    def retemper_path(
        self, energy: EnergyFn, x: X, state: Any, factor: Number, base: EnergyFn, *, key: Key
    ) -> Any:
        """Changes what the state caches, or makes a new state."""
        return self.kernel(x).retemper_path(energy, x, state, factor, base, key=key)

    def step(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> tuple[X, Any, StepInfo]:
        """One transition of the kernel."""
        return self.kernel(x).step(energy, x, state, key=key)


@functools.cache
def parts(name: str) -> tuple[Callable, Callable]:
    """Init and kernel, made once: they are static, and equal ones made again would retrace.

    BlackJAX is imported here and outside of any trace, since its import initialises the devices.
    """
    with jax.ensure_compile_time_eval():
        import blackjax

        algorithm = getattr(blackjax, name)
        return algorithm.init, algorithm.build_kernel()


def masses(given: Any, x: X) -> jax.Array:
    """The inverse mass matrix for positions like `x`: ones if it is not given."""
    if given is None:
        return jnp.ones(x.size, wide(x).dtype)
    shapes = (x.size,), (x.size, x.size)
    fix = f"give an array of shape {shapes[0]} or {shapes[1]}, over the flattened coordinates"
    _checks.require(given.shape in shapes, "inverse_mass_matrix.shape", given.shape, fix)
    return given
