"""The one loop that moves chains; `sample`, the warm-up and `drift` use its parts."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import ArrayLike

from .. import _checks, _mesh
from .._checks import checked
from .._threefry import fuse
from .._types import Count, EnergyFn, Key, Keys, Number, X, XBatch
from ..energies._batch import as_scalar, for_each, shape_of
from ..energies._discrete import discrete_part
from ._base import AbstractSampler, AbstractWrapper, StepInfo, common_temperature, take_step
from ._fields import at_least_single


class PerChain(AbstractWrapper[Any]):
    """One sampler for each chain: each array of `sampler` has a leading axis of chains.

    `warmup(..., per_chain=True)` returns one. The loops map over it.

    Args:
        sampler: a sampler whose arrays have a leading axis `(chains, ...)`.

    Raises:
        ValueError: if the arrays have no leading axis, or not one of the same length.
    """

    sampler: AbstractSampler

    def __check_init__(self):
        arrays = jax.tree.leaves(eqx.filter(self.sampler, eqx.is_array))
        lengths = {jnp.shape(array)[:1] for array in arrays}
        fix = "give each of its arrays one leading axis of chains, as jax.vmap(MALA)(step_sizes)"
        ok = len(lengths) == 1 and lengths != {()}
        _checks.require(ok, "sampler", f"arrays with leading axes {sorted(lengths)}", fix)

    @property
    def max_drift(self) -> Number:
        """The largest of all."""
        return jnp.max(jnp.asarray(self.sampler.max_drift))

    @property
    def effective_temperature(self) -> Number:
        """That of all, NaN if they differ."""
        each = eqx.filter_vmap(lambda s: jnp.asarray(s.effective_temperature))(self.sampler)
        each = jnp.ravel(each)
        return common_temperature(np.asarray(each) if _checks.is_concrete(each) else each)

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Not for one chain."""
        fix = "it holds one sampler for each chain; give it to `run` or `sample`"
        _checks.invalid("sampler", "PerChain", fix)

    step = init


def run(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: ArrayLike,
    *,
    num_steps: int | Count,
    mesh: Mesh | None = None,
    key: Keys,
) -> tuple[XBatch, StepInfo]:
    """Move chains by `num_steps` steps in constant memory.

    Each call makes new states of the sampler. One that is not restartable (`ReplicaExchange`)
    begins again in each call: give it all its steps in one call, or use `sample`, which can go on
    from a state.

    Args:
        energy: an energy, or any callable from one example to a scalar.
        sampler: a sampler of one chain.
        x: the positions of the chains, `(chains, *shape)`.
        num_steps: how many steps, at least 1; under `jit` it may be computed.
        mesh: devices of this process that hold the chains in equal parts, as in `sample`.
        key: one key; or keys `(chains,)`, one per chain, which makes chains independent of the
            batch.

    Returns:
        The new positions, and a `StepInfo` of arrays `(chains,)` that sums up the steps: the last
        energy and gradient norm that the sampler reports, the mean acceptance, and whether any step
        diverged. With a computed `num_steps` of 0 nothing moves.

    Raises:
        ValueError: if the shape or dtype of `x` does not fit the energy, `num_steps` is below 1 (or
            below 2 for a sampler that is not restartable), or the energy does not return one
            floating-point number.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.energies import Gaussian
        >>> from ebmx.samplers import Langevin
        >>> start, key = jnp.zeros((8, 2)), jax.random.key(0)  # eight chains
        >>> x, info = ebmx.run(Gaussian(jnp.zeros(2)), Langevin(0.1), start, num_steps=100, key=key)
        >>> x.shape, info.energy.shape
        ((8, 2), (8,))
    """
    x = _checks.batch(x, "x", shape_of(energy))
    energy, sampler, x, key = _mesh.automatic((energy, sampler, x, key))
    if _checks.is_concrete(num_steps):
        _checks.at_least("num_steps", num_steps, 1)
        fix = (
            f"each call of `run` makes a new state of {type(sampler).__name__}, so that single "
            "steps are not invariant: take more steps in one call, or use sample or run_replicas"
        )
        ok = int(num_steps) > 1 or sampler.is_restartable
        _checks.require(ok, "num_steps", num_steps, fix)
    if mesh is not None:
        x = _mesh.share(x, mesh)
    with _mesh.implicit():
        return _run(energy, sampler, x, num_steps, key)


def check_moves(energy: EnergyFn, sampler: AbstractSampler) -> None:
    """Refuse samplers of real numbers without bounds for energies of zeros and ones or categories.

    Their energies extend to all real numbers, where most of them fall without end.
    """
    part = discrete_part(energy)
    ok = part is None or sampler.is_discrete or sampler.bounds is not None
    fix = f"{type(part).__name__} has discrete examples: give DMALA, GibbsWithGradients or Gibbs "
    fix += "(one of your own declares `is_discrete`)"
    _checks.require(ok, "sampler", type(sampler).__name__, fix)


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
    check_moves(energy, sampler)
    return over_chains(chain, energy, sampler, x, key=key)


def advance_chain(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: X,
    state: Any,
    num_steps: int | Count,
    *,
    first: int | Count = 0,
    key: Key,
) -> tuple[X, Any, StepInfo]:
    """Move one chain by the steps `first`, `first + 1`, …, and sum them up.

    The key of a step is that of its number, so that a chain moved in several calls is the chain
    moved in one.

    The energy and gradient norm of the last step alone are reported: carried through the loop,
    they would keep XLA from fusing a step's gradient into its update (20 % of an image chain).
    """

    @eqx.filter_jit  # traced once for its three uses: `i` is an array in each
    def one(x, state, i):
        step_key = jax.random.fold_in(key, first + i)
        return take_step(sampler, energy, x, state, key=step_key)

    def step(i, carry):
        x, state, acceptance, divergent = carry
        x, state, info = one(x, state, jnp.asarray(i, jnp.int32))
        acceptance = acceptance + info.acceptance.astype(acceptance.dtype)
        return x, state, acceptance, divergent | info.divergent

    shapes = jax.eval_shape(lambda: one(x, state, jnp.int32(0))[2])
    # a sum of many numbers in half precision stops growing
    dtype = at_least_single(shapes.acceptance.dtype)
    moved = (x, state, jnp.zeros((), dtype), jnp.zeros((), bool))
    static = isinstance(num_steps, int)
    if not static or num_steps > 1:  # a loop of no steps is compiled, too
        moved = jax.lax.fori_loop(0, num_steps - 1, step, moved)
    before, old, acceptance, divergent = moved
    x, state, last = one(before, old, jnp.asarray(num_steps - 1, jnp.int32))
    acceptance, divergent = acceptance + last.acceptance.astype(dtype), divergent | last.divergent
    value = last.energy
    if not static:
        some = num_steps > 0
        x, state = jax.tree.map(
            lambda new, old: jnp.where(some, new, old), (x, state), (before, old)
        )
        acceptance, divergent = jnp.where(some, acceptance, 0), some & divergent
        if sampler.reports_new_energy:
            value = jnp.where(some, value, as_scalar(energy(before)).astype(value.dtype))
        num_steps = jnp.maximum(num_steps, 1)
    mean = (acceptance / jnp.asarray(num_steps, dtype)).astype(shapes.acceptance.dtype)
    divergent = divergent | ~jnp.all(jnp.isfinite(x))
    return x, state, StepInfo(value, last.grad_norm, mean, divergent)


def chain_keys(key: Keys, num_chains: int) -> Keys:
    """One key for each chain: the given ones, or split from the given one."""
    key = fuse(key)
    if key.shape == ():
        return jax.random.split(key, num_chains)
    fix = f"give one key, or one for each of the {num_chains} chains"
    _checks.require(key.shape == (num_chains,), "key.shape", key.shape, fix)
    return key


def over_chains(
    chain: Callable, energy: EnergyFn, sampler: AbstractSampler, *rows: Any, key: Keys
) -> Any:
    """`chain(energy, sampler, *rows, key)` mapped over the chains, and over what each has alone.

    Rows (positions, states) have a leading axis of chains. A `ForEach` energy gives each chain its
    own condition, a `PerChain` its own sampler. If `key` is one key, each chain gets its own.
    """
    num_chains = jax.tree.leaves(rows)[0].shape[0]
    keys = chain_keys(key, num_chains)
    if not isinstance(sampler, PerChain):
        return for_each(lambda energy, *rows: chain(energy, sampler, *rows), energy, *rows, keys)
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(eqx.filter(sampler, eqx.is_array))}
    fix = f"the sampler was tuned for other chains: it is one for each of {sorted(sizes)}"
    _checks.require(sizes == {num_chains}, "x.shape", rows[0].shape, fix)
    arrays, static = eqx.partition(sampler.sampler, eqx.is_array)

    def one(energy: Any, arrays: Any, *rows: Any) -> Any:
        return chain(energy, eqx.combine(arrays, static), *rows)

    return for_each(one, energy, arrays, *rows, keys)


def check_energy(energy: EnergyFn, x: XBatch) -> None:
    """Check that the energy of one example is one floating-point number."""
    jax.eval_shape(lambda x: for_each(lambda energy, x: as_scalar(energy(x)), energy, x), x)
