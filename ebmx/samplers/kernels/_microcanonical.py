"""Microcanonical samplers: a momentum of constant length, adjusted or not."""

import equinox as eqx
import jax.numpy as jnp

from ... import _checks
from ..._types import Number, Numbers, X
from .._base import always
from .._fields import number
from ._blackjax import BlackJAX
from ._kernel_sampler import AbstractKernelSampler, masses, parts


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
        _check_coordinates(x)
        return BlackJAX(
            *parts("mclmc"),
            inverse_mass_matrix=masses(None, x),
            L=self.decoherence_length,
            step_size=self.step_size,
        )


class AdjustedMCLMC(AbstractKernelSampler):
    """Microcanonical Hamiltonian Monte Carlo: `MCLMC` with a Metropolis test; exact.

    The momentum has length one and a direction that is drawn once a step, the trajectory has
    `num_integration_steps` steps of McLachlan's integrator with two gradients each, and the test
    takes the energy that the integrator has lost or gained.

    Robnik, Cohn-Gordon and Seljak (2025), "Metropolis adjusted microcanonical Hamiltonian Monte
    Carlo"; McLachlan (1995), "On the numerical integration of ordinary differential equations by
    symmetric composition methods".

    Args:
        step_size: `ε > 0`, a distance: a trajectory is `num_integration_steps · ε` long, best of
            the order of `√d` for `d` coordinates of unit variance. Best at an acceptance of 0.9.
        num_integration_steps: how many steps of the integrator, at least 1.
        inverse_mass_matrix: positive `(d,)` over the flattened coordinates; ones if not given. Best
            near the variances.

    Raises:
        ValueError: if a number is out of its range, or a matrix is given.
    """

    step_size: Number = number()
    num_integration_steps: int = eqx.field(static=True, default=10)
    inverse_mass_matrix: Numbers | None = number(default=None)

    def __check_init__(self):
        _checks.at_least("num_integration_steps", self.num_integration_steps, 1)
        shape = jnp.shape(self.inverse_mass_matrix) if self.inverse_mass_matrix is not None else ()
        fix = "the momentum has no matrix of masses: give one positive number for each coordinate"
        _checks.require(len(shape) < 2, "inverse_mass_matrix.shape", shape, fix)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions like `x`."""
        _check_coordinates(x)
        return BlackJAX(
            *parts("adjusted_mclmc"),
            step_size=self.step_size,
            inverse_mass_matrix=masses(self.inverse_mass_matrix, x),
            integration_steps_params=(self.num_integration_steps,),
        )


def _check_coordinates(x: X) -> None:
    fix = "a momentum of constant length needs at least two coordinates: give HMC or MALA"
    _checks.require(x.size > 1, "x.shape", x.shape, fix)
