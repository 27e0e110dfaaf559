"""Log Z by sequential Monte Carlo: particles are tempered, resampled and moved."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ..._checks import checked
from ..._types import EnergyFn, Key, Number, XBatch
from ...energies import AbstractExactEnergy, AbstractNoiseConditionalEnergy
from ...samplers import AbstractSampler
from ._annealing_path import AbstractPath
from ._annealing_schedule import Tuning, first_tuning, move, precision, retune, starts, tuned
from ._choose_path import path_of, sampler_for
from ._estimate import LogZ, estimate, warn_of_islands

_SEARCH = 30  # steps at the base to find a first step size
_BISECTIONS = 14
_GAIN = 1.0  # of the step size, per temperature
_MEMORY = 0.5  # weight of the old variances, per temperature


def adaptive_smc(
    energy: EnergyFn | AbstractNoiseConditionalEnergy,
    base: AbstractExactEnergy | None = None,
    *,
    num_particles: int = 512,
    num_islands: int = 8,
    target_ess: float = 0.8,
    max_temperatures: int = 1000,
    sampler: AbstractSampler | None = None,
    num_steps: int = 5,
    key: Key,
) -> LogZ:
    """Estimate `log Z` by independent populations of particles, islands, from `base` to `energy`.

    Each island lowers its temperature until the effective sample size of its particles is
    `target_ess`, resamples them, and moves them; step size and masses adapt to the particles.
    Resampling moves particles to the modes of higher density, which single chains do not reach. The
    standard error is that of the mean over islands. Adaptation makes the estimate of `Z` biased, by
    a term that decreases as one over the number of particles.

    Del Moral, Doucet and Jasra (2006), "Sequential Monte Carlo samplers"; Jasra et al. (2011),
    "Inference for Lévy-driven stochastic volatility models via adaptive sequential Monte Carlo".
    Resampling is systematic, by BlackJAX.

    Args:
        energy: as for `annealed_importance_sampling`.
        base: as for `annealed_importance_sampling`.
        num_particles: number of particles in each island.
        num_islands: number of islands, at least 2.
        target_ess: the effective sample size after a change of the temperature, as a fraction of
            the particles, in (0, 1); closer to 1 for more temperatures.
        max_temperatures: number of temperatures after which an island stops.
        sampler: as for `annealed_importance_sampling`.
        num_steps: number of steps of the sampler at each temperature.
        key: a key.

    Returns:
        An object as that of `annealed_importance_sampling`, with the `log_weights` `(islands,)`,
        the particles `x` `(islands * particles, *shape)`, equally weighted within an island, and
        the `acceptance` and the `schedule` of the first island.

    Raises:
        ValueError: if a number or the shape of the base does not fit, or the sampler does not leave
            the density invariant.

    Warns:
        ConvergenceWarning: if islands did not reach `energy` within `max_temperatures` or disagree,
            or particles end where `base` has no density.
    """
    path = path_of(energy, base)
    moves = sampler_for(path, sampler)
    _checks.at_least("num_particles", num_particles, 8)
    _checks.at_least("num_islands", num_islands, 2)
    _checks.at_least("max_temperatures", max_temperatures, 1)
    _checks.at_least("num_steps", num_steps, 1)
    ok = 0 < target_ess < 1
    _checks.require(ok, "target_ess", target_ess, "give a fraction in (0, 1), such as 0.8")
    sizes, target = (num_particles, num_islands), jnp.asarray(target_ess, float)
    ends, x = _islands(path, moves, *sizes, target, max_temperatures, num_steps, key)
    count = int(ends.count[0])
    schedule = np.concatenate([[0.0], np.asarray(ends.betas[0, :count])])
    acceptance = ends.acceptance[0, :count]
    found = estimate(path.log_z, ends.log_weight, x, acceptance, schedule, sign=1)
    covered = base is None or bool(jnp.all(jnp.isfinite(jax.vmap(base)(x))))
    warn_of_islands(found, np.asarray(ends.beta) >= 1, covered)
    return found


class Island(eqx.Module):
    """The state of an island."""

    x: jax.Array
    beta: jax.Array
    log_weight: jax.Array
    tuning: Tuning
    # history
    count: jax.Array
    betas: jax.Array
    acceptance: jax.Array


@eqx.filter_jit
@checked
def _islands(
    path: AbstractPath,
    sampler: AbstractSampler,
    num_particles: int,
    num_islands: int,
    target_ess: Number,
    max_temperatures: int,
    num_steps: int,
    key: Key,
) -> tuple[Island, XBatch]:
    leave_key, key = jax.random.split(key)

    def island(key: Key) -> Island:
        start_key, search_key, key = jax.random.split(key, 3)
        x = starts(path, num_particles, start_key)
        begin = _search(path, sampler, x, max_temperatures, num_steps, search_key)

        def step(island: Island) -> Island:
            step_key = jax.random.fold_in(key, island.count)
            return _temper(path, sampler, island, target_ess, num_steps, step_key)

        going = lambda island: (island.beta < 1) & (island.count < max_temperatures)  # noqa: E731
        return jax.lax.while_loop(going, step, begin)

    # one after the other: the particles of one island occupy the device
    ends = jax.lax.map(island, jax.random.split(key, num_islands))
    x = ends.x.reshape(-1, *ends.x.shape[2:])
    keys = jax.random.split(leave_key, x.shape[0])
    return ends, jax.vmap(lambda x, key: path.leave(x, key=key))(x, keys)


def _search(
    path: AbstractPath, sampler: Any, x: XBatch, size: int, num_steps: int, key: Key
) -> Island:
    """An island at the base, with a step size for it."""

    def step(i, carry):
        x, tuning = carry
        walk_key = jax.random.fold_in(key, i)
        x, acceptance = move(path, tuned(sampler, tuning), zero, x, num_steps, walk_key)
        return x, retune(tuning, sampler, x, acceptance, 2.0 / (1.0 + i) ** 0.6, _MEMORY)

    zero = jnp.zeros((), precision(x))
    x, tuning = jax.lax.fori_loop(0, _SEARCH, step, (x, first_tuning(sampler, x)))
    count, record = jnp.zeros((), jnp.int32), jnp.zeros(size, zero.dtype)
    return Island(x, zero, zero, tuning, count, record, record)


def _temper(
    path: AbstractPath, sampler: Any, island: Island, target: Any, num_steps: int, key: Key
) -> Island:
    """One temperature: weight, resample, move."""
    # the weights do not depend on the moves, so that moving last leaves particles that differ
    choose_key, walk_key = jax.random.split(key)
    statistics = jax.vmap(path.statistics)(island.x)

    def rise(beta):
        log = jax.vmap(lambda s: path.log_ratio(s, island.beta, beta))(statistics)
        return jnp.where(jnp.isnan(log), -jnp.inf, log).astype(island.log_weight.dtype)

    beta = _next(rise, island.beta, target)
    log, num = rise(beta), island.x.shape[0]
    with jax.ensure_compile_time_eval():
        from blackjax.smc import resampling  # late, as in the samplers

    with jax.numpy_dtype_promotion("standard"):  # its random numbers have the default precision
        index = resampling.systematic(choose_key, jax.nn.softmax(log), num)
    log_weight = island.log_weight + jax.nn.logsumexp(log) - math.log(num)
    moves = tuned(sampler, island.tuning)
    x, acceptance = move(path, moves, beta, island.x[index], num_steps, walk_key)
    tuning = retune(island.tuning, sampler, x, acceptance, _GAIN, _MEMORY)
    betas = island.betas.at[island.count].set(beta)
    record = island.acceptance.at[island.count].set(acceptance.astype(betas.dtype))
    return Island(x, beta, log_weight, tuning, island.count + 1, betas, record)


def _next(rise: Any, beta: jax.Array, target: Any) -> jax.Array:
    """The largest `β` at which the relative effective sample size is the target, by bisection."""
    # BlackJAX's `ess_solver` bisects the step itself, not its logarithm, and takes log weights to
    # be proportional to the step, which they are not on the path of an RBM

    def relative_size(beta):
        weights = jax.nn.softmax(rise(beta))
        size = 1 / (jnp.sum(weights**2) * weights.size)
        return jnp.where(jnp.isfinite(size), size, 0.0)

    def halve(_, ends):
        low, high = ends
        # in the logarithm of the step, which may have any order of magnitude near the base
        middle = beta + jnp.exp(0.5 * (jnp.log(low - beta) + jnp.log(high - beta)))
        enough = relative_size(middle) >= target
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    one, target = jnp.ones_like(beta), jnp.asarray(target, beta.dtype)
    least = jnp.maximum(jnp.nextafter(beta, one), beta + 1e-9)
    low, _ = jax.lax.fori_loop(0, _BISECTIONS, halve, (least, one))
    return jnp.where(relative_size(one) >= target, one, low)
