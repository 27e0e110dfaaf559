"""Whether chains can be believed."""

import dataclasses
from typing import Any

import jax
import numpy as np

from .. import _checks, _warnings
from .._arguments import guarded
from ..samplers import Samples


class ConvergenceWarning(UserWarning):
    """Chains that should not be believed yet."""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` finds. Arrays have the shape of one example."""

    ess_bulk: np.ndarray
    """Effective sample size of the mean, over all chains."""
    ess_tail: np.ndarray
    """Effective sample size of the 5 % and 95 % quantiles, the smaller one."""
    rhat: np.ndarray
    """Rank-normalised split R-hat: 1 if the chains agree."""
    acceptance: np.ndarray
    """The mean acceptance of each chain, `(chains,)`."""
    num_divergent: int
    """How many chains had a divergent step."""
    energy_drift: float | None
    """The change of the mean energy from the first to the last half, in standard errors of the
    chains; beyond ±3 the chains have not arrived. `None` if energies were not saved."""
    warnings: tuple[str, ...]
    """What is wrong, in words."""

    def __str__(self) -> str:
        """A summary of a few lines."""
        drift = "not saved" if self.energy_drift is None else f"{self.energy_drift:.2f} SE"
        lines = [
            f"R-hat       {np.max(self.rhat):.4f} at most",
            f"ESS         {np.min(self.ess_bulk):.0f} bulk, {np.min(self.ess_tail):.0f} tail",
            f"acceptance  {np.nanmean(self.acceptance):.3f}",
            f"divergent   {self.num_divergent} of {len(self.acceptance)} chains",
            f"drift       {drift}",
        ]
        return "\n".join([*lines, *self.warnings])


@guarded
def diagnose(samples: Samples, *, warn: bool = True) -> Diagnosis:
    """Judge chains by themselves.

    Vehtari et al. (2021), "Rank-normalization, folding, and localization: an improved R-hat for
    assessing convergence of MCMC"; the estimators are BlackJAX's.

    **Arguments:**

    - `samples`: from `ebmx.sample`, with positions saved, or by
        `save=ebmx.samplers.save_position_and_energy`.
    - `warn`: whether to warn, by `ConvergenceWarning`, when R-hat is above 1.01, a chain has
        rejected every proposal, steps diverged or the energy drifts.

    **Returns:**

    A `Diagnosis`; `print` it for a summary.

    **Raises:**

    `ValueError` if positions were not saved, or there are fewer than four samples of a chain.
    """
    x, energy = _positions(samples)
    fix = "give at least 4 samples of at least one chain, (chains, num_samples, *shape)"
    ok = x.ndim >= 2 and x.shape[1] >= 4
    _checks.require(ok, "samples.values.shape", x.shape, fix)
    flat = x.reshape(*x.shape[:2], -1)
    acceptance = np.asarray(samples.info.acceptance)
    # identical ranks, as where a coordinate never moved, have no variance to divide by
    # and BlackJAX relies on rank promotion, which a program may have forbidden
    with np.errstate(all="ignore"), jax.numpy_rank_promotion("allow"):
        rhat, bulk, tail = map(np.asarray, _estimates(flat))
    stuck = np.all(flat == flat[:, :1], axis=(1, 2))
    drift = None if energy is None else _drift(energy)
    found = Diagnosis(
        ess_bulk=bulk.reshape(x.shape[2:]),
        ess_tail=tail.reshape(x.shape[2:]),
        rhat=rhat.reshape(x.shape[2:]),
        acceptance=acceptance,
        num_divergent=int(np.sum(np.asarray(samples.info.divergent))),
        energy_drift=drift,
        warnings=(),
    )
    found = dataclasses.replace(found, warnings=tuple(_words(found, stuck)))
    if warn and found.warnings:
        _warnings.warn("\n".join(found.warnings), ConvergenceWarning)
    return found


@guarded
def to_arviz(samples: Samples) -> Any:
    """The samples as ArviZ has them, with the groups `posterior` and, if saved, `sample_stats`.

    Needs `pip install arviz-base`, which arviz builds on.

    **Arguments:**

    - `samples`: from `ebmx.sample`, with positions saved.

    **Returns:**

    ArviZ's tree of data, with the dimensions `chain` and `draw`.

    **Raises:**

    `ValueError` if positions were not saved, `ImportError` with the pip line without arviz-base.
    """
    try:
        import arviz_base
    except ImportError as error:
        raise ImportError("the export needs arviz-base: pip install arviz-base") from error
    x, energy = _positions(samples)
    groups = {"posterior": {"x": x}}
    if energy is not None:
        groups["sample_stats"] = {"energy": energy}
    return arviz_base.from_dict(groups)


@jax.jit
def _estimates(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """R-hat and the effective sample sizes of bulk and tail, compiled once for a shape."""
    with jax.ensure_compile_time_eval():
        import blackjax  # late, as in the samplers

    return blackjax.rhat(x), blackjax.ess_bulk(x), blackjax.ess_tail(x)


def _positions(samples: Samples) -> tuple[np.ndarray, np.ndarray | None]:
    values = samples.values
    if isinstance(values, dict) and {"x", "energy"} <= set(values):
        return np.asarray(values["x"]), np.asarray(values["energy"])
    fix = "save positions: save=save_position or save=save_position_and_energy"
    ok = not isinstance(values, dict | tuple) and hasattr(values, "shape")
    _checks.require(ok, "samples.values", type(values).__name__, fix)
    return np.asarray(values), None


def _drift(energy: np.ndarray) -> float:
    half = energy.shape[1] // 2
    change = energy[:, half:].mean(1) - energy[:, :half].mean(1)
    error = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.nan
    return float(change.mean() / error) if error > 0 else 0.0


def _words(found: Diagnosis, stuck: np.ndarray) -> list[str]:
    words = []
    worst = float(np.nanmax(found.rhat)) if np.isfinite(found.rhat).any() else np.nan
    if not worst <= 1.01:
        words.append(
            f"R-hat is {worst:.3f}, above 1.01: the chains do not agree yet. Take more warm-up and "
            "more samples, or a sampler that crosses between modes, such as ReplicaExchange."
        )
    if stuck.any():
        words.append(
            f"{int(stuck.sum())} of {len(stuck)} chains rejected every proposal: take a smaller "
            "step_size, or tune it by `warmup`."
        )
    if found.num_divergent:
        words.append(
            f"{found.num_divergent} chains had divergent steps: take a smaller step_size; samples "
            "near the places of high curvature are missing."
        )
    if found.energy_drift is not None and abs(found.energy_drift) > 3:
        words.append(
            f"the mean energy moved by {found.energy_drift:.1f} standard errors from the first "
            "half to the last: take more warm-up."
        )
    return words
