"""What the parts of a ladder must be, and its step sizes."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from ... import _checks
from ...energies import AbstractExactEnergy
from ...energies._discrete import CATEGORICAL, DISCRETE
from ..discrete._block_gibbs import BlockGibbs
from ..kernels._search import held

_FIX = "give at least two rising temperatures"


def check_ladder(ladder: Any) -> None:
    """Check the fields of a `ReplicaExchange`."""
    shape = jnp.shape(ladder.temperatures)
    _checks.require(len(shape) == 1 and shape[0] >= 2, "temperatures.shape", shape, _FIX)
    if ladder.base is None:
        _check_temperatures(ladder)
    else:
        _check_base(ladder)
    fix = "a swap takes its state to another temperature, and it holds positions of this one: "
    fix += "give a sampler that is restartable"
    ok, kind = ladder.sampler.is_restartable, type(ladder.sampler).__name__
    _checks.require(bool(ok), "sampler", kind, fix)
    steps = "step_size" in [field.name for field in dataclasses.fields(ladder.sampler)]
    fix = "the sampler has no step_size that could be scaled: leave scale_step out"
    _checks.require(steps or not ladder.scale_step, "scale_step", ladder.scale_step, fix)
    if ladder.step_sizes is not None:
        _check_step_sizes(ladder)
    if ladder.base is None:
        _check_effective_temperatures(ladder)


def _check_temperatures(ladder: Any) -> None:
    if _checks.is_concrete(ladder.temperatures):
        fix = "give finite numbers above 0; an infinite temperature needs a base"
        _checks.positive("temperatures", ladder.temperatures, fix)
        ok = bool(np.all(np.diff(np.asarray(ladder.temperatures, np.float64)) > 0))
        _checks.require(ok, "temperatures", ladder.temperatures, _FIX)


def _check_base(ladder: Any) -> None:
    name, fix = type(ladder.base).__name__, "give an energy that can be sampled, such as Gaussian"
    _checks.require(isinstance(ladder.base, AbstractExactEnergy), "base", name, fix)
    if _checks.is_concrete(ladder.temperatures):
        known = np.asarray(ladder.temperatures, np.float64)
        ok = known[0] == 1 and np.isinf(known[-1]) and bool(np.all(known[:-1] < known[1:]))
        fix = "with a base give rising temperatures from 1 to infinity, such as [1.0, 4.0, jnp.inf]"
        _checks.require(bool(ok), "temperatures", ladder.temperatures, fix)
    if isinstance(ladder.base, DISCRETE) or ladder.sampler.is_discrete:
        _check_discrete(ladder)
    else:
        kind = type(ladder.sampler).__name__
        fix = "samples of the base do not keep to its bounds: put the energy into a Box"
        _checks.require(ladder.sampler.bounds is None, "sampler", kind, fix)
    own = ladder.sampler.effective_temperature
    if _checks.is_concrete(own):
        fix = "with a base give a sampler at temperature 1"
        ok = bool(np.all(np.asarray(own) == 1))
        _checks.require(ok, "sampler.effective_temperature", own, fix)


def _check_discrete(ladder: Any) -> None:
    """Check that sampler and base are both of bits, or both of categories."""
    name, kind = type(ladder.base).__name__, type(ladder.sampler).__name__
    fix = f"{kind} moves zeros and ones or categories: give a Bernoulli or a Categorical"
    _checks.require(isinstance(ladder.base, DISCRETE), "base", name, fix)
    fix = f"samples of {name} are discrete: give DMALA, Gibbs or GibbsWithGradients"
    _checks.require(ladder.sampler.is_discrete, "sampler", kind, fix)
    fix = "BlockGibbs knows no blocks of the energies between E and a base: give DMALA or Gibbs"
    _checks.require(not isinstance(ladder.sampler, BlockGibbs), "sampler", kind, fix)
    categorical = isinstance(ladder.base, CATEGORICAL)
    own = getattr(ladder.sampler, "categorical", categorical)
    fix = f"the base is a {name}: give categorical={categorical}"
    _checks.require(own == categorical, "sampler.categorical", own, fix)


def _check_step_sizes(ladder: Any) -> None:
    names = [field.name for field in dataclasses.fields(held(ladder.sampler))]
    fix = "the sampler has no step_size: leave step_sizes out"
    _checks.require("step_size" in names, "step_sizes", type(ladder.sampler).__name__, fix)
    shape, rungs = jnp.shape(ladder.step_sizes), jnp.shape(ladder.temperatures)
    fix = f"give one step size for each temperature, {rungs}"
    _checks.require(shape == rungs, "step_sizes.shape", shape, fix)
    _checks.positive("step_sizes", ladder.step_sizes)
    fix = "give either step_sizes or scale_step"
    _checks.require(not ladder.scale_step, "scale_step", ladder.scale_step, fix)


def _check_effective_temperatures(ladder: Any) -> None:
    effective = ladder.effective_temperatures()
    if _checks.is_concrete(effective):
        known, kind = np.asarray(effective, np.float64), type(ladder.sampler).__name__
        ok = bool(np.all((known > 0) & np.isfinite(known)))
        fix = "its temperature must stay, and be above 0"
        _checks.require(ok, "sampler", kind, fix)
        fix = "all rungs have one temperature: give `temperature` in place of `noise_scale`"
        _checks.require(bool(np.all(np.diff(known) > 0)), "sampler.noise_scale", kind, fix)
