"""One search for a step size, beside which the chains tell what masses they need."""

import dataclasses
import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._checks import checked
from ..._types import EnergyFn, Key, XBatch
from ...energies._batch import for_each
from .._base import take_step
from .._fields import at_least_single
from .._reflected import Reflected
from .._run import chain_keys, check_energy
from ..discrete._langevin import DMALA, LONGEST
from ._dual_averaging import DualAveraging
from ._metric import metric_of

PATIENCE, MOST = 10, 50
"""Rejections in a row after which each further one halves a chain's steps, and where this ends."""


def held(sampler: Any) -> Any:
    """The sampler that has the step size: the one inside of a `Reflected`."""
    return held(sampler.sampler) if isinstance(sampler, Reflected) else sampler


def longest_step(sampler: Any) -> float:
    """The longest step size that tuning takes: of `DMALA`, above which steps are all the same."""
    return LONGEST if isinstance(held(sampler), DMALA) else math.inf


def with_numbers(sampler: Any, **values: Any) -> Any:
    """The sampler with other numbers."""
    if isinstance(sampler, Reflected):
        return dataclasses.replace(sampler, sampler=with_numbers(sampler.sampler, **values))
    return dataclasses.replace(sampler, **values)


@eqx.filter_jit
@checked
def tune(
    energy: EnergyFn,
    sampler: Any,
    x: XBatch,
    num_steps: int,
    target: jax.Array,
    per_chain: bool,
    key: Key,
) -> tuple[jax.Array, XBatch, jax.Array, jax.Array, jax.Array]:
    """The step size, the positions, the inverse masses, the acceptance, and the last energies.

    In the first half of the steps a chain that is rejected again and again, far out where steps
    have to be much shorter than those of the others, takes shorter ones until it has come in: at
    the common step size it would stay there. Masses and acceptance are of the latter half, masses
    of all chains together.
    """
    check_energy(energy, x)
    num, half = x.shape[0], num_steps // 2
    keys = chain_keys(jax.random.fold_in(key, 0), num)
    state = for_each(lambda energy, x, k: sampler.init(energy, x, key=k), energy, x, keys)
    shape = (num,) if per_chain else ()
    dtype = at_least_single(x.dtype)
    first = jnp.asarray(held(sampler).step_size)
    tuner = DualAveraging.search(
        jnp.broadcast_to(first, shape).astype(dtype), longest_step(sampler)
    )

    def one(energy, x, state, size, key):
        tuned = with_numbers(sampler, step_size=size)
        x, state, info = take_step(tuned, energy, x, state, key=key)
        # a proposal whose acceptance is not a number is rejected
        acceptance = jnp.where(jnp.isfinite(info.acceptance), info.acceptance, 0)
        return x, state, acceptance.astype(dtype), info.energy

    def step(i, carry):
        x, state, tuner, metric, rate, rejected, _ = carry
        keys = chain_keys(jax.random.fold_in(key, i + 1), num)
        halvings = jnp.maximum(rejected - PATIENCE, 0)
        sizes = jnp.exp(tuner.log_step) * 0.5 ** halvings.astype(dtype)
        x, state, acceptance, energies = for_each(one, energy, x, state, sizes, keys)
        if not per_chain:
            fewer = jnp.where(halvings > 0, rejected - 1, 0)
            rejected = jnp.where(acceptance < 0.01, jnp.minimum(rejected + 1, MOST), fewer)
            rejected = jnp.where(i + 1 < half, rejected, 0)
            acceptance = jnp.mean(jnp.where(halvings > 0, 0, acceptance))
        tuner = tuner.update(acceptance, target)
        tuner = jax.tree.map(functools.partial(jnp.where, i + 1 == half), tuner.refine(), tuner)
        metric = metric.update(x.reshape(num, -1).astype(dtype), state, i - half)
        rate = rate + jnp.where(i >= half, acceptance, 0) / (num_steps - half)
        return x, state, tuner, metric, rate, rejected, energies

    metric = metric_of(held(sampler), x[0].size, dtype)
    sizes = jnp.broadcast_to(first, (num,))
    shapes = jax.eval_shape(lambda: for_each(one, energy, x, state, sizes, keys)[3])
    energies = jnp.zeros(shapes.shape, shapes.dtype)
    rate, rejected = jnp.zeros(shape, dtype), jnp.zeros(num, jnp.int32)
    begin = (x, state, tuner, metric, rate, rejected, energies)
    x, _, tuner, metric, rate, _, energies = jax.lax.fori_loop(0, num_steps, step, begin)
    inverse = metric.inverse_mass_matrix(num * (num_steps - half))
    return jnp.exp(tuner.log_average), x, inverse, rate, energies
