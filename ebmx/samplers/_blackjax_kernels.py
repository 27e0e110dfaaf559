"""The most used kernels of BlackJAX, each as a sampler with its own parameters."""

import abc
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import EnergyFn, Key, Number, Numbers, X
from ._base import AbstractSampler, StepInfo, always
from ._blackjax import BlackJAX, check_masses, wide
from ._fields import number


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


class MALA(AbstractKernelSampler):
    """Metropolis-adjusted Langevin; one gradient a step, exact at any step size.

    Proposes the step of `Langevin(step_size)` and accepts it with the probability that makes the
    chain exact. `ε` is that of `Langevin`, which is twice the step size of BlackJAX.

    Besag (1994); Roberts and Tweedie (1996), "Exponential convergence of Langevin distributions and
    their discrete approximations".

    Args:
        step_size: `ε > 0`, in squared units of `x`. An acceptance of 0.57 is about the best.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.samplers import MALA
        >>> start, key = jnp.zeros((8, 2)), jax.random.key(0)
        >>> _, info = ebmx.run(lambda x: jnp.sum(x**4), MALA(0.2), start, num_steps=50, key=key)
        >>> info.acceptance.shape
        (8,)
    """

    step_size: Number = number()

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions of any shape."""
        return BlackJAX(*_parts("mala"), step_size=jnp.asarray(self.step_size) / 2)


class HMC(AbstractKernelSampler):
    """Hamiltonian Monte Carlo; `num_integration_steps` gradients a step.

    Duane et al. (1987), "Hybrid Monte Carlo"; Neal (2011), "MCMC using Hamiltonian dynamics".

    For positions within bounds see `Reflected`.

    Args:
        step_size: `h > 0` of the leapfrog integrator, in units of `x` for unit masses. One leapfrog
            step is `MALA(h²)`.
        num_integration_steps: how many leapfrog steps, at least 1.
        inverse_mass_matrix: positive `(d,)` or positive definite `(d, d)` over the flattened
            coordinates; ones if not given. Best near the covariance.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.samplers import HMC
        >>> sampler, key = HMC(step_size=0.2, num_integration_steps=5), jax.random.key(0)
        >>> start = jnp.zeros((8, 2))
        >>> x, _ = ebmx.run(lambda x: jnp.sum(x**4), sampler, start, num_steps=20, key=key)
        >>> x.shape
        (8, 2)
    """

    step_size: Number = number()
    num_integration_steps: int = eqx.field(static=True, default=10)
    inverse_mass_matrix: Numbers | None = number(default=None)

    def __check_init__(self):
        _checks.at_least("num_integration_steps", self.num_integration_steps, 1)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions like `x`."""
        return BlackJAX(
            *_parts("hmc"),
            step_size=self.step_size,
            inverse_mass_matrix=_masses(self.inverse_mass_matrix, x),
            num_integration_steps=self.num_integration_steps,
        )


class NUTS(AbstractKernelSampler):
    """The no-U-turn sampler: Hamiltonian Monte Carlo that chooses the length of its trajectories.

    Chains in one program all take as long as the one with the longest trajectory.

    Hoffman and Gelman (2014), "The no-U-turn sampler".

    Args:
        step_size: `h > 0` of the leapfrog integrator.
        inverse_mass_matrix: as for `HMC`.
        max_num_doublings: a trajectory has at most `2^max_num_doublings - 1` leapfrog steps.
    """

    step_size: Number = number()
    inverse_mass_matrix: Numbers | None = number(default=None)
    max_num_doublings: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        _checks.at_least("max_num_doublings", self.max_num_doublings, 1)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions like `x`."""
        return BlackJAX(
            *_parts("nuts"),
            step_size=self.step_size,
            inverse_mass_matrix=_masses(self.inverse_mass_matrix, x),
            max_num_doublings=self.max_num_doublings,
        )


class Barker(AbstractKernelSampler):
    """The Barker proposal: one gradient a step, robust to a step size that is too large.

    Livingstone and Zanella (2022), "The Barker proposal: combining robustness and efficiency in
    gradient-based MCMC".

    Args:
        step_size: `ε > 0`, the standard deviation of the proposal, in units of `x`.
    """

    step_size: Number = number()

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions of any shape."""
        return BlackJAX(*_parts("barker"), step_size=self.step_size)


class MCLMC(AbstractKernelSampler):
    """Microcanonical Langevin: a momentum of constant length; not Metropolis-adjusted.

    Robnik et al. (2023), "Microcanonical Hamiltonian Monte Carlo".

    A step whose position or energy becomes non-finite is taken back and reported as divergent.

    Args:
        step_size: `ε > 0` of the integrator, in units of `x`.
        decoherence_length: `L`, the distance over which the momentum decorrelates.
    """

    step_size: Number = number()
    decoherence_length: Number = number()

    is_invariant = always(False)
    reports_acceptance = always(False)

    def __check_init__(self):
        _checks.positive("decoherence_length", self.decoherence_length)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions like `x`."""
        fix = "a momentum of constant length needs at least two coordinates: give HMC or MALA"
        _checks.require(x.size > 1, "x.shape", x.shape, fix)
        return BlackJAX(
            *_parts("mclmc"),
            inverse_mass_matrix=_masses(None, x),
            L=self.decoherence_length,
            step_size=self.step_size,
        )


@functools.cache
def _parts(name: str) -> tuple[Callable, Callable]:
    """Init and kernel, made once: they are static, and equal ones made again would retrace.

    BlackJAX is imported here and outside of any trace, since its import initialises the devices.
    """
    with jax.ensure_compile_time_eval():
        import blackjax

        algorithm = getattr(blackjax, name)
        return algorithm.init, algorithm.build_kernel()


def _masses(given: Any, x: X) -> jax.Array:
    if given is None:
        return jnp.ones(x.size, wide(x).dtype)
    shapes = (x.size,), (x.size, x.size)
    fix = f"give an array of shape {shapes[0]} or {shapes[1]}, over the flattened coordinates"
    _checks.require(given.shape in shapes, "inverse_mass_matrix.shape", given.shape, fix)
    return given
