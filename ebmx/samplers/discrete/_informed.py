"""Metropolis tests of proposals that the gradient of the relaxed energy informs."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._types import EnergyFn, Key, Number, Scalar, X
from ...energies._batch import value_and_gradient
from ...energies._discrete import check_kind
from .._base import StepInfo, always
from .._fields import at_least_single, cast
from ._space import AbstractDiscrete, nearest


class Known(eqx.Module):
    """The energy and its gradient at the position of a chain."""

    energy: Scalar
    gradient: X


class AbstractInformed(AbstractDiscrete[Known]):
    """A Metropolis sampler of discrete examples, with a static field `categorical`.

    Subclasses define how it proposes, and how likely. A step takes one gradient, that of the
    proposal.
    """

    is_invariant = always(True)  # by a Metropolis test
    reports_new_energy = always(True)

    @abc.abstractmethod
    def propose(self, x: X, gradient: X, *, key: Key) -> X:
        """Another example, of the shape and dtype of `x`."""

    @abc.abstractmethod
    def log_proposal(self, x: X, gradient: X, y: X) -> Scalar:
        """The log probability that `y` is proposed from `x`."""

    def init(self: Any, energy: EnergyFn, x: X, *, key: Key) -> Known:
        """The energy and its gradient at `x`."""
        del key
        check_kind(energy, self.categorical, "categorical")
        return Known(*value_and_gradient(energy, nearest(x, self.categorical)))

    def retemper(self, energy: EnergyFn, x: X, state: Known, factor: Number, *, key: Key) -> Known:
        """Both times the factor."""
        del energy, x, key
        return jax.tree.map(lambda one: one * cast(factor, one), state)

    def step(
        self: Any, energy: EnergyFn, x: X, state: Known, *, key: Key
    ) -> tuple[X, Known, StepInfo]:
        """Propose an example, and accept it or not."""
        propose_key, accept_key = jax.random.split(key)
        x = nearest(x, self.categorical)
        y = self.propose(x, state.gradient, key=propose_key)
        new = Known(*value_and_gradient(energy, y))
        back = self.log_proposal(y, new.gradient, x) - self.log_proposal(x, state.gradient, y)
        # an energy that is not a number at `y` rejects, one at `x` accepts
        known = state.energy < jnp.inf
        fall = (jnp.where(known, state.energy, 0) - new.energy).astype(back.dtype)
        log_ratio = jnp.where(known, fall + back, jnp.inf)
        acceptance = jnp.exp(jnp.minimum(log_ratio, 0.0))
        possible = jnp.isfinite(new.energy) & jnp.isfinite(acceptance)
        acceptance = jnp.where(possible, acceptance, 0.0)
        accepted = jax.random.uniform(accept_key, (), back.dtype) < acceptance
        kept = jax.tree.map(lambda one, other: jnp.where(accepted, one, other), new, state)
        wide = kept.gradient.astype(at_least_single(kept.gradient.dtype))
        norm = jnp.sqrt(jnp.sum(wide**2)).astype(x.dtype)
        divergent = ~jnp.isfinite(kept.energy)
        info = StepInfo(kept.energy, norm, acceptance.astype(kept.energy.dtype), divergent)
        return jnp.where(accepted, y, x), kept, info
