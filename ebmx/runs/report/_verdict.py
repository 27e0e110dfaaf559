"""What an evaluation comes to, in one sentence."""

from collections.abc import Mapping
from typing import Any

_NEAR = {
    1.25: "as near to the test data as the training data are",
    1.5: "close to the data",
    5.0: "like the data, and not yet close to them",
}
_MOST_COPIES, _MOST_DRIFT, _MOST_APART = 0.1, 1.0, 3.0


def verdict(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """How near samples are to the data, and the gravest fault there is, if any.

    Args:
        facts: the facts of an evaluation, by section and name.
    """
    ratio = facts["quality"]["ratio"]["Fréchet distance"]
    near = next((words for most, words in _NEAR.items() if ratio <= most), None)
    said = f"Samples are {near or 'far from the data'} (Fréchet ratio {ratio:.3g}), "
    fault = _fault(facts)
    if fault is None:
        return f"{said}and long chains stay there." if near else f"{said}and no fault says why."
    return f"{said}{'but' if near else 'and'} {fault}."


def _fault(facts: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The gravest fault, such as copies of training data."""
    copies = facts["memorisation"]["fraction of near samples"]
    if copies > _MOST_COPIES:
        return f"{copies:.0%} of them are copies of training data"
    coverage = facts.get("coverage")
    if coverage and coverage["samples"]["rarest"] == 0 < coverage["test data"]["rarest"]:
        return "a class of the data is missing among them"
    samples, test = facts["energies"]["samples"], facts["energies"]["test data"]
    apart = (samples["mean"] - test["mean"]) / test["deviation"]
    if not abs(apart) <= _MOST_APART:
        return f"their energies are {abs(apart):.2g} standard deviations from those of the data"
    drift = facts["long_run"].get("drift")
    if drift is None:
        return "long chains from the data do not stay finite"
    if not abs(drift) <= _MOST_DRIFT:
        return f"long chains drift from the data: their energy changes by {drift:.2g} deviations"
    return None
