"""The evaluation of a trained run: all that can be measured, in one folder."""

import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .. import _checks
from ..energies import AbstractNoiseConditionalEnergy
from ..plotting import training_curves
from ._folder import open as open_run
from ._kept_chains import adapted
from ._run import data_with_noise, evaluated_energy, of_class, with_noise
from ._sample import Chains, draw
from .report._chains import long_run_section
from .report._features import extractor_of, outsiders
from .report._landscape import landscape_section
from .report._levels import level_likelihood_section, levels_section
from .report._likelihood import likelihood_section
from .report._samples import (
    Sets,
    classes_section,
    coverage_section,
    energies_section,
    memorisation_section,
    outside_section,
    quality_section,
)
from .report._section import Section, write_sections
from .report._verdict import verdict

_LOG = logging.getLogger("ebmx")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `evaluate` finds."""

    folder: Path
    verdict: str
    facts: dict[str, dict[str, Any]]
    pictures: tuple[Path, ...]
    seconds: float


def evaluate(
    folder: str | Path,
    *,
    num_steps: int = 2000,
    num: int = 2000,
    others: Sequence[str] = (),
    log_z: bool = False,
    num_steps_without_noise: int = 0,
    best: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Measure how good a trained run is, and write it into a new folder in that of the run.

    The energy with averaged parameters is evaluated; that of a run with labels without its label,
    `-log Σ_y exp(-E(x, y))`. One over noise levels is evaluated at its lowest level, with noise of
    this level on the data; its report has the likelihood, too. The first report is in `evaluation`,
    further ones in `evaluation-2`, …

    Args:
        folder: of a run.
        num_steps: of the long chains that start at the test data.
        num: how many samples to draw, at least 8.
        others: further data sets to compare with, as `ebmx.data.load` takes them.
        log_z: whether to bracket the log likelihood by annealing, which takes minutes. Of an
            energy over noise levels, `log Z` is estimated in any case, and here from both sides.
        num_steps_without_noise: as for `sample`.
        best: as for `open`.
        seed: random seed.

    Returns:
        What was found: `folder`, where `report.json`, `report.md` and the pictures are; `verdict`,
        one sentence, with which the report begins; `facts`, the numbers by section and name;
        `pictures`, their paths; and `seconds`, how long it took.

    Raises:
        ValueError: if the folder holds no good run, or a number or another data set does not fit.
    """
    begin = time.monotonic()
    _checks.at_least("num_steps", num_steps, 1)
    _checks.at_least("num", num, 8)
    folder = Path(folder)
    opened = open_run(folder, best=best)
    run, dataset, state = opened.run, opened.data(), opened.state
    fix = "an evaluation compares with at least 8 test examples: raise data.test_fraction"
    _checks.require(len(dataset.test) >= 8, "data.test_fraction", len(dataset.test), fix)
    outside = outsiders(dataset, run.bounds or dataset.span, others, seed=seed)
    energy, trained, clean = evaluated_energy(state), opened.energy, dataset
    dataset = data_with_noise(trained, clean, seed=seed)
    outside = {name: with_noise(trained, x, seed=seed) for name, x in outside.items()}
    keys = jax.random.split(jax.random.key(seed), 4)
    chains = Chains(num_steps_without_noise=num_steps_without_noise)
    _LOG.info("drawing %d samples", num)
    drawn = draw(run, state, num, chains=chains, key=keys[0])
    sets, extractor = Sets(dataset, drawn.x, outside), extractor_of(dataset, seed=seed)
    sampler = adapted(run.sampler, state.negatives_state)
    facts = {"updates": int(state.step), "data": dataset.name}
    facts["samples"] = f"{num}, {drawn.source}"
    unit: float | None = None
    further: dict[str, Callable[[], Section | None]] = {}
    if isinstance(trained, AbstractNoiseConditionalEnergy):
        levels, unit = of_class(trained, None), float(trained.levels.sigma[0])
        facts["noise"] = unit
        further = {
            "likelihood": lambda: level_likelihood_section(
                levels, clean, drawn.x, keys[3], both_sides=log_z
            ),
            "noise levels": lambda: levels_section(run, levels, clean, keys[3]),
        }
    elif log_z:
        further = {
            "log Z from both sides": lambda: likelihood_section(
                run, energy, dataset, drawn.x, keys[3]
            )
        }
    sections: dict[str, Callable[[], Section | None]] = {
        "energies": lambda: energies_section(energy, sets),
        "samples against data": lambda: quality_section(extractor, sets, seed=seed),
        "modes": lambda: coverage_section(extractor, sets),
        "classes": lambda: classes_section(energy, dataset),
        "memorisation": lambda: memorisation_section(sets),
        "data from outside": lambda: outside_section(energy, sets),
        f"long chains of {num_steps} steps": lambda: long_run_section(
            run, sampler, energy, dataset, extractor, num_steps, keys[1], unit=unit
        ),
        "landscape": lambda: landscape_section(run.bounds, energy, dataset, drawn.x, keys[2]),
        **further,
    }
    known, left_out = [Section("run", "The run", facts, _RUN)], []
    for number, (words, section) in enumerate(sections.items(), 1):
        _LOG.info("evaluating %s (%d of %d)", words, number, len(sections))
        if (made := section()) is None:
            left_out.append(words)
        else:
            known.append(made)
    if left_out:
        facts["left out"] = ", ".join(left_out)
    known += [made] if (made := _training_section(opened.history)) is not None else []
    numbered = (f"evaluation-{number}" for number in itertools.count(2))
    names = itertools.chain(["evaluation"], numbered)
    target = next(folder / name for name in names if not (folder / name).exists())
    found = {section.name: section.facts for section in known}
    said = verdict(found)
    pictures = write_sections(target, f"Evaluation of {folder.name}", known, said)
    return Evaluation(target, said, found, pictures, time.monotonic() - begin)


def _training_section(history: dict[str, np.ndarray]) -> Section | None:
    shown = [name for name in history if name not in ("step", "seconds")]
    changing = [name for name in shown if np.unique(history[name]).size > 1]
    if not changing:
        return None
    figure = training_curves(history, steps=history["step"], names=changing)
    facts = {"seconds": float(history["seconds"][-1])}
    meanings = {"seconds": "how long the training took."}
    return Section("training", "Training", facts, meanings, {"training": figure})


_RUN = {
    "left out": "what these data or this energy do not have: modes need images with labels, "
    "classes a classifier, a landscape examples that are not zeros and ones.",
    "updates": "how many updates of the parameters there were.",
    "data": "the data set of the run.",
    "samples": "how many samples are evaluated, and where they come from.",
    "noise": "the standard deviation of the noise of samples, and here on all data: the lowest "
    "level of the energy.",
}
