"""What is wrong with chains, in a sentence for each problem."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..samplers import RESULTS
from ._advice import Traits


def failures(result: np.ndarray | None) -> list[str]:
    """How many chains failed, for each way to fail."""
    result = np.zeros(0, int) if result is None else result
    codes, counts = np.unique(result, return_counts=True)
    return [
        f"{count} of {len(result)} chains failed: {RESULTS(int(code)).message}."
        for code, count in zip(codes, counts, strict=True)
        if code != RESULTS.successful
    ]


def problems(
    rhat: Any,
    stuck: np.ndarray,
    num_divergent: int | None,
    drift: float | None,
    traits: Traits,
) -> list[str]:
    """What is wrong, beside failures."""
    words = []
    worst, at = extreme(rhat, largest)
    if not worst <= 1.01:
        tuned = f"a step size{' and masses' if traits.masses else ''} found by {traits.tuner}, "
        words.append(
            f"R-hat is {worst:.3f}{at}{_what_is(worst, rhat)}. Take more warm-up "
            f"and more samples, {tuned if traits.step else ''}or {traits.crossing}."
        )
    if stuck.any():
        fix = f": take a smaller step_size, or tune it by {traits.tuner}" if traits.step else ""
        words.append(f"{int(stuck.sum())} of {len(stuck)} chains rejected every proposal{fix}.")
    if num_divergent:
        fix = ": take a smaller step_size" if traits.step else ""
        words.append(
            f"{num_divergent} chains had divergent steps{fix}; samples "
            "near the places of high curvature are missing."
        )
    if drift is not None and not abs(drift) <= 3:
        words.append(
            f"the mean energy moved by {drift:.1f} standard errors from the first "
            "half to the last: take more warm-up."
        )
    return words


def _what_is(worst: float, rhat: Any) -> str:
    """What a large R-hat is, an infinite one, and one that is not a number."""
    if math.isnan(worst):
        return ": all draws of all chains are the same"
    words = ", above 1.01: the chains do not agree yet"
    if math.isfinite(worst):
        return words
    parts = [np.ravel(part) for part in (rhat.values() if isinstance(rhat, dict) else [rhat])]
    still = np.isinf(np.concatenate(parts))
    return (
        f"{words}: {still.sum()} of {still.size} coordinates keep one value within each chain, "
        "and not the same in all chains"
    )


def extreme(values: Any, choose: Callable[[np.ndarray], Any]) -> tuple[float, str]:
    """The largest or smallest number, and the name of its variable, if it has one."""
    if not isinstance(values, dict):
        return float(choose(values)), ""
    ends = {name: float(choose(value)) for name, value in values.items()}
    end = choose(np.array(list(ends.values())))
    name = next(name for name, value in ends.items() if np.array_equal(value, end, equal_nan=True))
    return float(end), f", of {name}"


def smallest(values: np.ndarray) -> float:
    """The smallest number that is not NaN; NaN if all are."""
    return float(np.nanmin(values)) if not np.isnan(values).all() else math.nan


def largest(values: np.ndarray) -> float:
    """The largest number that is not NaN; NaN if all are."""
    return float(np.nanmax(values)) if not np.isnan(values).all() else math.nan
