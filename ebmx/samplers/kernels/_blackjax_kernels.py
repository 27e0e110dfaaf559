"""The most used kernels of BlackJAX, each as a sampler with its own parameters."""

import equinox as eqx
import jax.numpy as jnp

from ... import _checks
from ..._types import Number, Numbers, X
from .._fields import number
from ._blackjax import BlackJAX
from ._kernel_sampler import AbstractKernelSampler, masses, parts


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
        return BlackJAX(*parts("mala"), step_size=jnp.asarray(self.step_size) / 2)


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
            *parts("hmc"),
            step_size=self.step_size,
            inverse_mass_matrix=masses(self.inverse_mass_matrix, x),
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
            *parts("nuts"),
            step_size=self.step_size,
            inverse_mass_matrix=masses(self.inverse_mass_matrix, x),
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
        return BlackJAX(*parts("barker"), step_size=self.step_size)
