"""The sentence with which a report begins."""

import copy

import pytest

from ebmx.runs.report._verdict import verdict

GOOD = {
    "quality": {"ratio": {"Fréchet distance": 1.1}},
    "memorisation": {"fraction of near samples": 0.01},
    "coverage": {"samples": {"rarest": 0.05}, "test data": {"rarest": 0.08}},
    "energies": {
        "samples": {"mean": 1.0, "deviation": 0.5},
        "test data": {"mean": 1.1, "deviation": 0.5},
    },
    "long_run": {"steps": 100, "drift": 0.2},
}


def changed(place, value):
    facts = copy.deepcopy(GOOD)
    *parts, last = place
    table = facts
    for part in parts:
        table = table[part]
    table[last] = value
    return facts


def test_a_good_run_is_called_good():
    said = "Samples are as near to the test data as the training data are (Fréchet ratio 1.1), and "
    assert verdict(GOOD) == f"{said}long chains stay there."


RATIO = ("quality", "ratio", "Fréchet distance")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (RATIO, 1.4, "close to the data (Fréchet ratio 1.4), and long chains stay there."),
        (RATIO, 4.0, "not yet close to them (Fréchet ratio 4), and long"),
        (RATIO, 38.3, "far from the data (Fréchet ratio 38.3), and no fault says why."),
        (RATIO, float("nan"), "far from the data (Fréchet ratio nan)"),
        (("memorisation", "fraction of near samples"), 0.5, "but 50% of them are copies"),
        (("coverage", "samples", "rarest"), 0.0, "but a class of the data is missing"),
        (("energies", "samples", "mean"), 3.1, "but their energies are 4 standard deviations"),
        (("energies", "samples", "mean"), float("nan"), "but their energies are nan"),
        (("long_run",), {"steps": 9}, "but long chains from the data do not stay finite."),
        (("long_run", "drift"), -2.5, "their energy changes by -2.5 deviations."),
    ],
)
def test_the_gravest_fault_is_named(place, value, words):
    assert words in verdict(changed(place, value))


def test_data_without_classes_have_none_missing():
    facts = {name: part for name, part in GOOD.items() if name != "coverage"}
    assert verdict(facts) == verdict(GOOD)
