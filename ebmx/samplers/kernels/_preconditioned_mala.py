"""Metropolis-adjusted Langevin dynamics with a matrix of step sizes."""

import jax.numpy as jnp

from ..._types import Number, Numbers, X
from .._fields import number
from ._blackjax import BlackJAX
from ._kernel_sampler import AbstractKernelSampler, masses, parts


class PreconditionedMALA(AbstractKernelSampler):
    """`MALA` with a matrix `A`: proposes `x − (ε/2) A ∇E(x) + √ε A^½ ξ`; one gradient a step.

    Exact for any fixed `A`, which is best near the inverse of the Fisher information
    `F = E[∇E ∇Eᵀ]`, which for a Gaussian is its covariance. `warmup` estimates `F` from the
    gradients of all chains: a matrix, or its diagonal if an array `(d,)` is given to start from.

    Titsias (2023), "Optimal preconditioning and Fisher adaptive Langevin sampling"; Roberts and
    Stramer (2002), "Langevin diffusions and Metropolis-Hastings algorithms".

    Args:
        step_size: `ε > 0`, of no unit if `A` has that of a covariance. An acceptance of 0.57 is
            about the best.
        inverse_mass_matrix: `A`, positive `(d,)` or positive definite `(d, d)` over the flattened
            coordinates; ones if not given.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from ebmx.energies import Gaussian
        >>> from ebmx.samplers import PreconditionedMALA, warmup
        >>> covariance = jnp.array([[1.0, 0.9], [0.9, 1.0]])
        >>> energy, start = Gaussian(jnp.zeros(2), covariance), jnp.zeros((64, 2))
        >>> sampler, key = PreconditionedMALA(0.1), jax.random.key(0)
        >>> tuned, _ = warmup(energy, sampler, start, num_steps=400, key=key)
        >>> bool(jnp.max(jnp.abs(tuned.inverse_mass_matrix - covariance)) < 0.2)
        True
    """

    step_size: Number = number()
    inverse_mass_matrix: Numbers | None = number(default=None)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel: one leapfrog step of length `√ε` is this step, and so is its test."""
        return BlackJAX(
            *parts("hmc"),
            step_size=jnp.sqrt(jnp.asarray(self.step_size)),
            inverse_mass_matrix=masses(self.inverse_mass_matrix, x),
            num_integration_steps=1,
        )
