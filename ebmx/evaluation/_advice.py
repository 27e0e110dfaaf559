"""What to change about chains that have not converged, in a sentence."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..samplers import DMALA, AbstractSampler, ReplicaExchange
from ..samplers.kernels._search import longest_step

_MANY = 64  # directions that are looked at
_ENOUGH = 400.0  # effective samples, as Vehtari et al. (2021) ask for
_SETTLED = 20.0  # effective samples of one chain that knows its surroundings
_WARM_UP = "Take more warm-up steps: the chains still come from where they started."


class Traits(NamedTuple):
    """What the sampler of the chains has that could be changed."""

    step: bool = True
    """Whether it has a step size."""
    rejects: bool = True
    """Whether it may reject; one that does not reports an acceptance of 1."""
    masses: bool = True
    """Whether masses or a preconditioner could help."""
    discrete: bool = False
    tempered: bool = False
    """Whether it is a `ReplicaExchange`."""

    @property
    def tuner(self) -> str:
        """The name of the function that tunes the step size of this sampler."""
        return "`tune_ladder`" if self.tempered else "`warmup`"

    @property
    def crossing(self) -> str:
        """What to use so that chains cross between modes."""
        if self.tempered:
            return "more rungs, or a hotter last one, as `tune_ladder` finds them"
        return "a sampler that crosses between modes, such as ReplicaExchange"


def traits_of(sampler: AbstractSampler | None) -> Traits:
    """The traits of a sampler; without one, those of most samplers."""
    if sampler is None:
        return Traits()
    parts = list(_parts(sampler))
    names = {field.name for part in parts for field in dataclasses.fields(part)}
    # a step that is as long as it can be cannot be made longer
    long = all(
        float(np.min(np.asarray(part.step_size))) >= 0.9 * longest_step(part)
        for part in parts
        if isinstance(part, DMALA)
    )
    longest = long and all(isinstance(part, DMALA) for part in parts if hasattr(part, "step_size"))
    return Traits(
        step="step_size" in names and not longest,
        rejects=bool(sampler.reports_acceptance),
        masses="step_size" in names and not sampler.is_discrete,
        discrete=bool(sampler.is_discrete),
        tempered=isinstance(sampler, ReplicaExchange),
    )


def _parts(sampler: AbstractSampler) -> Iterator[AbstractSampler]:
    """The samplers that a sampler holds, or itself."""
    inner = getattr(sampler, "samplers", None) or getattr(sampler, "sampler", None)
    if inner is None:
        yield sampler
    for one in inner if isinstance(inner, tuple) else [] if inner is None else [inner]:
        yield from _parts(one)


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
    traits: Traits = Traits()


def advise(symptoms: Symptoms) -> str:
    """The first change to make: step size, modes, masses, warm-up, then more samples."""
    rate, traits = symptoms.acceptance, symptoms.traits
    crossing = f"{'Take' if traits.tempered else 'Use'} {traits.crossing}"
    if symptoms.stuck > 0.1 or (rate is not None and rate < 0.15):
        return _less_bold(traits)
    if symptoms.divergent or symptoms.failed:
        first = "Take a smaller step_size, or start elsewhere" if traits.step else "Start elsewhere"
        return f"{first}: chains became non-finite or diverged."
    if symptoms.kept > 0.1:
        return f"{crossing}: chains never move, though they do not reject."
    if len(symptoms.draws) == 1:
        return "Run at least four chains from different starts: one chain cannot show other modes."
    drifts = symptoms.drift is not None and abs(symptoms.drift) > 3
    if symptoms.rhat <= 1.01 and symptoms.ess >= _ENOUGH and not drifts:
        return "Nothing to change."
    width, own, apart, trend = _directions(symptoms.draws)
    if np.any((own >= _SETTLED) & (apart > 1)):
        return f"{crossing}: each chain is settled, but not where the others are."
    if traits.step and rate is not None and 0.95 < rate < 1:
        return (
            f"Take a larger step_size: an acceptance of {rate:.3f} means that steps are short. "
            f"{traits.tuner} finds one."
        )
    if trend.max() > 0.5:
        return _WARM_UP
    wide, narrow = width > 0.3 * width.max(), width < 0.15 * width.max()
    if traits.masses and narrow.any() and np.median(own[narrow]) > 4 * np.median(own[wide]):
        return (
            f"Give the sampler masses or a preconditioner, as `warmup` does for HMC and NUTS: the "
            f"widths of the directions differ by a factor of {width.max() / width.min():.0f}, "
            "and chains are slow along the wide ones."
        )
    if drifts:
        return _WARM_UP
    if own.min() < 5:
        return _bolder(traits)
    return (
        f"Take more samples, or more chains: the effective sample size is {symptoms.ess:.0f}, and "
        f"{_ENOUGH:.0f} are usual."
    )


def _less_bold(traits: Traits) -> str:
    """What to change where nearly nothing is accepted."""
    if traits.step:
        return (
            f"Take a smaller step_size: too many proposals are rejected. {traits.tuner} finds one."
        )
    other = "Gibbs, which rejects nothing" if traits.discrete else "MALA or HMC after `warmup`"
    return (
        f"Use another sampler, such as {other}: too many proposals are rejected, and this one has "
        "no step size that could be smaller."
    )


def _bolder(traits: Traits) -> str:
    """What to change where chains have hardly moved, though they accept."""
    why = "within its samples a chain has hardly moved."
    if traits.step:
        return f"Take a larger step_size if the sampler bears it, else many more steps: {why}"
    return f"Take many more steps, by a larger `thin`, or {traits.crossing}: {why}"


class Direction(NamedTuple):
    """The draws along a principal direction, or several."""

    width: np.ndarray
    """The standard deviation of the draws of one chain."""
    own: np.ndarray
    """The effective sample size of one chain, the median over chains."""
    apart: np.ndarray
    """The standard deviation of the means of the chains, in widths."""
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
