"""The loop that draws samples from chains."""

import enum
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._checks import checked
from .._types import EnergyFn, Key, X, XBatch
from ..energies import shape_of
from ._base import AbstractSampler, StepInfo
from ._run import advance_chain, chain_keys, check_energy

Save = Callable[[Any, StepInfo], Any]


class RESULTS(enum.IntEnum):
    """How a chain ended. `message` says it in words."""

    successful = 0
    nonfinite_start = 1
    nonfinite_chain = 2

    @property
    def message(self) -> str:
        """What happened, and what to try."""
        return _MESSAGES[self]


_MESSAGES = {
    RESULTS.successful: "the chain stayed finite",
    RESULTS.nonfinite_start: "the chain starts at a position that is not finite: mend the start",
    RESULTS.nonfinite_chain: "the chain left the finite numbers: take a smaller step_size, set "
    "grad_clip or bounds, or look at the energy's gradient where the chain started",
}


class Samples(eqx.Module):
    """What `sample` returns."""

    values: Any
    """What `save` returned, stacked to `(chains, num_samples, ...)`."""
    x: jax.Array
    """The last positions, `(chains, *shape)`, from where sampling can go on."""
    info: StepInfo
    """A summary of the steps after the warm-up, `(chains,)`, as `run` returns it."""
    result: jax.Array
    """How each chain ended, `(chains,)`: the numbers of `RESULTS`."""


def save_position(x: X, info: StepInfo) -> X:
    """Keep the position and nothing else."""
    del info
    return x


def sample(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: XBatch,
    *,
    num_samples: int,
    num_warmup: int = 0,
    thin: int = 1,
    save: Save = save_position,
    throw: bool = True,
    key: Key,
) -> Samples:
    """Draw samples from chains.

    **Arguments:**

    - `energy`: an energy, or any callable from one example to a scalar.
    - `sampler`: a sampler of one chain.
    - `x`: where the chains start, `(chains, *shape)`.
    - `num_samples`: how many samples to keep of each chain.
    - `num_warmup`: how many steps to discard first.
    - `thin`: how many steps to take for each sample kept.
    - `save`: what to keep: a function of the position and the `StepInfo` (summed up over the `thin`
        steps) of one chain.
    - `throw`: whether to raise if a chain is not finite. If not, look at `result`.
    - `key`: one key, or one for each chain.

    **Returns:**

    `Samples`.

    **Raises:**

    `ValueError` for arguments that do not fit; `FloatingPointError` if `throw` and a chain started
    or became non-finite, saying which and what to try.
    """
    x = _checks.batch(x, "x", shape_of(energy))
    _checks.at_least("num_samples", num_samples, 1)
    _checks.at_least("num_warmup", num_warmup, 0)
    _checks.at_least("thin", thin, 1)
    samples = _sample(energy, sampler, x, num_samples, num_warmup, thin, save, key)
    if throw and _checks.is_concrete(samples.x):
        _throw(samples.result)
    return samples


@eqx.filter_jit
@checked
def _sample(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: XBatch,
    num_samples: int,
    num_warmup: int,
    thin: int,
    save: Save,
    key: Key,
) -> Samples:
    def chain(start: X, key: Key) -> Samples:
        init_key, warmup_key, samples_key = jax.random.split(key, 3)
        state = sampler.init(energy, start, key=init_key)
        x = start
        if num_warmup > 0:
            x, state, _ = advance_chain(energy, sampler, x, state, num_warmup, key=warmup_key)

        def keep(carry, key):
            x, state = carry
            x, state, info = advance_chain(energy, sampler, x, state, thin, key=key)
            return (x, state), (save(x, info), info)

        keys = jax.random.split(samples_key, num_samples)
        (x, _), (values, infos) = jax.lax.scan(keep, (x, state), keys)
        return Samples(values, x, _summary(infos), _result(start, x))

    check_energy(energy, x)
    return jax.vmap(chain)(x, chain_keys(key, x.shape[0]))


def _summary(infos: StepInfo) -> StepInfo:
    return StepInfo(
        energy=infos.energy[-1],
        grad_norm=infos.grad_norm[-1],
        acceptance=jnp.mean(infos.acceptance),
        divergent=jnp.any(infos.divergent),
    )


def _result(start: X, x: X) -> jax.Array:
    ended = jnp.where(jnp.all(jnp.isfinite(x)), RESULTS.successful, RESULTS.nonfinite_chain)
    return jnp.where(jnp.all(jnp.isfinite(start)), ended, RESULTS.nonfinite_start)


def _throw(result: jax.Array) -> None:
    codes = np.asarray(jax.device_get(result))
    for code in (RESULTS.nonfinite_start, RESULTS.nonfinite_chain):
        chains = np.flatnonzero(codes == code)
        if chains.size:
            some = f"{chains[:8].tolist()}{' …' if chains.size > 8 else ''}"
            text = f"{chains.size} of {codes.size} chains failed, {some}: {code.message}"
            raise FloatingPointError(text)
