"""Samplers made of samplers, and the jump that they are made for."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._types import EnergyFn, Key, Scalar, X
from ..energies import AbstractExactEnergy, as_scalar
from ._base import AbstractSampler, StepInfo


@guarded
class Cycle(AbstractSampler[None]):
    """One step is a step of each sampler in turn.

    The state of a sampler belongs to where it left the chain, so each begins its turn with a new
    one; a sampler that caches a gradient pays for one more.

    **Arguments:**

    - `samplers`: at least one.
    """

    samplers: tuple[AbstractSampler, ...] = eqx.field(converter=tuple)

    def __check_init__(self):
        _check_samplers(self.samplers)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> None:
        """Nothing is carried from step to step."""
        del energy, x, key

    def step(self, energy: EnergyFn, x: X, state: None, *, key: Key) -> tuple[X, None, StepInfo]:
        """A step of each; the info is of the last, the acceptance the mean of all."""
        acceptances, divergent = [], []
        info = None
        for sampler, one_key in zip(
            self.samplers, jax.random.split(key, len(self.samplers)), strict=True
        ):
            x, info = _fresh_step(sampler, energy, x, one_key)
            acceptances.append(info.acceptance)
            divergent.append(info.divergent)
        assert info is not None
        mean = jnp.mean(jnp.stack(acceptances))
        any_divergent = jnp.any(jnp.stack(divergent))
        return x, state, StepInfo(info.energy, info.grad_norm, mean, any_divergent)


@guarded
class Mixture(AbstractSampler[None]):
    """One step is a step of one of the samplers, drawn by lot.

    Under `vmap` every chain computes the steps of all and keeps one: a `Cycle` costs the same.

    **Arguments:**

    - `samplers`: at least one.
    - `weights`: a positive weight for each; equal if not given.

    **Raises:**

    `ValueError` if there is no sampler, or weights do not fit.
    """

    samplers: tuple[AbstractSampler, ...] = eqx.field(converter=tuple)
    weights: jax.Array | None = eqx.field(
        converter=lambda w: None if w is None else jnp.asarray(w), default=None
    )

    def __check_init__(self):
        _check_samplers(self.samplers)
        if self.weights is not None:
            wanted = (len(self.samplers),)
            fix = f"give one weight for each sampler: {wanted}"
            ok = jnp.shape(self.weights) == wanted
            _checks.require(ok, "weights.shape", jnp.shape(self.weights), fix)
            _checks.positive("weights", self.weights)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> None:
        """Nothing is carried from step to step."""
        del energy, x, key

    def step(self, energy: EnergyFn, x: X, state: None, *, key: Key) -> tuple[X, None, StepInfo]:
        """A step of one of the samplers."""
        choice_key, step_key = jax.random.split(key)
        weights = jnp.ones(len(self.samplers)) if self.weights is None else self.weights
        choice = jax.random.categorical(choice_key, jnp.log(weights))
        branches = [lambda x, s=sampler: _fresh_step(s, energy, x, step_key)
                    for sampler in self.samplers]  # fmt: skip
        x, info = jax.lax.switch(choice, branches, x)
        return x, state, info


@guarded
class Independence(AbstractSampler[Scalar]):
    """Jumps to exact samples of another density, accepted such that the chain is exact.

    The acceptance is `min(1, p(y) q(x) / (p(x) q(y)))`. No gradient is taken. In a `Cycle` with a
    local sampler it carries chains from mode to mode.

    Tierney (1994), "Markov chains for exploring posterior distributions".

    **Arguments:**

    - `proposal`: `q`, a `Gaussian`, a `GaussianMixture` or another energy that can be sampled.

    **Raises:**

    `ValueError` if the proposal is not one that can be sampled and has a `log_z`.
    """

    proposal: AbstractExactEnergy

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
        """Propose a jump, and accept it or not."""
        jump_key, accept_key = jax.random.split(key)
        y = self.proposal.sample(key=jump_key).astype(x.dtype)
        value = as_scalar(energy(y))
        log_ratio = state - value + self.proposal(y) - self.proposal(x)
        acceptance = jnp.exp(jnp.minimum(log_ratio, 0.0))
        acceptance = jnp.where(jnp.isnan(acceptance), 0.0, acceptance)
        accepted = jax.random.uniform(accept_key) < acceptance
        new = jnp.where(accepted, value, state)
        unknown = jnp.full((), jnp.nan, new.dtype)
        info = StepInfo(new, unknown, acceptance.astype(new.dtype), ~jnp.isfinite(new))
        return jnp.where(accepted, y, x), new, info


def _fresh_step(sampler: AbstractSampler, energy: EnergyFn, x: X, key: Key) -> tuple[X, StepInfo]:
    init_key, step_key = jax.random.split(key)
    state: Any = sampler.init(energy, x, key=init_key)
    x, _, info = sampler.step(energy, x, state, key=step_key)
    return x, info


def _check_samplers(samplers: Sequence[AbstractSampler]) -> None:
    ok = len(samplers) > 0 and all(isinstance(s, AbstractSampler) for s in samplers)
    names = [type(s).__name__ for s in samplers]
    _checks.require(ok, "samplers", names, "give at least one sampler, and samplers only")
