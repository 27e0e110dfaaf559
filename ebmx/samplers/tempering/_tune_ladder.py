"""Temperatures and step sizes of replica exchange, found in rounds of doubling length."""

import dataclasses
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Float

from ... import _checks, _mesh
from ..._checks import checked
from ..._types import Count, EnergyFn, Key, Scalar
from ...energies._batch import for_each, shape_of
from .._fields import at_least_single
from .._run import chain_keys, check_energy
from .._warmup import usual_acceptance
from ..kernels._dual_averaging import DualAveraging
from ..kernels._search import held, longest_step
from ._barrier import LadderReport, advised, cumulative, equal_rejection, optimal_round_trip_rate
from ._replica_exchange import ReplicaExchange

_FIRST = 64  # steps of the first round, about
_MOST = 256  # rungs that are tried unasked


class Round(NamedTuple):
    """What one round found; rates are over its second half and all chains."""

    replicas: jax.Array
    tuner: DualAveraging | None
    rejection: jax.Array
    acceptance: jax.Array
    round_trips: jax.Array


def tune_ladder(
    energy: EnergyFn,
    sampler: ReplicaExchange,
    x: ArrayLike,
    *,
    num_steps: int,
    num_rungs: int | None = None,
    target_acceptance: float | None = None,
    mesh: Mesh | None = None,
    key: Key,
) -> tuple[ReplicaExchange, Float[Array, "chains rungs *shape"], LadderReport]:
    """Tune the temperatures, their number and the step sizes of replica exchange.

    In rounds, each twice as long as the one before, all chains run and count how often neighbours
    reject a swap. The sum of these rejections over the pairs, the barrier `Λ` of the path, does not
    depend on the temperatures if there are enough of them. The next round has temperatures with
    equal parts of it between neighbours, and, if no number is given, about `2Λ + 1` of them, so
    that half of the swaps are accepted. In the first half of a round the step size of each rung is
    tuned by dual averaging, as by `warmup`; the second half measures. The last round has the
    temperatures and step sizes that are returned.

    Syed, Bouchard-Côté, Deligiannidis and Doucet (2022), "Non-reversible parallel tempering: a
    scalable highly parallel MCMC scheme", algorithm 4.

    Args:
        energy: an energy, or any callable from one example to a scalar.
        sampler: where the search starts: the sampler that moves replicas, the lowest and the
            highest temperature, which stay, some between them, and the base if there is one. The
            step sizes stay, too, if it has none or does not report an acceptance.
        x: where the chains start, `(chains, *shape)`, with all replicas of a chain at one place.
        num_steps: how many steps of all replicas, at least 60. The last round takes half of them.
        num_rungs: how many temperatures, at least 2; about the number advised if not given.
        target_acceptance: of the moves of each rung, in (0, 1); by default as for `warmup`.
        mesh: devices of this process that hold the chains in equal parts, as in `sample`.
        key: a key.

    Returns:
        The tuned `ReplicaExchange`; the replicas `(chains, rungs, *shape)`, from which
        `run_replicas` and `log_z_by_tempering` go on; and a report of the last round, with the
        `barrier` `Λ`, the `rejection` of each pair `(rungs - 1,)`, `num_rungs_advised`, the
        `round_trip_rate` (round trips of a chain in a step) and the rate `1 / (2 + 2Λ)` that is the
        best for many rungs, `optimal_round_trip_rate`, the `acceptance` and `step_sizes` of the
        moves `(rungs,)`, and `num_moves`, the moves of all replicas of a chain in all rounds.
        `print` it for a line.

    Raises:
        ValueError: if a number is out of its range, or `x` or the base does not fit the energy.
        FloatingPointError: if a rung accepts no moves.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from ebmx.energies import DoubleWell, Gaussian
        >>> from ebmx.samplers import MALA, ReplicaExchange, tune_ladder
        >>> start, key = jnp.ones((32, 4)), jax.random.key(0)
        >>> base = Gaussian(jnp.zeros(4))
        >>> ladder = ReplicaExchange(MALA(0.1), [1.0, 4.0, jnp.inf], base=base)
        >>> energy = DoubleWell((4,), 8.0)
        >>> tuned, replicas, report = tune_ladder(energy, ladder, start, num_steps=500, key=key)
        >>> replicas.shape == (32, tuned.num_rungs, 4)
        True
        >>> bool(report.round_trip_rate > 0)
        True
    """
    ok, fix = isinstance(sampler, ReplicaExchange), "give a ReplicaExchange, which is tuned"
    _checks.require(ok, "sampler", type(sampler).__name__, fix)
    x = _checks.batch(x, "x", shape_of(energy) if sampler.base is None else sampler.base.shape)
    _checks.at_least("num_steps", num_steps, 60)
    if num_rungs is not None:
        _checks.at_least("num_rungs", num_rungs, 2)
    if target_acceptance is None:
        target_acceptance = usual_acceptance(held(sampler.sampler))
    ok = not _checks.is_concrete(target_acceptance) or 0 < target_acceptance < 1
    _checks.require(bool(ok), "target_acceptance", target_acceptance, "give a number in (0, 1)")
    energy, sampler, x, key = _mesh.automatic((energy, sampler, x, key))
    target = jnp.asarray(target_acceptance, at_least_single(x.dtype))
    ladder, tuner = _with_step_sizes(sampler, target.dtype)
    replicas = jnp.repeat(x[:, None], ladder.num_rungs, axis=1)
    if mesh is not None:
        replicas = _mesh.share(replicas, mesh)
    with _mesh.implicit():
        return _rounds(energy, ladder, tuner, replicas, num_steps, num_rungs, target, key)


def _rounds(
    energy: EnergyFn,
    ladder: ReplicaExchange,
    tuner: DualAveraging | None,
    replicas: jax.Array,
    num_steps: int,
    num_rungs: int | None,
    target: jax.Array,
    key: Key,
) -> tuple[ReplicaExchange, jax.Array, LadderReport]:
    """The loop over rounds, each of which may have another number of rungs."""
    num_rounds = max(2, int(math.log2(num_steps / _FIRST + 1)))
    first, num_moves = num_steps // (2**num_rounds - 1), 0
    for i in range(num_rounds):
        length = first * 2**i if i + 1 < num_rounds else num_steps - first * (2**i - 1)
        num_moves += length * ladder.num_rungs
        round_key = jax.random.fold_in(key, i)
        count = jnp.asarray(length, jnp.int32)
        found = _round(energy, ladder, tuner, replicas, count, target, round_key)
        rejection, acceptance = (np.asarray(a, np.float64) for a in found[2:4])
        replicas = found.replicas
        if found.tuner is not None:
            tuner, sizes = found.tuner.refine(), jnp.exp(found.tuner.log_average)
            ladder = dataclasses.replace(ladder, step_sizes=sizes)
            # a short round may end at steps that are too long, which the next ones shorten
            _check_moves(acceptance, np.asarray(sizes), 0.005 if i + 1 == num_rounds else 0.0)
        if i + 1 < num_rounds:
            rungs = num_rungs or _new_number(ladder.num_rungs, float(rejection.sum()))
            ladder, tuner, replicas = _respaced(ladder, tuner, replicas, rejection, rungs)
    barrier = float(rejection.sum())
    measured = length - length // 2
    report = LadderReport(
        barrier=barrier,
        rejection=rejection,
        num_rungs_advised=advised(barrier),
        round_trip_rate=float(np.mean(np.asarray(found.round_trips))) / measured,
        optimal_round_trip_rate=optimal_round_trip_rate(barrier),
        acceptance=acceptance,
        step_sizes=None if tuner is None else np.asarray(ladder.step_sizes),
        num_moves=num_moves,
    )
    return ladder, replicas, report


@eqx.filter_jit
@checked
def _round(
    energy: EnergyFn,
    ladder: ReplicaExchange,
    tuner: DualAveraging | None,
    replicas: Float[Array, "chains rungs *shape"],
    num_steps: Count,
    target: Scalar,
    key: Key,
) -> Round:
    """One round: step sizes adapt in its first half, rates are measured in the second."""
    check_energy(energy, replicas[:, 0])
    num, half, dtype = len(replicas), num_steps // 2, target.dtype
    keys = chain_keys(jax.random.fold_in(key, 0), num)
    init = lambda energy, r, k: ladder.init_replicas(energy, r, key=k)  # noqa: E731
    state = for_each(init, energy, replicas, keys)

    def step(i, carry):
        x, state, tuner, rejected, accepted, before = carry
        keys = chain_keys(jax.random.fold_in(key, i + 1), num)
        now = ladder if tuner is None else _at_step(ladder, tuner, i < half)
        sweep = lambda energy, x, state, k: now.sweep(energy, x, state, key=k)  # noqa: E731
        before = jnp.where(i == half, state.round_trips, before)
        x, state, _, told = for_each(sweep, energy, x, state, keys)
        acceptance, swaps = (jnp.mean(_known(a, dtype), 0) for a in (told.acceptance, told.swaps))
        if tuner is not None:
            # what a base draws has no step size: it takes that of the rung below
            of_move = acceptance if ladder.base is None else acceptance.at[-1].set(acceptance[-2])
            update = tuner.update(of_move, target)
            tuner = jax.tree.map(lambda new, old: jnp.where(i < half, new, old), update, tuner)
        share = jnp.where(i < half, 0, 1 / (num_steps - half)).astype(dtype)
        return (
            x,
            state,
            tuner,
            rejected + share * (1 - swaps),
            accepted + share * acceptance,
            before,
        )

    zero = jnp.zeros(ladder.num_rungs, dtype)
    begin = replicas[:, 0], state, tuner, zero[1:], zero, jnp.zeros(num, jnp.int32)
    x, state, tuner, rejected, accepted, before = jax.lax.fori_loop(0, num_steps, step, begin)
    replicas = jnp.concatenate([x[:, None], state.upper], axis=1)
    return Round(replicas, tuner, rejected, accepted, state.round_trips - before)


def _known(acceptance: jax.Array, dtype: Any) -> jax.Array:
    """A proposal whose acceptance is not a number is rejected."""
    return jnp.where(jnp.isfinite(acceptance), acceptance, 0).astype(dtype)


def _at_step(ladder: ReplicaExchange, tuner: DualAveraging, search: jax.Array) -> ReplicaExchange:
    log = jnp.where(search, tuner.log_step, tuner.log_average)
    return dataclasses.replace(ladder, step_sizes=jnp.exp(log))


def _with_step_sizes(
    sampler: ReplicaExchange, dtype: Any
) -> tuple[ReplicaExchange, DualAveraging | None]:
    """The ladder with a step size for each rung, and their tuner, if there is what it needs."""
    names = [field.name for field in dataclasses.fields(held(sampler.sampler))]
    if "step_size" not in names or not sampler.sampler.reports_acceptance:
        return sampler, None
    temperatures, sizes = sampler.rungs()
    if sizes is None:
        own = jnp.asarray(held(sampler.sampler).step_size)
        sizes = own * (temperatures if sampler.scale_step else jnp.ones_like(temperatures))
    ladder = dataclasses.replace(sampler, scale_step=False, step_sizes=sizes)
    return ladder, DualAveraging.search(jnp.asarray(sizes, dtype), longest_step(ladder.sampler))


def _new_number(rungs: int, barrier: float) -> int:
    """The number of rungs that is advised, unless it is close: each number is compiled."""
    wanted = min(advised(barrier), _MOST)
    return rungs if abs(wanted - rungs) <= max(1, rungs // 8) else wanted


def _respaced(
    ladder: ReplicaExchange,
    tuner: DualAveraging | None,
    replicas: jax.Array,
    rejection: np.ndarray,
    num_rungs: int,
) -> tuple[ReplicaExchange, DualAveraging | None, jax.Array]:
    """The ladder with temperatures of equal rejection, and a replica of the old ones for each."""
    temperatures, positions = equal_rejection(ladder.temperatures, rejection, num_rungs)
    before = cumulative(rejection)
    nearest = np.argmin(np.abs(positions[:, None] - before[None]), axis=1)
    sizes = ladder.step_sizes
    if tuner is not None:
        log = np.interp(positions, before, np.log(np.asarray(sizes, np.float64)))
        sizes = jnp.asarray(np.exp(log), tuner.log_step.dtype)
        tuner = DualAveraging.search(sizes, longest_step(ladder.sampler)).refine()
    ladder = dataclasses.replace(ladder, temperatures=temperatures, step_sizes=sizes)
    return ladder, tuner, replicas[:, nearest]


def _check_moves(acceptance: np.ndarray, sizes: np.ndarray, least: float) -> None:
    failed = ~np.isfinite(sizes) | ~(acceptance > least)
    if failed.any():
        worst = int(np.flatnonzero(failed)[0])
        raise FloatingPointError(
            f"rung {worst} accepts a fraction of {acceptance[worst]:.3g} of its moves at "
            f"step_size={sizes[worst]:.3g}: energy or gradient is not finite where the chains are, "
            "or the energy is unbounded below"
        )
