"""Log Z by annealed importance sampling from an exact density, or to it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._checks import checked
from ..._types import EnergyFn, Key, XBatch
from ...energies import AbstractExactEnergy, AbstractNoiseConditionalEnergy
from ...samplers import AbstractSampler
from ._annealing_path import AbstractPath
from ._annealing_schedule import Plan, move, plan, rises, tuned
from ._choose_path import path_of, sampler_for
from ._estimate import LogZ, estimate, warn_of_weights


def annealed_importance_sampling(
    energy: EnergyFn | AbstractNoiseConditionalEnergy,
    base: AbstractExactEnergy | None = None,
    *,
    samples: XBatch | None = None,
    num_chains: int = 128,
    num_temperatures: int = 1000,
    schedule: ArrayLike | None = None,
    sampler: AbstractSampler | None = None,
    num_steps: int = 1,
    key: Key,
) -> LogZ:
    """Estimate `log Z` by chains that are annealed from `base` to `energy`, or back.

    The estimate of `Z` is unbiased, so that of `log Z` is a lower bound in expectation, and much
    higher values are improbable. With exact `samples` of the energy, from which chains are annealed
    to `base`, the estimate of `1/Z` is unbiased and that of `log Z` an upper bound; with samples of
    finite chains the bound holds as far as they have converged.

    A pilot run with other chains finds the step size of each temperature, and the temperatures if
    no `schedule` is given. The path is the geometric one, `E_β = (1 - β) E₀ + β E₁`; for a
    `BernoulliRBM` it begins at an RBM without weights, and the chains take block Gibbs steps.

    Neal (2001), "Annealed importance sampling"; Salakhutdinov and Murray (2008), "On the
    quantitative analysis of deep belief networks"; for the reverse Burda, Grosse and Salakhutdinov
    (2015), "Accurate and conservative estimates of MRF log-likelihood using reverse annealing";
    Grosse, Ghahramani and Adams (2015), "Sandwiching the marginal likelihood using bidirectional
    Monte Carlo".

    Args:
        energy: an energy, or any callable from one example to a scalar; or an energy over noise
            levels, whose path goes down its levels.
        base: an energy with exact `log_z` and exact samples that has a high density wherever
            `energy` has: `Gaussian`, `fit_gaussian(x)`, `Uniform`; for zeros and ones
            `Bernoulli` or `fit_bernoulli(x)`, for categories `Categorical` or
            `fit_categorical(x)`. Left out for an energy over noise levels, which has its highest
            level.
        samples: exact samples of `energy`, or those of a long run, `(chains, *shape)`, as starts of
            chains in the reverse direction. By default chains start at exact samples of `base`.
        num_chains: number of chains, without `samples`.
        num_temperatures: number of transitions between `base` and `energy`.
        schedule: the inverse temperatures `β`, ascending from 0 to 1; replaces `num_temperatures`.
        sampler: a sampler that leaves the density invariant, such as `MALA`, `HMC` or a `Cycle` of
            these. If it has a `step_size` and reports an acceptance, its step size is adapted, and
            so are the masses of an `HMC` without masses. By default HMC with 5 leapfrog steps; for
            a discrete base `DMALA`, or `BlockGibbs` for a `BernoulliRBM`.
        num_steps: number of steps of the sampler at each temperature.
        key: a key.

    Returns:
        An object with `log_z` and its `standard_error` in nats, the `effective_sample_size` of the
        weights, `log_weights` `(chains,)` (their weights estimate `Z/Z₀`, in reverse `Z₀/Z`), the
        final positions `x` `(chains, *shape)`, and of each temperature the mean `acceptance` and
        the inverse temperature, `schedule`. `print` it for a line.

    Raises:
        ValueError: if a number, the schedule or the shape of the base does not fit, `base` has no
            density at one of the `samples`, or the sampler does not leave the density invariant at
            temperature 1 with a new state at each temperature (`Langevin`, `ReplicaExchange`).

    Warns:
        ConvergenceWarning: if a few chains have all the weight, or chains end where `base` has no
            density.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from ebmx.energies import Gaussian
        >>> from ebmx.evaluation import annealed_importance_sampling
        >>> energy, base = Gaussian(jnp.ones(3), 0.5), Gaussian(jnp.zeros(3))
        >>> options = {"num_chains": 64, "num_temperatures": 50, "key": jax.random.key(0)}
        >>> found = annealed_importance_sampling(energy, base, **options)
        >>> bool(abs(found.log_z - energy.log_z) < 0.2)
        True
    """
    path = path_of(energy, base)
    check_numbers(num_chains, num_temperatures, num_steps)
    betas = None if schedule is None else np.asarray(schedule, np.float64)
    if betas is not None:
        ok = betas.ndim == 1 and betas.size > 1 and bool(np.all(np.diff(betas) > 0))
        ok = ok and betas[0] == 0 and betas[-1] == 1
        _checks.require(ok, "schedule", schedule, "give ascending inverse temperatures from 0 to 1")
    sampler = sampler_for(path, sampler)
    if samples is not None:
        samples = _checks.batch(samples, "samples", (energy if base is None else base).shape)
        num_chains = len(samples)
        _checks.at_least("len(samples)", num_chains, 2)
        _checks.finite(samples, "samples")
        outside = [] if base is None else np.flatnonzero(~covers(base, samples)).tolist()
        fix = f"it has no density at samples[{outside[:5]}]: give a base that is wider"
        _checks.require(len(outside) == 0, "base", type(base).__name__, fix)
    plan_key, walk_key = jax.random.split(key)
    route = plan(path, sampler, num_temperatures, betas, num_steps, key=plan_key)
    log_weights, x, acceptance, _ = anneal(
        path, sampler, route, samples, num_chains, num_steps, walk_key
    )
    sign = 1 if samples is None else -1
    found = estimate(path.log_z, log_weights, x, acceptance, route.betas, sign=sign)
    # in reverse all chains end at the base
    covered = samples is not None or base is None or bool(np.all(covers(base, found.x)))
    warn_of_weights(found, covered)
    return found


def check_numbers(num_chains: int, num_temperatures: int, num_steps: int) -> None:
    """Check the numbers of chains, of temperatures and of steps at each."""
    _checks.at_least("num_chains", num_chains, 2)
    _checks.at_least("num_temperatures", num_temperatures, 1)
    _checks.at_least("num_steps", num_steps, 1)


def covers(base: AbstractExactEnergy, x: XBatch) -> np.ndarray:
    """Whether a base has a density at each position, `(chains,)`."""
    return np.isfinite(np.asarray(jax.vmap(base)(x)))


@eqx.filter_jit
@checked
def anneal(
    path: AbstractPath,
    sampler: AbstractSampler,
    route: Plan,
    samples: XBatch | None,
    num_chains: int,
    num_steps: int,
    key: Key,
) -> tuple[jax.Array, XBatch, jax.Array, jax.Array]:
    """Log weights `(chains,)`, examples, and at each temperature acceptances and log mean weights.

    Acceptances and log mean weights are `(temperatures,)`, the latter so far on the way.
    """
    start_key, leave_key, key = jax.random.split(key, 3)
    start_keys, leave_keys = (jax.random.split(k, num_chains) for k in (start_key, leave_key))
    if samples is None:
        x = jax.vmap(lambda key: path.sample(key=key))(start_keys)
    else:
        x = jax.vmap(lambda x, key: path.enter(x, key=key))(samples, start_keys)

    # A chain in reverse is one forwards in the opposite order: forwards the weight changes from
    # `E_before` to `E_after` and then the chain moves at `E_after`; in reverse it moves first. Only
    # so is a reverse weight that of a forward chain through the same positions, inverted.
    def step(carry, values):
        (x, log_weights), (i, before, after, row) = carry, values
        if samples is None:
            log_weights = log_weights + rises(path, x, before, after).astype(log_weights.dtype)
        walk_key = jax.random.fold_in(key, i)
        moves = tuned(sampler, route.tuning(row))
        x, acceptance = move(path, moves, after, x, num_steps, walk_key)
        if samples is not None:
            log_weights = log_weights + rises(path, x, after, before).astype(log_weights.dtype)
        so_far = jax.nn.logsumexp(log_weights) - jnp.log(num_chains)
        return (x, log_weights), (acceptance, so_far)

    betas = route.betas
    values = jnp.arange(betas.size - 1), betas[:-1], betas[1:], route.rows[1:]
    start = x, jnp.zeros(num_chains)
    backwards = samples is not None
    (x, log_weights), summary = jax.lax.scan(step, start, values, reverse=backwards)
    x = jax.vmap(lambda x, key: path.leave(x, key=key))(x, leave_keys)
    return log_weights, x, *summary
