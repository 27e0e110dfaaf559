"""What to change about chains that have not converged, in a sentence."""

from typing import NamedTuple

import numpy as np

_MANY = 64  # directions that are looked at
_ENOUGH = 400.0  # effective samples, as Vehtari et al. (2021) ask for
_SETTLED = 20.0  # effective samples of one chain that knows its surroundings
_WARM_UP = "Take more warm-up steps: the chains still come from where they started."


class Symptoms(NamedTuple):
    """What is known of the chains."""

    draws: np.ndarray  # (chains, draws, coordinates)
    rhat: float
    ess: float
    acceptance: float | None
    """The mean; `None` if it is not measured."""
    stuck: float
    """The share of the chains that never moved and rejected what they proposed."""
    kept: float
    """The share of the chains that never moved, though they accepted most proposals."""
    failed: bool
    divergent: bool
    drift: float | None


def advise(symptoms: Symptoms) -> str:
    """The first change to make: step size, modes, masses, warm-up, then more samples."""
    rate = symptoms.acceptance
    if symptoms.stuck > 0.1 or (rate is not None and rate < 0.15):
        return "Take a smaller step_size: too many proposals are rejected. `warmup` finds one."
    if symptoms.divergent or symptoms.failed:
        return "Take a smaller step_size, or start elsewhere: chains became non-finite or diverged."
    if symptoms.kept > 0.1:
        return (
            "Use a sampler that crosses between modes, such as ReplicaExchange: chains never move, "
            "though they do not reject."
        )
    if len(symptoms.draws) == 1:
        return "Run at least four chains from different starts: one chain cannot show other modes."
    drifts = symptoms.drift is not None and abs(symptoms.drift) > 3
    if symptoms.rhat <= 1.01 and symptoms.ess >= _ENOUGH and not drifts:
        return "Nothing to change."
    width, own, apart, trend = _directions(symptoms.draws)
    if np.any((own >= _SETTLED) & (apart > 1)):
        return (
            "Use a sampler that crosses between modes, such as ReplicaExchange: each chain is "
            "settled, but not where the others are."
        )
    if rate is not None and 0.95 < rate < 1:
        return (
            f"Take a larger step_size: an acceptance of {rate:.3f} means that steps are short. "
            "`warmup` finds one."
        )
    if trend.max() > 0.5:
        return _WARM_UP
    wide, narrow = width > 0.3 * width.max(), width < 0.15 * width.max()
    if narrow.any() and np.median(own[narrow]) > 4 * np.median(own[wide]):
        return (
            f"Give the sampler masses or a preconditioner, as `warmup` does for HMC and NUTS: the "
            f"widths of the directions differ by a factor of {width.max() / width.min():.0f}, "
            "and chains are slow along the wide ones."
        )
    if drifts:
        return _WARM_UP
    if own.min() < 5:
        return (
            "Take a larger step_size if the sampler bears it, else many more steps: within its "
            "samples a chain has hardly moved."
        )
    return (
        f"Take more samples, or more chains: the effective sample size is {symptoms.ess:.0f}, and "
        f"{_ENOUGH:.0f} are usual."
    )


class Direction(NamedTuple):
    """The draws along a principal direction, or several."""

    width: np.ndarray
    """The standard deviation of the draws of one chain."""
    own: np.ndarray
    """The effective sample size of one chain, the median over chains."""
    apart: np.ndarray
    """The standard deviation of the chains' means, in widths."""
    trend: np.ndarray
    """The share of a chain's variance that is a change common to all chains."""


def _directions(draws: np.ndarray) -> Direction:
    """The principal directions of the draws within chains."""
    x = draws.reshape(*draws.shape[:2], -1).astype(np.float64)
    x = x[:, :, x.std((0, 1)) > 0]
    within = x - x.mean(1, keepdims=True)
    rows = within.reshape(-1, x.shape[2])
    _, axes = np.linalg.eigh(rows.T @ rows)
    chosen = np.unique(np.linspace(0, len(axes) - 1, _MANY).astype(int))
    along = x @ axes[:, chosen]
    centred = along - along.mean(1, keepdims=True)
    width = np.maximum(np.sqrt(np.mean(centred**2, (0, 1))), 1e-300)
    own = np.median(_effective_sizes(centred), axis=0)
    apart = along.mean(1).std(0) / width
    # of independent chains the mean over chains has the share 1 / chains
    trend = np.mean(centred.mean(0) ** 2, 0) / width**2 - 1 / len(x)
    return Direction(width, own, apart, trend)


def _effective_sizes(centred: np.ndarray) -> np.ndarray:
    """Of each chain and coordinate, `(chains, coordinates)`, by Geyer's initial positive sums."""
    num = centred.shape[1]
    spectrum = np.fft.rfft(centred, 2 * num, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :num]
    correlation = covariance / np.maximum(covariance[:, :1], 1e-300)
    pairs = correlation[:, : num // 2 * 2].reshape(len(centred), num // 2, 2, -1).sum(2)
    positive = np.cumprod(pairs > 0, axis=1)
    return num / np.maximum(2 * np.sum(pairs * positive, 1) - 1, 1 / num)
