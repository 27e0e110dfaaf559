"""Generalised Hamiltonian Monte Carlo: the momentum persists."""

from typing import Any

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Number, Numbers, X
from .._base import AbstractSampler, StepInfo, always
from .._fields import cast, number
from ._blackjax import BlackJAX, check_masses
from ._kernel_sampler import masses, parts


class GHMC(AbstractSampler[Any]):
    """One leapfrog step with a momentum that persists: `p ← √(1−α) p + √α ξ`; one gradient a step.

    A rejection turns the momentum round. The uniform number of the test persists, too, and moves by
    `δ` a step: rejections then come in clusters, between which the chain keeps its direction. All
    chains cost the same, whatever the energy.

    Momentum and uniform number start in equilibrium, so that a chain may start again at any time;
    with a new start at each step it is `HMC` with one leapfrog step. They stay in `refresh` and
    `retemper`. The chain is not reversible.

    Horowitz (1991), "A generalized guided Monte Carlo algorithm"; Neal (2020), "Non-reversibly
    updating a uniform [0, 1] value for Metropolis accept/reject decisions"; Hoffman and Sountsov
    (2022), "Tuning-free generalized Hamiltonian Monte Carlo".

    Args:
        step_size: `h > 0` of the leapfrog integrator, in units of `x` for unit masses. Best at an
            acceptance of 0.9 and more.
        inverse_mass_matrix: as for `HMC`.
        alpha: `α` in (0, 1], the fraction of the momentum that is drawn again in a step: it is
            forgotten after about `2/α` steps.
        delta: `δ` in [0, 1]; `α/2` if not given.

    Raises:
        ValueError: if a number is out of its range.
    """

    step_size: Number = number()
    inverse_mass_matrix: Numbers | None = number(default=None)
    alpha: Number = number(default=0.1)
    delta: Number | None = number(default=None)

    is_invariant = always(True)  # by a Metropolis test
    reports_new_energy = always(True)

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)
        _checks.positive("alpha", self.alpha)
        _checks.probability("alpha", self.alpha)
        if self.delta is not None:
            _checks.probability("delta", self.delta)
        check_masses(self.inverse_mass_matrix)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions like `x`."""
        inverse = masses(self.inverse_mass_matrix, x)
        # the kernel takes the square roots of a diagonal, and a matrix as it is
        scale = jnp.sqrt(inverse) if inverse.ndim == 1 else inverse
        return BlackJAX(
            *parts("ghmc"),
            step_size=self.step_size,
            momentum_inverse_scale=scale,
            alpha=jnp.asarray(self.alpha),
            delta=self._shift(),
        )

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Any:
        """Energy and gradient at `x`, and momentum and uniform number in equilibrium."""
        state = self.kernel(x).init(energy, x, key=key)
        # the kernel's own momentum is normal, with unit masses
        inverse, noise = masses(self.inverse_mass_matrix, x), state.momentum
        inverse = cast(inverse, noise)
        if inverse.ndim == 1:
            return state._replace(momentum=noise / jnp.sqrt(inverse).reshape(x.shape))
        factor = jnp.linalg.cholesky(inverse)
        flat = jax.scipy.linalg.solve_triangular(factor, noise.reshape(-1), lower=True, trans="T")
        return state._replace(momentum=flat.reshape(x.shape))

    def refresh(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> Any:
        """Momentum and uniform number stay; energy and gradient are those at `x`."""
        new = self.kernel(x).init(energy, x, key=key)
        return new._replace(momentum=state.momentum, slice=state.slice)

    def retemper(self, energy: EnergyFn, x: X, state: Any, factor: Number, *, key: Key) -> Any:
        """The momentum stays: its density is the same at each temperature of the energy."""
        del energy, x, key
        value, gradient = state.logdensity, state.logdensity_grad
        return state._replace(
            logdensity=value * cast(factor, value),
            logdensity_grad=gradient * cast(factor, gradient),
        )

    def step(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> tuple[X, Any, StepInfo]:
        """One transition of the kernel."""
        new, after, info = self.kernel(x).step(energy, x, state, key=key)
        # after a rejection with an infinite energy BlackJAX's uniform number is NaN, with which a
        # chain would reject for ever
        moved = (state.slice + 1 + cast(self._shift(), state.slice)) % 2 - 1
        uniform = jnp.where(jnp.isfinite(after.slice), after.slice, moved.astype(after.slice.dtype))
        return new, after._replace(slice=uniform), info

    def _shift(self) -> jax.Array:
        return jnp.asarray(self.alpha) / 2 if self.delta is None else jnp.asarray(self.delta)
