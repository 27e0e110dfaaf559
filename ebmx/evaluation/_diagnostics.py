"""Convergence diagnostics of chains."""

import dataclasses
import math
from typing import Any

import jax
import numpy as np

from .. import _checks, _warnings
from ..samplers import RESULTS, AbstractSampler, Samples
from ._advice import Symptoms, advise, traits_of
from ._draws import Draws, draws_of
from ._problems import extreme, failures, largest, problems, smallest


class ConvergenceWarning(UserWarning):
    """Chains, or an estimate from chains, have not converged."""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """The result of `diagnose`, which says what the fields are."""

    ess_bulk: Any
    ess_tail: Any
    rhat: Any
    num_chains: int
    acceptance: np.ndarray | None
    num_divergent: int | None
    num_failed: int | None
    energy_drift: float | None
    warnings: tuple[str, ...]
    advice: str

    def __str__(self) -> str:
        """A summary of a few lines."""
        worst, at = extreme(self.rhat, largest)
        bulk, tail = (extreme(size, smallest)[0] for size in (self.ess_bulk, self.ess_tail))
        counts = (
            "not saved" if count is None else f"{count} of {self.num_chains} chains"
            for count in (self.num_divergent, self.num_failed)
        )
        rate, drift = self.acceptance, self.energy_drift
        lines = [
            f"R-hat       {worst:.4f} at most{at}",
            f"ESS         {bulk:.0f} bulk, {tail:.0f} tail",
            f"acceptance  {'not saved' if rate is None else f'{np.nanmean(rate):.3f}'}",
            "divergent   {}\nfailed      {}".format(*counts),
            f"drift       {_NO_ENERGY if drift is None else f'{drift:.2f} SE'}",
        ]
        return "\n".join([*lines, *self.warnings, f"Advice: {self.advice}"])


_NO_ENERGY = "not saved: sample(save=ebmx.samplers.save_position_and_energy)"


def diagnose(
    samples: Any, *, sampler: AbstractSampler | None = None, warn: bool = True
) -> Diagnosis:
    """R-hat, effective sample sizes and other convergence diagnostics of chains.

    Vehtari et al. (2021), "Rank-normalization, folding, and localization: an improved R-hat for
    assessing convergence of MCMC"; the estimators are BlackJAX's.

    Args:
        samples: one of

            - the result of `ebmx.sample`, with saved positions, or with
              `save=ebmx.samplers.save_position_and_energy`;
            - an array `(chains, draws, ...)`;
            - a dictionary of arrays `(chains, draws, ...)`, in which `energy`, `(chains, draws)`,
              is the energy of each draw in nats;
            - ArviZ data with a group `posterior`, and optionally `lp` or `energy`,
              `acceptance_rate` and `diverging` in `sample_stats`.
        sampler: the sampler of the chains. Warnings and advice then speak of what it has: of a step
            size and of masses only if there are any, of rungs in a `ReplicaExchange`.
        warn: whether to emit a `ConvergenceWarning` when R-hat is above 1.01, a chain has failed or
            has rejected every proposal, steps have diverged or the energy drifts.

    Returns:
        An object with `rhat`, the rank-normalised split R-hat, 1 if the chains agree, infinite
        for a coordinate that moves in no chain and differs between chains, and the
        effective sample sizes `ess_bulk` of the mean and `ess_tail` of the 5 % or 95 % quantile,
        all of the shape of one example, or dictionaries of arrays for named variables, and NaN
        for a coordinate that is the same in all draws of all chains;
        `num_chains`, and how many of them have a divergent step, `num_divergent`, or another result
        than `RESULTS.successful`, `num_failed`; the mean `acceptance` of each chain, `(chains,)`;
        `energy_drift`, the change of the mean energy from the first to the last half in standard
        errors, beyond ±3 for chains that are not stationary; the problems found, `warnings`; and
        `advice`, a sentence that says what to change first: the step size, the masses, the warm-up,
        the sampler where chains stay in modes, or their number. What the samples do not contain is
        `None`. `print` it for a summary.

    Raises:
        ValueError: if positions were not saved, or there are fewer than four draws per chain.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.energies import Gaussian
        >>> from ebmx.evaluation import diagnose
        >>> from ebmx.samplers import MALA
        >>> options = {"num_warmup": 50, "num_samples": 200, "key": jax.random.key(0)}
        >>> samples = ebmx.sample(Gaussian(jnp.zeros(2)), MALA(1.0), jnp.zeros((8, 2)), **options)
        >>> bool(diagnose(samples).rhat.max() < 1.1)
        True
    """
    draws = draws_of(samples)
    name = "samples.values" if isinstance(samples, Samples) else "samples"
    for variable, array in draws.variables.items():
        place = f"{name}[{variable!r}].shape" if draws.is_named else f"{name}.shape"
        fix = "give at least 4 samples of at least one chain, (chains, num_samples, *shape)"
        _checks.require(array.size > 0 and array.shape[1] >= 4, place, array.shape, fix)
    flat = _flat(draws.variables)
    # a coordinate that never moved has equal ranks, without a variance to divide by;
    # BlackJAX relies on promotion, which a program may have forbidden
    allowed = jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard")
    with np.errstate(all="ignore"), allowed[0], allowed[1]:
        values = [np.ravel(value) for value in _estimates(flat)]  # BlackJAX drops axes of one
    # of a coordinate that is the same everywhere, such as a pixel of the margin, nothing is known
    still = np.all(flat == flat[:1, :1], axis=(0, 1))
    # of one that differs between chains, and in none of them moves, R-hat has a zero below
    frozen = np.all(flat == flat[:, :1], axis=(0, 1)) & ~still
    values[0] = np.where(frozen, np.inf, values[0])
    estimates = [_parts(np.where(still, np.nan, value), draws) for value in values]
    divergent, result = draws.divergent, draws.result
    # the problems of failed chains are reported by their results
    good = np.full(len(flat), True) if result is None else result == RESULTS.successful
    stuck = np.all(flat == flat[:, :1], axis=(1, 2)) & good
    energy = None if draws.energy is None or not good.any() else draws.energy[good]
    num_divergent = None if divergent is None else int(np.sum(divergent))
    drift = None if energy is None else _drift(energy)
    rates = draws.acceptance
    # a discrete sampler proposes, and accepts, to stay
    accepted = rates is not None and bool(np.all((flat == 0) | (flat == 1))) and rates > 0.5
    traits = traits_of(sampler)
    kept = stuck & (np.asarray(accepted) if traits.rejects else True)
    words = (
        *failures(result),
        *problems(estimates[0], stuck & ~kept, num_divergent, drift, traits),
    )
    if warn and words:
        _warnings.warn("\n".join(words), ConvergenceWarning)
    measured = None if rates is None or not good.any() or not traits.rejects else rates[good]
    symptoms = Symptoms(
        draws=flat[good] if good.any() else flat,
        rhat=extreme(estimates[0], largest)[0],
        ess=extreme(estimates[1], smallest)[0],
        acceptance=None if measured is None else float(np.mean(measured)),
        stuck=float(np.mean(stuck & ~kept)),
        kept=float(np.mean(kept)),
        failed=not good.all() or not np.isfinite(flat).all(),
        divergent=bool(num_divergent),
        drift=drift,
        traits=traits,
    )
    return Diagnosis(
        rhat=estimates[0],
        ess_bulk=estimates[1],
        ess_tail=estimates[2],
        num_chains=len(flat),
        acceptance=draws.acceptance,
        num_divergent=num_divergent,
        num_failed=None if result is None else int(np.sum(result != RESULTS.successful)),
        energy_drift=drift,
        warnings=words,
        advice=advise(symptoms),
    )


def to_arviz(samples: Any) -> Any:
    """The samples as ArviZ data, with the groups `posterior` and, with energies, `sample_stats`.

    `sample_stats` has the `energy` of each draw and its log density without log Z, `lp`. Needs
    arviz-base (`pip install arviz-base`), a part of ArviZ.

    Args:
        samples: the result of `ebmx.sample` with saved positions, or an array or a dictionary, as
            for `diagnose`. Variables have the names of the dictionary, else the name `x`. For a
            tree of variables see `ebmx.energies.Raveled`.

    Returns:
        A tree of data of ArviZ, with the dimensions `chain` and `draw`.

    Raises:
        ValueError: if positions were not saved.
        ImportError: with the pip line, if arviz-base is missing.
    """
    try:
        import arviz_base
    except ImportError as error:
        raise ImportError("the export needs arviz-base: pip install arviz-base") from error
    draws = draws_of(samples)
    groups = {"posterior": draws.variables}
    if draws.energy is not None:
        groups["sample_stats"] = {"energy": draws.energy, "lp": -draws.energy}
    return arviz_base.from_dict(groups)


@jax.jit
def _estimates(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """R-hat and the effective sample sizes of bulk and tail, compiled once per shape."""
    with jax.ensure_compile_time_eval():
        import blackjax  # late, as in the samplers

    return blackjax.rhat(x), blackjax.ess_bulk(x), blackjax.ess_tail(x)


def _flat(variables: dict[str, np.ndarray]) -> np.ndarray:
    """The coordinates of all variables, `(chains, draws, coordinates)`."""
    columns = []
    for array in variables.values():
        column = array.reshape(*array.shape[:2], math.prod(array.shape[2:]))
        if column.dtype.itemsize > 4:
            # all estimates depend on the order only, which single precision keeps for deviations
            column = column - np.median(column, axis=(0, 1))
        columns.append(column.astype(np.float32))
    return np.concatenate(columns, 2)


def _parts(values: np.ndarray, draws: Draws) -> Any:
    """The values of all coordinates, split into the variables."""
    parts, first = {}, 0
    for name, array in draws.variables.items():
        size = math.prod(array.shape[2:])
        parts[name] = values[first : first + size].reshape(array.shape[2:])
        first += size
    return parts if draws.is_named else parts["x"]


def _drift(energy: np.ndarray) -> float:
    """The change of the mean from the first to the last half, in standard errors."""
    # of the mean over chains; for one chain, of the means of its halves, from batches of draws
    energy = np.asarray(energy, np.float64)
    energy = energy - energy[:, :1]  # exactly 0 for a chain that never moves
    half = energy.shape[1] // 2
    first, last = energy[:, :half], energy[:, half:]
    change = last.mean(1) - first.mean(1)
    if len(change) > 1:
        error = change.std(ddof=1) / np.sqrt(len(change))
    else:
        error = np.hypot(_batch_error(first[0]), _batch_error(last[0]))
    with np.errstate(divide="ignore"):
        return float(change.mean() / error) if change.any() else 0.0


def _batch_error(x: np.ndarray) -> float:
    """The standard error of the mean of a chain, from the means of batches of equal sizes."""
    num = max(2, math.isqrt(len(x)))
    size = len(x) // num
    means = x[: num * size].reshape(num, size).mean(1)
    return float(means.std(ddof=1) / np.sqrt(num))
