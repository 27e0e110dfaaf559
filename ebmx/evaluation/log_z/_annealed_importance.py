"""Log Z by annealed importance sampling from an exact density, and its reverse."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._checks import checked
from ..._types import EnergyFn, Key, XBatch
from ...energies import AbstractExactEnergy
from ...samplers import AbstractSampler
from ._annealing_path import AbstractPath, path_of, sampler_for
from ._annealing_schedule import Plan, move, plan, rises, starts, tuned
from ._estimate import LogZ, estimate, warn_of_weights


def annealed_importance_sampling(
    energy: EnergyFn,
    base: AbstractExactEnergy,
    *,
    num_chains: int = 128,
    num_temperatures: int = 1000,
    schedule: ArrayLike | None = None,
    sampler: AbstractSampler | None = None,
    num_steps: int = 1,
    key: Key,
) -> LogZ:
    """Estimate `log Z` by chains that are annealed from `base` to `energy`.

    The estimate of `Z` is unbiased, so that of `log Z` is a lower bound in expectation, and much
    higher values are improbable. `reverse_annealed_importance_sampling` bounds it from above.

    A pilot run with other chains finds the step size of each temperature, and the temperatures if
    no `schedule` is given. The path is the geometric one, `E_β = (1 - β) E₀ + β E₁`; for a
    `BernoulliRBM` it begins at an RBM without weights, and the chains take block Gibbs steps.

    Neal (2001), "Annealed importance sampling"; Salakhutdinov and Murray (2008), "On the
    quantitative analysis of deep belief networks".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        base: an energy with exact `log_z` and exact samples that has a high density wherever
            `energy` has: `Gaussian`, `fit_gaussian(x)`, `Uniform`; for a `BernoulliRBM`,
            `Bernoulli` or `fit_bernoulli(x)`.
        num_chains: number of chains.
        num_temperatures: number of transitions from `base` to `energy`.
        schedule: the inverse temperatures `β`, ascending from 0 to 1; replaces `num_temperatures`.
        sampler: a sampler that leaves the density invariant, such as `MALA`, `HMC` or a `Cycle` of
            these. If it has a `step_size` and reports an acceptance, its step size is adapted, and
            so are the masses of an `HMC` without masses. By default HMC with 5 leapfrog steps.
        num_steps: number of steps of the sampler at each temperature.
        key: a key.

    Returns:
        An object with `log_z` and its `standard_error` in nats, the `effective_sample_size` of the
        weights, `log_weights` `(chains,)`, the final positions `x` `(chains, *shape)`, and of each
        temperature the mean `acceptance` and the inverse temperature, `schedule`. `print` it for
        a line.

    Raises:
        ValueError: if a number, the schedule or the shape of the base does not fit, or the sampler
            does not leave the density invariant at temperature 1 with a new state at each
            temperature (`Langevin`, `ReplicaExchange`).

    Warns:
        ConvergenceWarning: if a few chains have all the weight, or chains end where `base` has no
            density.
    """
    path, sampler, betas = _check(energy, base, sampler, schedule, num_temperatures, num_steps)
    _checks.at_least("num_chains", num_chains, 2)
    plan_key, walk_key = jax.random.split(key)
    route = plan(path, sampler, num_temperatures, betas, num_steps, key=plan_key)
    x, log_weights, acceptance = _forward(path, sampler, route, num_chains, num_steps, walk_key)
    found = estimate(path.log_z, log_weights, x, acceptance, route.betas, sign=1)
    covered = bool(jnp.all(jnp.isfinite(jax.vmap(base)(x))))
    warn_of_weights(found, covered)
    return found


def reverse_annealed_importance_sampling(
    energy: EnergyFn,
    base: AbstractExactEnergy,
    x: XBatch,
    *,
    num_temperatures: int = 1000,
    schedule: ArrayLike | None = None,
    sampler: AbstractSampler | None = None,
    num_steps: int = 1,
    key: Key,
) -> LogZ:
    """Estimate `log Z` by chains that are annealed from samples of `energy` to `base`.

    If the samples are exact, the estimate of `1/Z` is unbiased and that of `log Z` an upper bound
    in expectation. With samples of finite chains the bound holds as far as they have converged.

    Burda, Grosse and Salakhutdinov (2015), "Accurate and conservative estimates of MRF
    log-likelihood using reverse annealing"; Grosse, Ghahramani and Adams (2015), "Sandwiching the
    marginal likelihood using bidirectional Monte Carlo".

    Args:
        energy: as for `annealed_importance_sampling`.
        base: as for `annealed_importance_sampling`.
        x: exact samples of `energy`, or those of a long run, `(chains, *shape)`.
        num_temperatures: as for `annealed_importance_sampling`.
        schedule: as for `annealed_importance_sampling`.
        sampler: as for `annealed_importance_sampling`.
        num_steps: as for `annealed_importance_sampling`.
        key: a key.

    Returns:
        An object as that of `annealed_importance_sampling`; its weights estimate `Z₀/Z`, and its
        positions are those at the base.

    Raises:
        ValueError: as for `annealed_importance_sampling`.
        ValueError: if `base` has no density at an `x`.
    """
    path, sampler, betas = _check(energy, base, sampler, schedule, num_temperatures, num_steps)
    x = _checks.batch(x, "x", base.shape)
    _checks.at_least("len(x)", len(x), 2)
    _checks.finite(x, "x")
    outside = np.flatnonzero(~np.isfinite(np.asarray(jax.vmap(base)(x))))
    fix = f"it has no density at x[{outside[:5].tolist()}]: give a base that is wider"
    _checks.require(outside.size == 0, "base", type(base).__name__, fix)
    plan_key, walk_key = jax.random.split(key)
    route = plan(path, sampler, num_temperatures, betas, num_steps, key=plan_key)
    x, log_weights, acceptance = _backward(path, sampler, route, x, num_steps, walk_key)
    found = estimate(path.log_z, log_weights, x, acceptance, route.betas, sign=-1)
    warn_of_weights(found, covered=True)
    return found


def _check(
    energy: EnergyFn,
    base: AbstractExactEnergy,
    sampler: AbstractSampler | None,
    schedule: Any,
    num_temperatures: int,
    num_steps: int,
) -> tuple[AbstractPath, AbstractSampler, np.ndarray | None]:
    path = path_of(energy, base)
    _checks.at_least("num_temperatures", num_temperatures, 1)
    _checks.at_least("num_steps", num_steps, 1)
    if schedule is None:
        return path, sampler_for(path, sampler), None
    betas = np.asarray(schedule, np.float64)
    rising = betas.ndim == 1 and betas.size > 1 and bool(np.all(np.diff(betas) > 0))
    ok = rising and betas[0] == 0 and betas[-1] == 1
    _checks.require(ok, "schedule", schedule, "give ascending inverse temperatures from 0 to 1")
    return path, sampler_for(path, sampler), betas


@eqx.filter_jit
@checked
def _forward(
    path: AbstractPath,
    sampler: AbstractSampler,
    route: Plan,
    num_chains: int,
    num_steps: int,
    key: Key,
) -> tuple[XBatch, jax.Array, jax.Array]:
    """Examples, log weights `(chains,)`, acceptances `(temperatures,)`."""
    start_key, leave_key, key = jax.random.split(key, 3)
    x = starts(path, num_chains, start_key)

    def step(carry, values):
        (x, log_weights), (i, before, after, row) = carry, values
        log_weights = log_weights + rises(path, x, before, after).astype(log_weights.dtype)
        walk_key = jax.random.fold_in(key, i)
        moves = tuned(sampler, route.tuning(row))
        x, acceptance = move(path, moves, after, x, num_steps, walk_key)
        return (x, log_weights), acceptance

    betas = route.betas
    values = jnp.arange(betas.size - 1), betas[:-1], betas[1:], route.rows[1:]
    (x, log_weights), acceptance = jax.lax.scan(step, (x, jnp.zeros(num_chains)), values)
    keys = jax.random.split(leave_key, num_chains)
    return jax.vmap(lambda x, k: path.leave(x, key=k))(x, keys), log_weights, acceptance


@eqx.filter_jit
@checked
def _backward(
    path: AbstractPath,
    sampler: AbstractSampler,
    route: Plan,
    x: XBatch,
    num_steps: int,
    key: Key,
) -> tuple[XBatch, jax.Array, jax.Array]:
    """The steps of `_forward` in reverse order."""
    enter_key, leave_key, key = jax.random.split(key, 3)
    num_chains = x.shape[0]
    enter_keys, leave_keys = (jax.random.split(k, num_chains) for k in (enter_key, leave_key))
    x = jax.vmap(lambda x, k: path.enter(x, key=k))(x, enter_keys)

    def step(carry, values):
        (x, log_weights), (i, before, after, row) = carry, values
        walk_key = jax.random.fold_in(key, i)
        moves = tuned(sampler, route.tuning(row))
        x, acceptance = move(path, moves, after, x, num_steps, walk_key)
        rise = rises(path, x, after, before).astype(log_weights.dtype)
        return (x, log_weights + rise), acceptance

    betas = route.betas
    values = jnp.arange(betas.size - 1), betas[:-1], betas[1:], route.rows[1:]
    start = x, jnp.zeros(num_chains)
    (x, log_weights), acceptance = jax.lax.scan(step, start, values, reverse=True)
    return jax.vmap(lambda x, k: path.leave(x, key=k))(x, leave_keys), log_weights, acceptance
