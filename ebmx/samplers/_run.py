"""The loop that moves chains and keeps no trace."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._checks import checked
from .._random import fuse
from .._types import Count, EnergyFn, Key, Keys, X, XBatch
from ..energies import as_scalar, for_each, shape_of
from ._base import AbstractSampler, StepInfo


class PerChain(AbstractSampler[Any]):
    """Samplers of one kind, one for each chain: each array in it has a leading axis of chains.

    `warmup(..., per_chain=True)` makes one. The loops map over it.

    **Arguments:**

    - `sampler`: a sampler whose arrays have a leading axis `(chains, ...)`.
    """

    sampler: AbstractSampler

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Any:
        """Not for one chain."""
        raise ValueError(_PER_CHAIN)

    def step(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> tuple[X, Any, StepInfo]:
        """Not for one chain."""
        raise ValueError(_PER_CHAIN)


_PER_CHAIN = "sampler=PerChain: it holds one sampler for each chain; use it in `run` or `sample`"


@guarded
def run(
    energy: EnergyFn, sampler: AbstractSampler, x: XBatch, *, num_steps: int | Count, key: Keys
) -> tuple[XBatch, StepInfo]:
    """Move chains by `num_steps` steps in constant memory.

    **Arguments:**

    - `energy`: an energy, or any callable from one example to a scalar.
    - `sampler`: a sampler of one chain.
    - `x`: the positions of the chains, `(chains, *shape)`.
    - `num_steps`: how many steps, at least 1; under `jit` it may be computed.
    - `key`: one key; or keys `(chains,)`, one for each chain, which then owe nothing to each other.

    **Returns:**

    The new positions, and a `StepInfo` of arrays `(chains,)` that sums up the steps: the last
    energy and gradient norm, the mean acceptance, and whether any step diverged.

    **Raises:**

    `ValueError` if the shape or dtype of `x` does not fit the energy, `num_steps` is below 1, or
    the energy does not return one floating-point number.
    """
    x = _checks.batch(x, "x", shape_of(energy))
    if _checks.is_concrete(num_steps):
        _checks.at_least("num_steps", num_steps, 1)
    return _run(energy, sampler, x, num_steps, key)


@eqx.filter_jit
@checked
def _run(
    energy: EnergyFn, sampler: AbstractSampler, x: XBatch, num_steps: int | Count, key: Keys
) -> tuple[XBatch, StepInfo]:
    def chain(energy: Any, sampler: Any, x: X, key: Key) -> tuple[X, StepInfo]:
        init_key, steps_key = jax.random.split(key)
        state = sampler.init(energy, x, key=init_key)
        x, _, info = advance_chain(energy, sampler, x, state, num_steps, key=steps_key)
        return x, info

    check_energy(energy, x)
    return over_chains(chain, energy, sampler, x, key)


def advance_chain(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: X,
    state: Any,
    num_steps: int | Count,
    *,
    key: Key,
) -> tuple[X, Any, StepInfo]:
    """Move one chain, and sum up its steps.

    The energy and gradient norm of the last step alone are reported: carried through the loop,
    they would keep XLA from fusing a step's gradient into its update (20 % of an image chain).
    """

    def step(i, carry):
        x, state, acceptance, divergent = carry
        x, state, info = sampler.step(energy, x, state, key=jax.random.fold_in(key, i))
        return x, state, acceptance + info.acceptance, divergent | info.divergent

    shapes = jax.eval_shape(lambda: sampler.step(energy, x, state, key=key)[2])
    moved = (x, state, jnp.zeros((), shapes.acceptance.dtype), jnp.zeros((), bool))
    if not isinstance(num_steps, int) or num_steps > 1:  # a loop of no steps is compiled, too
        moved = jax.lax.fori_loop(0, num_steps - 1, step, moved)
    x, state, acceptance, divergent = moved
    x, state, last = sampler.step(energy, x, state, key=jax.random.fold_in(key, num_steps - 1))
    mean = (acceptance + last.acceptance) / num_steps
    divergent = divergent | last.divergent | ~jnp.all(jnp.isfinite(x))
    return x, state, StepInfo(last.energy, last.grad_norm, mean, divergent)


def chain_keys(key: Keys, num_chains: int) -> Keys:
    """One key for each chain: the given ones, or split from the given one."""
    key = fuse(key)
    if key.shape == ():
        return jax.random.split(key, num_chains)
    fix = f"give one key, or one for each of the {num_chains} chains"
    _checks.require(key.shape == (num_chains,), "key.shape", key.shape, fix)
    return key


def over_chains(
    chain: Callable, energy: EnergyFn, sampler: AbstractSampler, x: XBatch, key: Keys
) -> Any:
    """`chain(energy, sampler, x, key)` mapped over the chains, and over what each has of its own.

    That is the condition of a `ForEach` energy, and the sampler of a `PerChain`.
    """
    keys = chain_keys(key, x.shape[0])
    if not isinstance(sampler, PerChain):
        return for_each(lambda energy, x, key: chain(energy, sampler, x, key), energy, x, keys)
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(eqx.filter(sampler, eqx.is_array))}
    fix = f"the sampler was tuned for other chains: it is one for each of {sorted(sizes)}"
    _checks.require(sizes == {x.shape[0]}, "x.shape", x.shape, fix)
    arrays, static = eqx.partition(sampler.sampler, eqx.is_array)

    def one(energy: Any, arrays: Any, x: X, key: Key) -> Any:
        return chain(energy, eqx.combine(arrays, static), x, key)

    return for_each(one, energy, arrays, x, keys)


def check_energy(energy: EnergyFn, x: XBatch) -> None:
    """Check that the energy of one example is one floating-point number."""
    jax.eval_shape(lambda x: for_each(lambda energy, x: as_scalar(energy(x)), energy, x), x)
