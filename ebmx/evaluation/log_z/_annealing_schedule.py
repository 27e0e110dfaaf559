"""A pilot run along a path, which finds the temperatures and step sizes of the estimate."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._checks import checked
from ..._types import Key, XBatch
from ...samplers import HMC, NUTS, AbstractSampler, run
from ._annealing_path import AbstractPath

_NUM_CHAINS = 32
_SEARCH = 40  # steps at the base to find a first step size
_STEEPNESS = 3  # exponent of the pilot's temperatures: the higher, the denser near the base
_UNIFORM = 0.1  # fraction of the temperatures that is distributed like those of the pilot
_FORGET = 0.1  # weight of the new variances, at each of the pilot's temperatures
_FARTHEST = 80.0  # largest absolute logarithm of a step size, within single precision


class Tuning(eqx.Module):
    """The parameters of the sampler that adapt along a path."""

    log_step: jax.Array
    variance: jax.Array | None  # of the flattened coordinates; `None` without adapted masses


class Plan(eqx.Module):
    """The temperatures of a path, and the parameters of the sampler at each."""

    betas: jax.Array  # `(temperatures + 1,)`, from 0 to 1
    rows: jax.Array  # the index of the nearest temperature of the pilot for each
    tunings: Tuning  # at each temperature of the pilot

    def tuning(self, row: jax.Array) -> Tuning:
        """The parameters at one temperature of the pilot."""
        return jax.tree.map(lambda leaf: leaf[row], self.tunings)


def first_tuning(sampler: Any, x: XBatch) -> Tuning:
    """The step size of the sampler, and the variances of the positions at the base."""
    log_step = jnp.log(jnp.asarray(_step_size(sampler, 1.0), x.dtype))
    adapts = isinstance(sampler, HMC | NUTS) and sampler.inverse_mass_matrix is None
    return Tuning(log_step, _variances(x) if adapts else None)


def tuned(sampler: Any, tuning: Tuning) -> AbstractSampler:
    """The sampler with adapted parameters; unchanged, if it has no step size to tune."""
    if _step_size(sampler, None) is None:
        return sampler
    found: dict[str, Any] = {"step_size": jnp.exp(tuning.log_step)}
    if isinstance(sampler, HMC) and tuning.variance is not None:
        # a trajectory of half a period has the highest acceptance and the slowest mixing
        longest = 0.5 * jnp.pi / sampler.num_integration_steps
        found["step_size"] = jnp.minimum(found["step_size"], longest)
    if tuning.variance is not None:
        found["inverse_mass_matrix"] = tuning.variance
    return dataclasses.replace(sampler, **found)


def retune(
    tuning: Tuning, sampler: Any, x: XBatch, acceptance: jax.Array, gain: Any, memory: Any
) -> Tuning:
    """A longer step if the acceptance is above its target, and the variances of the chains."""
    target = 0.7 if isinstance(sampler, HMC | NUTS) else 0.574
    error = jnp.where(jnp.isfinite(acceptance), acceptance, 0.0) - target
    log_step = jnp.log(_step_size(tuned(sampler, tuning), 1.0)) + gain * error
    # otherwise unbounded where all steps are accepted, or all are rejected
    log_step = jnp.clip(log_step, -_FARTHEST, _FARTHEST).astype(tuning.log_step.dtype)
    if tuning.variance is None:
        return Tuning(log_step, None)
    return Tuning(log_step, memory * tuning.variance + (1 - memory) * _variances(x))


def _step_size(sampler: Any, otherwise: Any) -> Any:
    """The step size of a sampler that reports an acceptance; else the given value."""
    names = [field.name for field in dataclasses.fields(sampler)]
    tunes = "step_size" in names and sampler.reports_acceptance
    return sampler.step_size if tunes else otherwise


def _variances(x: XBatch) -> jax.Array:
    flat = x.reshape(x.shape[0], -1)
    variance = jnp.var(flat, 0)
    return jnp.maximum(variance, 1e-6 * jnp.mean(variance) + jnp.finfo(x.dtype).tiny)


def plan(
    path: AbstractPath,
    sampler: AbstractSampler,
    num_temperatures: int,
    betas: np.ndarray | None,
    num_steps: int,
    *,
    key: Key,
) -> Plan:
    """Temperatures at equal distances, step sizes with the target acceptance, and masses.

    The distance is the standard deviation of the increments of the log weights, which is that of
    two densities in the Fisher metric; equal distances give the lowest variance.

    Gelman and Meng (1998), "Simulating normalizing constants: from importance sampling to bridge
    sampling to path sampling".
    """
    num = int(np.clip(num_temperatures // 4, 100, 500))
    index = np.linspace(0, 1, num + 1)
    tried = index**_STEEPNESS
    dtype = precision(jax.eval_shape(lambda: path.sample(key=key)))
    inputs = jnp.asarray(tried, dtype), _NUM_CHAINS, num_steps, key
    tunings, lengths = _walk(path, sampler, *inputs)
    if betas is None:
        distance = np.cumsum(np.concatenate([[0.0], np.asarray(lengths, np.float64)]))
        distance = distance / distance[-1] if distance[-1] > 0 else index
        way = (1 - _UNIFORM) * distance + _UNIFORM * index
        at = np.interp(np.linspace(0, 1, num_temperatures + 1), way, index)
        betas = np.interp(at, index, tried)
    rows = np.rint(num * betas ** (1 / _STEEPNESS)).astype(np.int32)
    return Plan(jnp.asarray(betas, dtype), jnp.asarray(rows), tunings)


@eqx.filter_jit
@checked
def _walk(
    path: AbstractPath,
    sampler: AbstractSampler,
    betas: jax.Array,
    num_chains: int,
    num_steps: int,
    key: Key,
) -> tuple[Tuning, jax.Array]:
    """The parameters at all temperatures, `(temperatures + 1, ...)`, and the distances between."""
    start_key, key = jax.random.split(key)
    x = starts(path, num_chains, start_key)

    def step(carry, values):
        (x, tuning), (i, before, after, gain) = carry, values
        rise = rises(path, x, before, after)
        walk_key = jax.random.fold_in(key, i)
        x, acceptance = move(path, tuned(sampler, tuning), after, x, num_steps, walk_key)
        tuning = retune(tuning, sampler, x, acceptance, gain, 1 - _FORGET)
        return (x, tuning), (tuning, spread(rise))

    # steps at the base come first, in the same loop, with large gains that find the step size
    search = jnp.zeros(_SEARCH, betas.dtype)
    before = jnp.concatenate([search, betas[:-1]])
    after = jnp.concatenate([search, betas[1:]])
    count = np.arange(before.size)
    gains = jnp.asarray(np.maximum(2.0 / (1.0 + count) ** 0.6, 0.2), betas.dtype)
    start = x, first_tuning(sampler, x)
    _, (tunings, lengths) = jax.lax.scan(step, start, (count, before, after, gains))
    return jax.tree.map(lambda leaf: leaf[_SEARCH - 1 :], tunings), lengths[_SEARCH:]


def precision(x: Any) -> jnp.dtype:
    """The dtype of `β` and of weights: that of the positions, at least single precision."""
    return x.dtype if jnp.finfo(x.dtype).bits >= 32 else jnp.dtype(jnp.float32)


def starts(path: AbstractPath, num: int, key: Key) -> XBatch:
    """Exact samples of the positions at the base."""
    return jax.vmap(lambda key: path.sample(key=key))(jax.random.split(key, num))


def rises(path: AbstractPath, x: XBatch, before: jax.Array, after: jax.Array) -> jax.Array:
    """The increments of the log weights, `(chains,)`; minus infinity where the density is zero."""
    rise = jax.vmap(lambda x: path.log_ratio(path.statistics(x), before, after))(x)
    return jnp.where(jnp.isnan(rise), -jnp.inf, rise)


def move(
    path: AbstractPath,
    sampler: AbstractSampler,
    beta: jax.Array,
    x: XBatch,
    num_steps: int,
    key: Key,
) -> tuple[XBatch, jax.Array]:
    """Positions after transitions for `E_β`, and the mean acceptance."""
    x, info = run(path.at(beta), sampler, x, num_steps=num_steps, key=key)
    return x, jnp.mean(info.acceptance)


def spread(rise: jax.Array) -> jax.Array:
    """The standard deviation of the finite increments."""
    finite = jnp.isfinite(rise)
    return jnp.nan_to_num(jnp.std(jnp.where(finite, rise, 0.0), where=finite))
