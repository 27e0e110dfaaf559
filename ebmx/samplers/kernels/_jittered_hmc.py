"""Hamiltonian Monte Carlo with trajectories of many lengths, the same for all chains."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Number, Numbers, X
from .._base import AbstractSampler, StepInfo, always
from .._fields import cast, number
from ._blackjax import BlackJAX, check_masses
from ._kernel_sampler import masses, parts


class Jittered(NamedTuple):
    """How many steps a chain has taken, and the state of its kernel."""

    count: jax.Array
    kernel: Any


class JitteredHMC(AbstractSampler[Jittered]):
    """Hamiltonian Monte Carlo with trajectories of length `u T`, `u` from a sequence in (0, 1).

    The fractions `u` are 1/2, 1/4, 3/4, 1/8, …, van der Corput's sequence, by the number of the
    step. So no length is in resonance with the density, the chains of one program take equally
    many leapfrog steps, and none waits for another. A step costs `⌈u T / h⌉` gradients, about
    `T / 2h` on average.

    `warmup` tunes `T`, beside step size and masses, by the ChEES criterion over all chains.

    Hoffman, Radul and Sountsov (2021), "An adaptive-MCMC scheme for setting trajectory lengths in
    Hamiltonian Monte Carlo".

    Args:
        step_size: `h > 0` of the leapfrog integrator, in units of `x` for unit masses. Best at an
            acceptance of 0.65.
        trajectory_length: `T > 0`, the longest trajectory, in the units of `h`.
        inverse_mass_matrix: as for `HMC`.
        max_num_integration_steps: a trajectory has at most so many leapfrog steps.

    Raises:
        ValueError: if a number is out of its range.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from ebmx.energies import Gaussian
        >>> from ebmx.samplers import JitteredHMC, warmup
        >>> energy, key = Gaussian(jnp.zeros(2), jnp.array([1.0, 1e4])), jax.random.key(0)
        >>> start, sampler = jnp.zeros((64, 2)), JitteredHMC(1.0, trajectory_length=5.0)
        >>> tuned, x = warmup(energy, sampler, start, num_steps=400, key=key)
        >>> bool(1.0 < tuned.trajectory_length < 6.0)  # near 2.25, in units of the variances
        True
    """

    step_size: Number = number()
    trajectory_length: Number = number()
    inverse_mass_matrix: Numbers | None = number(default=None)
    max_num_integration_steps: int = eqx.field(static=True, default=1000)

    is_invariant = always(True)  # by a Metropolis test
    reports_new_energy = always(True)

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)
        _checks.positive("trajectory_length", self.trajectory_length)
        _checks.at_least("max_num_integration_steps", self.max_num_integration_steps, 1)
        check_masses(self.inverse_mass_matrix)

    def kernel(self, x: X, fraction: jax.Array) -> BlackJAX:
        """The kernel for positions like `x` with this fraction of the longest trajectory."""
        length, step = (cast(v, fraction) for v in (self.trajectory_length, self.step_size))
        num = jnp.ceil(fraction * length / step)
        return BlackJAX(
            *parts("hmc"),
            step_size=self.step_size,
            inverse_mass_matrix=masses(self.inverse_mass_matrix, x),
            num_integration_steps=jnp.clip(num, 1, self.max_num_integration_steps).astype(int),
        )

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Jittered:
        """The kernel's state at `x`, at the begin of the sequence."""
        kernel = self.kernel(x, fraction_of(jnp.int32(0)))
        return Jittered(jnp.zeros((), jnp.int32), kernel.init(energy, x, key=key))

    def refresh(self, energy: EnergyFn, x: X, state: Jittered, *, key: Key) -> Jittered:
        """A new state of the kernel; the sequence goes on."""
        return Jittered(state.count, self.init(energy, x, key=key).kernel)

    def retemper(
        self, energy: EnergyFn, x: X, state: Jittered, factor: Number, *, key: Key
    ) -> Jittered:
        """Energy and gradient times the factor; the sequence goes on."""
        kernel = self.kernel(x, fraction_of(state.count))
        return Jittered(state.count, kernel.retemper(energy, x, state.kernel, factor, key=key))

    def step(
        self, energy: EnergyFn, x: X, state: Jittered, *, key: Key
    ) -> tuple[X, Jittered, StepInfo]:
        """One trajectory, of the length whose turn it is."""
        kernel = self.kernel(x, fraction_of(state.count))
        new, inner, info = kernel.step(energy, x, state.kernel, key=key)
        return new, Jittered(state.count + 1, inner), info


def fraction_of(count: jax.Array) -> jax.Array:
    """The number of van der Corput's sequence after `count` others: bits in reverse order."""
    bits = (count + 1).astype(jnp.uint32)
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        shift, mask = jnp.uint32(shift), jnp.uint32(mask)
        bits = ((bits >> shift) & mask) | ((bits & mask) << shift)
    bits = (bits >> jnp.uint32(16)) | (bits << jnp.uint32(16))
    # the upper 24 bits, which single precision holds exactly
    return (bits >> jnp.uint32(8)).astype(jnp.float32) / 2**24
