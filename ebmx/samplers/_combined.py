"""Samplers made of samplers, and independent proposals that go well with local ones."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import EnergyFn, Key, Number, Numbers, Scalar, X
from ..energies import AbstractExactEnergy
from ..energies._batch import as_scalar
from ..energies._discrete import DISCRETE
from ._base import (
    AbstractSampler,
    StepInfo,
    always,
    as_carried,
    common_temperature,
    declared,
    take_step,
)
from ._fields import at_least_single, cast, number


def _of_all(name: str) -> Any:
    """A property that is true if it is for all samplers."""
    return declared(lambda self: all(getattr(one, name) for one in self.samplers))


class AbstractCombined(AbstractSampler[tuple[Any, ...]]):
    """A sampler that moves one chain by several samplers, each with a state of its own.

    A state belongs to where its sampler left the chain, so each sampler refreshes it before its
    turn: one that caches a gradient computes one more. Its properties are those that all have.
    """

    samplers: eqx.AbstractVar[tuple[AbstractSampler, ...]]
    is_invariant = _of_all("is_invariant")
    is_restartable = _of_all("is_restartable")
    is_equivariant = _of_all("is_equivariant")
    is_discrete = _of_all("is_discrete")
    reports_acceptance = _of_all("reports_acceptance")

    def __check_init__(self):
        ok = len(self.samplers) > 0 and all(isinstance(s, AbstractSampler) for s in self.samplers)
        names = [type(s).__name__ for s in self.samplers]
        _checks.require(ok, "samplers", names, "give at least one sampler, and samplers only")

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> tuple[Any, ...]:
        """The states of all samplers at `x`."""
        keys = jax.random.split(key, len(self.samplers))
        pairs = zip(self.samplers, keys, strict=True)
        return tuple(sampler.init(energy, x, key=one_key) for sampler, one_key in pairs)

    def refresh(
        self, energy: EnergyFn, x: X, state: tuple[Any, ...], *, key: Key
    ) -> tuple[Any, ...]:
        """The same states: each is refreshed before its turn."""
        del energy, x, key
        return state

    @property
    def effective_temperature(self) -> Number:
        """That of all samplers, NaN if they differ."""
        return common_temperature([sampler.effective_temperature for sampler in self.samplers])

    @property
    def bounds(self) -> tuple[Any, Any] | None:
        """The lowest and the highest bound, `None` if a sampler has none."""
        pairs = [sampler.bounds for sampler in self.samplers]
        known = [pair for pair in pairs if pair is not None]
        if len(known) < len(pairs):
            return None
        low, high = zip(*known, strict=True)
        return functools.reduce(jnp.minimum, low), functools.reduce(jnp.maximum, high)


class Cycle(AbstractCombined):
    """One step is a step of each sampler in turn.

    Args:
        samplers: at least one.
    """

    samplers: tuple[AbstractSampler, ...] = eqx.field(converter=tuple)

    @property
    def reports_new_energy(self) -> bool:
        """Whether the last sampler does."""
        return self.samplers[-1].reports_new_energy

    @property
    def max_drift(self) -> Number:
        """The sum of the samplers'."""
        return sum((sampler.max_drift for sampler in self.samplers), jnp.zeros(()))

    def step(
        self, energy: EnergyFn, x: X, state: tuple[Any, ...], *, key: Key
    ) -> tuple[X, tuple[Any, ...], StepInfo]:
        """A step of each; the energy is of the last, the acceptance the mean of all."""
        infos, states = [], []
        keys = jax.random.split(key, len(self.samplers))
        for sampler, one, one_key in zip(self.samplers, state, keys, strict=True):
            x, one, info = _turn(sampler, energy, x, one, one_key)
            states.append(one)
            infos.append(info)
        value = infos[-1].energy
        norms = [info.grad_norm for info in infos if info.grad_norm is not None]
        mean = jnp.mean(jnp.stack([info.acceptance.astype(value.dtype) for info in infos]))
        divergent = jnp.any(jnp.stack([info.divergent for info in infos]))
        info = StepInfo(value, norms[-1] if norms else None, mean, divergent)
        return x, tuple(states), info


class Mixture(AbstractCombined):
    """One step is a step of one of the samplers, chosen at random.

    Under `vmap` every chain computes the steps of all and keeps one: a `Cycle` costs the same.

    Args:
        samplers: at least one.
        weights: a positive weight for each; equal if not given.

    Raises:
        ValueError: if there is no sampler, or weights do not fit.
    """

    samplers: tuple[AbstractSampler, ...] = eqx.field(converter=tuple)
    weights: Numbers | None = number(default=None)
    reports_new_energy = _of_all("reports_new_energy")

    def __check_init__(self):
        if self.weights is not None:
            wanted = (len(self.samplers),)
            fix = f"give one weight for each sampler: {wanted}"
            ok = jnp.shape(self.weights) == wanted
            _checks.require(ok, "weights.shape", jnp.shape(self.weights), fix)
            _checks.positive("weights", self.weights)

    @property
    def max_drift(self) -> Number:
        """The largest of the samplers'."""
        return jnp.max(jnp.stack([jnp.asarray(sampler.max_drift) for sampler in self.samplers]))

    def step(
        self, energy: EnergyFn, x: X, state: tuple[Any, ...], *, key: Key
    ) -> tuple[X, tuple[Any, ...], StepInfo]:
        """A step of one of the samplers."""
        choice_key, step_key = jax.random.split(key)
        weights = jnp.ones(len(self.samplers)) if self.weights is None else self.weights
        choice = jax.random.categorical(choice_key, jnp.log(weights))

        def move(i, with_norm, x, state):
            new, one, info = _turn(self.samplers[i], energy, x, state[i], step_key)
            dtype, norm = info.energy.dtype, info.grad_norm if with_norm else None
            norm = None if norm is None else norm.astype(dtype)
            info = StepInfo(info.energy, norm, info.acceptance.astype(dtype), info.divergent)
            return new, (*state[:i], one, *state[i + 1 :]), info

        # all branches must report the same, so no gradient norm if one has none
        parts = [functools.partial(move, i) for i in range(len(self.samplers))]
        infos = [jax.eval_shape(functools.partial(part, True), x, state)[2] for part in parts]
        with_norm = all(info.grad_norm is not None for info in infos)
        return jax.lax.switch(choice, [functools.partial(p, with_norm) for p in parts], x, state)


class Independence(AbstractSampler[Scalar]):
    """Proposes exact samples of another density, accepted so that the chain is exact.

    The acceptance is `min(1, p(y) q(x) / (p(x) q(y)))`. No gradient is taken. In a `Cycle` with a
    local sampler it carries chains from mode to mode.

    Tierney (1994), "Markov chains for exploring posterior distributions".

    Args:
        proposal: `q`, a `Gaussian`, a `GaussianMixture` or another `AbstractExactEnergy`.

    Raises:
        ValueError: if the proposal is not an `AbstractExactEnergy`.
    """

    proposal: AbstractExactEnergy

    is_invariant = always(True)  # by a Metropolis test
    is_equivariant = always(False)  # a proposal does not start from the position
    reports_new_energy = always(True)

    @property
    def is_discrete(self) -> bool:
        """Whether the proposal is a density of zeros and ones, or of categories."""
        return isinstance(self.proposal, DISCRETE)

    def __check_init__(self):
        ok = isinstance(self.proposal, AbstractExactEnergy)
        fix = "give an energy that can be sampled, such as ebmx.energies.Gaussian"
        _checks.require(ok, "proposal", type(self.proposal).__name__, fix)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Scalar:
        """The energy at `x`."""
        return as_scalar(energy(x))

    def step(
        self, energy: EnergyFn, x: X, state: Scalar, *, key: Key
    ) -> tuple[X, Scalar, StepInfo]:
        """Propose an independent position, and accept it or not."""
        jump_key, accept_key = jax.random.split(key)
        y = self.proposal.sample(key=jump_key).astype(x.dtype)
        value = as_scalar(energy(y))
        reverse = (self.proposal(y) - self.proposal(x)).astype(value.dtype)
        # an energy that is not a number at `y` rejects, one at `x` accepts
        known = state < jnp.inf
        log_ratio = jnp.where(known, jnp.where(known, state, 0) - value + reverse, jnp.inf)
        acceptance = jnp.exp(jnp.minimum(log_ratio, 0.0))
        acceptance = jnp.where(jnp.isfinite(value), acceptance, 0.0)
        # in half precision, small acceptances would be 0
        dtype = at_least_single(acceptance.dtype)
        accepted = jax.random.uniform(accept_key, (), dtype) < acceptance.astype(dtype)
        new = jnp.where(accepted, value, state)
        return jnp.where(accepted, y, x), new, StepInfo(new, None, acceptance, ~jnp.isfinite(new))

    def retemper(
        self, energy: EnergyFn, x: X, state: Scalar, factor: Number, *, key: Key
    ) -> Scalar:
        """The energy times the factor."""
        del energy, x, key
        return state * cast(factor, state)


def _turn(
    sampler: AbstractSampler, energy: EnergyFn, x: X, state: Any, key: Key
) -> tuple[X, Any, StepInfo]:
    """A step of one of several samplers, with a state that fits where the chain is."""
    refresh_key, step_key = jax.random.split(key)
    fitting = as_carried(sampler.refresh(energy, x, state, key=refresh_key), state)
    return take_step(sampler, energy, x, fitting, key=step_key)
