"""Step sizes of persistent chains, adapted during training."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Number, Scalar
from ...samplers import AbstractSampler
from ...samplers._fields import cast, number
from ...samplers._run import PerChain
from ...samplers.kernels._search import longest_step
from ._base import NegativesInfo

_LIMIT = math.log(1000.0)
"""The largest absolute value of the logarithm of the factor on a step size."""


class StepSizeAdaptation(eqx.Module):
    """Adapts the step size of each persistent chain to a target acceptance.

    After each update `log ε ← log ε + η (acceptance − target)`, a stochastic approximation whose
    gain falls from a large value to a small one, which stays, since the energy goes on changing.

    Robbins and Monro (1951), "A stochastic approximation method"; Andrieu and Thoms (2008), "A
    tutorial on adaptive MCMC".

    If no step size has the target acceptance, as on a flat or an improper energy, the factor on the
    sampler's `step_size` stops at 1,000 or 1/1,000. The metric `step_sizes_at_limit` is the
    fraction of these chains. Of `DMALA` no step size is above 100, where longer ones would be the
    same; there nothing is wrong, and the metric does not count it.

    Args:
        target: the acceptance, in (0, 1).
        gain: `η` of an old chain; that of a young chain is up to 4 and falls with its age.

    Raises:
        ValueError: if a number is out of its range.
    """

    target: Number = number(default=0.574)
    gain: Number = number(default=0.1)

    def __check_init__(self):
        _checks.probability("target", self.target)
        _checks.positive("gain", self.gain)

    def check(self, sampler: AbstractSampler) -> None:
        """Check that the sampler has a step size and reports its acceptance."""
        names = [field.name for field in dataclasses.fields(sampler)]
        fix = f"{type(sampler).__name__} has no step size to adapt"
        _checks.require("step_size" in names, "adaptation", type(sampler).__name__, fix)
        fix = (
            f"{type(sampler).__name__} reports no acceptance to adapt to: give MALA or HMC, or "
            "Langevin(..., report_acceptance=True)"
        )
        _checks.require(sampler.reports_acceptance, "adaptation", type(sampler).__name__, fix)

    def scale(self, sampler: Any, log_scales: jax.Array) -> PerChain:
        """The sampler of each chain."""

        def one(log_scale):
            step_size = jnp.asarray(sampler.step_size).astype(log_scale.dtype)
            return dataclasses.replace(sampler, step_size=step_size * jnp.exp(log_scale))

        return PerChain(jax.vmap(one)(log_scales))

    def update(
        self, log_scales: jax.Array, info: NegativesInfo, ages: jax.Array, sampler: AbstractSampler
    ) -> jax.Array:
        """The log factors after the chains have moved; that of a dead chain becomes 0."""
        # gains of 4/age have an infinite sum, so that a step size gets as far as it has to
        young = 4.0 / jnp.maximum(ages, 1).astype(log_scales.dtype)
        gain = jnp.maximum(cast(self.gain, log_scales), young)
        moved = self.moved(log_scales, gain, info.chains.acceptance, sampler)
        return jnp.where(info.dead, 0, moved)

    def moved(
        self, log_scales: jax.Array, gain: Number, acceptance: jax.Array, sampler: Any
    ) -> jax.Array:
        """`log_scales + gain (acceptance − target)` within the limits.

        An acceptance that is not finite counts as a rejection.
        """
        acceptance = jnp.where(jnp.isfinite(acceptance), acceptance, 0).astype(log_scales.dtype)
        error = acceptance - cast(self.target, log_scales)
        highest, longest = _LIMIT, longest_step(sampler)
        if math.isfinite(longest):
            # just below the limit, where it is no sign of a step size that is far off
            highest = jnp.log(longest / cast(sampler.step_size, log_scales))
            highest = jnp.clip(highest, -_LIMIT, 0.99 * _LIMIT)
        return jnp.clip(log_scales + cast(gain, log_scales) * error, -_LIMIT, highest)


def fraction_at_limit(log_scales: jax.Array) -> Scalar:
    """The fraction of factors at a limit."""
    # below the limit itself, which low precision may round down
    return jnp.mean(jnp.abs(log_scales) > 0.999 * _LIMIT, dtype=log_scales.dtype)
