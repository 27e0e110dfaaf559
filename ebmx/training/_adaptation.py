"""Step sizes of persistent chains, tuned while they train."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._types import Number
from ..samplers import AbstractSampler, PerChain
from ._negatives import NegativesInfo


@guarded
class StepSizeAdaptation(eqx.Module):
    """Tunes the step size of each persistent chain to an acceptance.

    After each update `log ε ← log ε + η (acceptance − target)`, a stochastic approximation that
    begins with a large gain and keeps a small one, since the energy goes on changing.

    Robbins and Monro (1951), "A stochastic approximation method"; Andrieu and Thoms (2008), "A
    tutorial on adaptive MCMC".

    **Arguments:**

    - `target`: the acceptance, in (0, 1).
    - `gain`: `η` of an old chain; a young one has up to `4`, falling with its age.

    **Raises:**

    `ValueError` if a number is out of its range.
    """

    target: Number = eqx.field(converter=jnp.asarray, default=0.574)
    gain: Number = eqx.field(converter=jnp.asarray, default=0.1)

    def __check_init__(self):
        _checks.probability("target", self.target)
        _checks.positive("gain", self.gain)

    def check(self, sampler: AbstractSampler) -> None:
        """Check that there is a step size to tune."""
        names = [field.name for field in dataclasses.fields(sampler)]
        fix = f"{type(sampler).__name__} has no step size that could be adapted"
        _checks.require("step_size" in names, "adaptation", type(sampler).__name__, fix)

    def scale(self, sampler: Any, log_scales: jax.Array) -> PerChain:
        """The sampler of each chain."""

        def one(log_scale):
            return dataclasses.replace(sampler, step_size=sampler.step_size * jnp.exp(log_scale))

        return PerChain(jax.vmap(one)(log_scales))

    def update(self, log_scales: jax.Array, info: NegativesInfo, ages: jax.Array) -> jax.Array:
        """The factors after the chains have moved; a chain that died begins anew."""
        gain = jnp.maximum(self.gain, 4.0 / jnp.maximum(ages, 1))
        acceptance = info.chains.acceptance
        error = jnp.where(jnp.isfinite(acceptance), acceptance, 0.0) - self.target
        return jnp.where(info.dead, 0.0, log_scales + gain * error)
