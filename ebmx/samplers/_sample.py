"""The loop that draws samples from chains."""

import dataclasses
import enum
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
from .._types import EnergyFn, Key, Keys, X, XBatch
from ..energies._batch import as_scalar, shape_of, value_and_gradient
from ._base import AbstractSampler, StepInfo, as_carried
from ._fields import at_least_single
from ._run import advance_chain, check_energy, check_moves, over_chains
from ._save_policies import AbstractSave, Trace, save_position

Save = AbstractSave | Callable[[Any, StepInfo], Any]


class RESULTS(enum.IntEnum):
    """How a chain ended; `message` is its description and what to try."""

    message: str

    def __new__(cls, value: int, message: str):
        self = int.__new__(cls, value)
        self._value_, self.message = value, message
        return self

    successful = 0, "position and energy are finite at the start and at the end"
    nonfinite_start = 1, "the chain starts at a position that is not finite: correct the start"
    nonfinite_chain = (
        2,
        "the position became non-finite: take a smaller step_size, set grad_clip or bounds, or "
        "check the energy's gradient where the chain started",
    )
    nonfinite_start_energy = (
        3,
        "the energy is not finite where the chain starts, which it may never leave: start where "
        "the density is not 0",
    )
    nonfinite_start_gradient = (
        4,
        "the gradient of the energy is not finite where the chain starts, which it may never "
        "leave: start elsewhere, or give the energy a finite gradient there (a norm has none at 0)",
    )
    nonfinite_energy = (
        5,
        "the chain ends where the energy is not finite: take a smaller step_size, set bounds, or "
        "give a sampler that can reject, such as MALA",
    )


class Samples(eqx.Module):
    """What `sample` returns."""

    values: Any
    """What `save` keeps: of a function, its values stacked to `(chains, num_samples, ...)`."""
    x: jax.Array
    """The last positions, `(chains, *shape)`, from where sampling can go on."""
    state: Any
    """The last states of the sampler, `(chains, ...)`; `None` if it has none. A later `sample` goes
    on with them."""
    info: StepInfo
    """A summary of the steps after the warm-up, `(chains,)`, as `run` returns it, but for `energy`,
    which is that of the last positions."""
    result: jax.Array
    """How each chain ended, `(chains,)`: the numbers of `RESULTS`."""


def sample(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: ArrayLike,
    *,
    num_samples: int,
    num_warmup: int = 0,
    thin: int = 1,
    save: Save = save_position,
    state: Any = None,
    throw: bool = True,
    mesh: Mesh | None = None,
    key: Keys,
) -> Samples:
    """Draw samples from chains.

    A later call goes on exactly where this one ended, with the samplers' states (momenta, replicas,
    counts of steps), by `sample(energy, sampler, samples.x, state=samples.state, …)`. Without
    `state` it makes new ones.

    Args:
        energy: an energy, or any callable from one example to a scalar.
        sampler: a sampler of one chain.
        x: where the chains start, `(chains, *shape)`.
        num_samples: how many samples to keep of each chain.
        num_warmup: how many steps to discard first.
        thin: how many steps to take for each sample kept.
        save: what to keep: a function of the position and the `StepInfo` (summed up over the `thin`
            steps, with the energy of that position) of one chain; or `Last()`, `Moments()` or
            another `AbstractSave`.
        state: the `state` of earlier `Samples` of the same energy and sampler, whose `x` is this
            `x`; new states if not given.
        throw: whether to raise if a chain fails. Otherwise see `result`.
        mesh: devices of this process, each of which takes an equal part of the chains, such as
            `jax.make_mesh((4,), ("data",))`. Up to rounding, chains are those of one device.
        key: one key, or one for each chain.

    Returns:
        `Samples`.

    Raises:
        ValueError: for arguments that do not fit, such as a state of another sampler.
        FloatingPointError: if `throw` and position or energy of a chain are not finite at the start
            or at the end, or the gradient at the start (of samplers that take one), saying how
            many, which, and what to try.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.energies import Gaussian
        >>> from ebmx.samplers import MALA
        >>> start, key = jnp.zeros((8, 2)), jax.random.key(0)
        >>> options = {"num_warmup": 50, "num_samples": 20, "thin": 2, "key": key}
        >>> samples = ebmx.sample(Gaussian(jnp.zeros(2)), MALA(0.5), start, **options)
        >>> samples.values.shape  # chains, draws, the shape of an example
        (8, 20, 2)
    """
    x = _checks.batch(x, "x", shape_of(energy))
    energy, sampler, x, state, key = _mesh.automatic((energy, sampler, x, state, key))
    _checks.at_least("num_samples", num_samples, 1)
    _checks.at_least("num_warmup", num_warmup, 0)
    _checks.at_least("thin", thin, 1)
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(state)}
    fix = f"give the state of earlier samples of these {len(x)} chains, or leave it out"
    _checks.require(sizes <= {x.shape[:1]}, "state", type(state).__name__, fix)
    if mesh is not None:
        x = _mesh.share(x, mesh)
        state = jax.tree.map(lambda leaf: _mesh.share(leaf, mesh), state)
    with _mesh.implicit():
        samples = _sample(energy, sampler, x, state, num_samples, num_warmup, thin, save, key)
    if throw and _checks.is_concrete(samples.x):
        _throw(samples.result)
    return samples


@eqx.filter_jit
@checked
def _sample(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: XBatch,
    state: Any,
    num_samples: int,
    num_warmup: int,
    thin: int,
    save: Save,
    key: Keys,
) -> Samples:
    policy = save if isinstance(save, AbstractSave) else Trace(save)

    def chain(energy: Any, sampler: Any, start: X, given: Any, key: Key) -> Samples:
        init_key, warmup_key, samples_key = jax.random.split(key, 3)
        init = lambda: sampler.init(energy, start, key=init_key)  # noqa: E731
        x, state = start, init() if given is None else _as_made(given, jax.eval_shape(init))
        if num_warmup > 0:
            x, state, _ = advance_chain(energy, sampler, x, state, num_warmup, key=warmup_key)

        def keep(carry, i):
            x, state, total, old = carry
            key = jax.random.fold_in(samples_key, i)
            x, state, info = advance_chain(energy, sampler, x, state, thin, key=key)
            saved, stacked = policy.update(old, x, _at_position(energy, sampler, x, info))
            acceptance = total.acceptance + info.acceptance.astype(dtype)
            divergent = total.divergent | info.divergent
            total = dataclasses.replace(info, acceptance=acceptance, divergent=divergent)
            return (x, state, total, as_carried(saved, old)), stacked

        shapes = jax.eval_shape(lambda: sampler.step(energy, x, state, key=key)[2])
        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        dtype = at_least_single(shapes.acceptance.dtype)  # of a sum of many numbers
        empty = eqx.tree_at(lambda info: info.acceptance, empty, jnp.zeros((), dtype))
        begin = (x, state, empty, policy.init(x))
        end, stacked = jax.lax.scan(keep, begin, jnp.arange(num_samples))
        x, state, total, saved = end
        mean = total.acceptance / jnp.asarray(num_samples, dtype)
        info = dataclasses.replace(total, acceptance=mean.astype(shapes.acceptance.dtype))
        info = _at_position(energy, sampler, x, info)
        result = _result(energy, start, x, info)
        return Samples(policy.final(saved, stacked), x, state, info, result)

    check_energy(energy, x)
    check_moves(energy, sampler)
    return over_chains(chain, energy, sampler, x, state, key=key)


def _as_made(given: Any, made: Any) -> Any:
    """The state that was given, if it is like the one that the sampler makes."""
    kinds = [
        (jax.tree.structure(state), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(state)])
        for state in (given, made)
    ]
    fix = "give the state of earlier samples of this sampler and energy, or leave it out"
    _checks.require(kinds[0] == kinds[1], "state", kinds[0][0], fix)
    return given


def _at_position(energy: EnergyFn, sampler: AbstractSampler, x: X, info: StepInfo) -> StepInfo:
    """The info with the energy of the position; XLA drops the computation if nothing uses it."""
    if sampler.reports_new_energy:
        return info
    return dataclasses.replace(info, energy=as_scalar(energy(x)).astype(info.energy.dtype))


def _result(energy: EnergyFn, start: X, x: X, info: StepInfo) -> jax.Array:
    """The first check that failed; the gradient only of samplers that take one."""
    finite, first = jnp.isfinite, jnp.asarray(True)
    if info.grad_norm is None:
        value = as_scalar(energy(start))
    else:
        value, gradient = value_and_gradient(energy, start)
        first = jnp.all(finite(gradient))
    conditions = {
        RESULTS.nonfinite_start: jnp.all(finite(start)),
        RESULTS.nonfinite_start_energy: finite(value),
        RESULTS.nonfinite_start_gradient: first,
        RESULTS.nonfinite_chain: jnp.all(finite(x)),
        RESULTS.nonfinite_energy: finite(info.energy),
    }
    failed = jnp.stack([~ok for ok in conditions.values()])
    codes = jnp.asarray([int(code) for code in conditions])
    return jnp.where(jnp.any(failed), codes[jnp.argmax(failed)], int(RESULTS.successful))


def _throw(result: jax.Array) -> None:
    codes = np.asarray(jax.device_get(result))
    for code in list(RESULTS)[1:]:
        chains = np.flatnonzero(codes == code)
        if chains.size:
            some = f"{chains[:8].tolist()}{' …' if chains.size > 8 else ''}"
            text = f"{chains.size} of {codes.size} chains failed, {some}: {code.message}"
            raise FloatingPointError(text)
