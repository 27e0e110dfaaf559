"""A run: train what a config says, judge it, draw it, and find it all again in one folder."""

import dataclasses
import json
import shutil
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from .. import _checks
from .._arguments import guarded
from .._interrupt import Interrupt
from .._types import Key
from ..config._build import build_trainer
from ..config._build_energy import build_energy
from ..config._schema import RunConfig
from ..config._toml import read_config, to_dict, write_config
from ..data import Dataset
from ..training import (
    AbstractProgress,
    Checkpoints,
    Trainer,
    TrainState,
    checkpoint_config,
    fit,
    restore,
)
from ._batches import check_units, count_labels, load_data, training_batches, units_of
from ._figures import draw_pictures
from ._metrics_log import Log
from ._sample import draw_samples
from .report._features import frechet_judge

_CALIBRATION_STEPS = 12
_CHECKPOINTS = "checkpoints"


@dataclasses.dataclass(frozen=True)
class Report:
    """What came out of a run."""

    folder: Path
    """Where all of it is."""
    num_updates: int
    """All that the run has made, those before a resumption too."""
    seconds: float
    """How long the training took."""
    samples: np.ndarray
    """`(num, *shape)`, in [-1, 1]."""
    source: str
    """Where the samples come from, in words."""
    frechet_ratio: float | None
    """Distance of samples to test data over that of training data; `None` without labels."""
    pictures: tuple[Path, ...]
    """Their files."""
    interrupted: bool
    """Whether Ctrl-C ended it."""


@guarded
def train(
    config: RunConfig, *, progress: AbstractProgress | None = None, mesh: Mesh | None = None
) -> Report:
    """Train what the config says, and leave a folder with all of it.

    The folder holds `config.toml`, `metrics.jsonl`, `checkpoints`, `report.json`, `samples.png`
    and `energies.png`; those of an earlier run are replaced. Ctrl-C ends the training early and
    leaves the same folder; a second one ends the program.

    Args:
        config: what to train.
        progress: as for `ebmx.fit`.
        mesh: as for `ebmx.fit`.

    Returns:
        A `Report`.

    Raises:
        ValueError: if a part of the config does not fit.
    """
    if config.steps is not None:
        _checks.at_least("steps", config.steps, 1)
    _checks.positive("seconds", config.seconds)
    fix = "give a folder of this machine, or one that is mounted"
    _checks.require("://" not in (config.out or ""), "out", config.out, fix)
    dataset = load_data(config)
    folder = Path(config.out or f"runs/{Path(config.data.name).stem}-{config.seed}")
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder / "config.toml", config)
    shutil.rmtree(folder / _CHECKPOINTS, ignore_errors=True)
    with Interrupt() as interrupt:
        begin = time.monotonic()
        num_steps = config.steps or _updates_within(config, dataset, config.seconds, mesh)
        end = None if config.steps else begin + config.seconds
        log = Log(folder, 0, begin, end, interrupt)
        start = _start(config, dataset, num_steps)
        state = _train(config, dataset, folder, start, num_steps, log, progress, mesh)
        seconds = time.monotonic() - begin
    return _report(config, dataset, state, folder, seconds, interrupt.asked)


@guarded
def resume(
    folder: str | Path, *, progress: AbstractProgress | None = None, mesh: Mesh | None = None
) -> Report:
    """Go on with a run from its last good checkpoint until all its updates are done.

    The rest is, bit for bit, what it would have been without the interruption. `seconds` of the
    config do not count any more. `mesh` may be another than before, or none.

    Args:
        folder: of the run.
        progress: as for `ebmx.fit`.
        mesh: as for `ebmx.fit`.

    Returns:
        A `Report`.

    Raises:
        ValueError: if there is no run in the folder, none of its checkpoints is good, or its config
            was changed.
    """
    folder = Path(folder)
    config = read_config(folder / "config.toml")
    dataset = load_data(config)
    saved = checkpoint_config(folder / _CHECKPOINTS)
    check_units(saved, dataset)
    num_steps = saved["num_steps"] if isinstance(saved, dict) else config.steps or 1
    trainer, like, key = _start(config, dataset, num_steps)
    given = _saved_config(config, dataset, num_steps)
    state = restore(folder / _CHECKPOINTS, like, fallback=True, config=given)
    with Interrupt() as interrupt:
        begin = time.monotonic()
        log = Log(folder, int(state.step), begin, None, interrupt)
        start = trainer, state, key
        state = _train(config, dataset, folder, start, num_steps, log, progress, mesh)
        seconds = time.monotonic() - log.begin
    return _report(config, dataset, state, folder, seconds, interrupt.asked)


def _train(
    config: RunConfig,
    dataset: Dataset,
    folder: Path,
    start: tuple[Trainer, TrainState, Key],
    num_steps: int,
    log: Log,
    progress: AbstractProgress | None,
    mesh: Mesh | None,
) -> TrainState:
    trainer, state, key = start
    done = int(state.step)
    if done >= num_steps:
        return state
    saved = _saved_config(config, dataset, num_steps)
    return fit(
        trainer,
        state,
        training_batches(config, dataset, start=done),
        num_steps=num_steps - done,
        key=key,
        log_every=config.log_every,
        callbacks=(log,),
        progress=progress,
        checkpoints=Checkpoints(folder / _CHECKPOINTS, config=saved),
        mesh=mesh,
    )[0]


def _saved_config(config: RunConfig, dataset: Dataset, num_steps: int) -> dict[str, Any]:
    return {"run": to_dict(config), "num_steps": num_steps, "units": units_of(dataset)}


@guarded
def sample(
    folder: str | Path, num: int, *, label: int | None = None, denoise: int = 0, seed: int = 0
) -> tuple[np.ndarray, Dataset, str]:
    """Draw samples of a trained run.

    Args:
        folder: of a run.
        num: how many, at least 1.
        label: of which class, for a conditional or hybrid energy; of all alike if not given.
        denoise: how many steps without noise the chains take at last; of Langevin chains alone.
        seed: of everything random.

    Returns:
        Samples `(num, *shape)` in [-1, 1], the data set, and where the samples come from, in words.

    Raises:
        ValueError: if the folder holds no run, or a damaged one, or the energy knows no such label,
            or `denoise` is not for its chains.
    """
    _checks.at_least("num", num, 1)
    config, dataset, state = open_run(folder)
    key = jax.random.key(seed)
    drawn = draw_samples(config, dataset.shape, state, num, label=label, denoise=denoise, key=key)
    return drawn.x, dataset, drawn.source


def open_run(folder: str | Path) -> tuple[RunConfig, Dataset, TrainState]:
    """The config, the data and the last state of a run.

    Raises:
        ValueError: if the folder holds no run, or a damaged one, or its data are others by now.
    """
    folder = Path(folder)
    if not Checkpoints(folder / _CHECKPOINTS).steps:
        _checks.invalid("folder", str(folder), "no run in it: make one with `ebmx train`")
    config = read_config(folder / "config.toml")
    dataset = load_data(config)
    check_units(checkpoint_config(folder / _CHECKPOINTS), dataset)
    _, like, _ = _start(config, dataset, 1)
    return config, dataset, restore(folder / _CHECKPOINTS, like)


def _start(config: RunConfig, dataset: Dataset, num_steps: int) -> tuple[Trainer, TrainState, Key]:
    energy_key, chains_key, fit_key = jax.random.split(jax.random.key(config.seed), 3)
    num_labels = count_labels(config, dataset)
    energy, norm_state = build_energy(
        config.energy,
        dataset.shape,
        objective=config.objective.kind,
        num_labels=num_labels,
        key=energy_key,
    )
    trainer = build_trainer(config, num_steps, num_labels)
    return trainer, trainer.init(energy, norm_state, key=chains_key), fit_key


def _updates_within(config: RunConfig, dataset: Dataset, seconds: float, mesh: Mesh | None) -> int:
    """How many updates will fit, from the times of a few whose results are thrown away."""
    begin = time.monotonic()
    trainer, state, key = _start(config, dataset, 1)
    times = [time.monotonic()]

    def tick(step, state, metrics):
        times.append(time.monotonic())

    fit(
        trainer,
        state,
        training_batches(config, dataset),
        num_steps=_CALIBRATION_STEPS,
        key=key,
        log_every=1,
        callbacks=(tick,),
        mesh=mesh,
    )
    compiling = times[1] - times[0]
    left = seconds - (time.monotonic() - begin) - compiling
    return max(1, int(left / float(np.median(np.diff(times[1:])))))


def _report(
    config: RunConfig,
    dataset: Dataset,
    state: TrainState,
    folder: Path,
    seconds: float,
    interrupted: bool,
) -> Report:
    key = jax.random.fold_in(jax.random.key(config.seed), 2)
    drawn = draw_samples(config, dataset.shape, state, 4096, key=key)
    samples, source = drawn.x, drawn.source
    judge = frechet_judge(dataset)
    ratio = None if judge is None else judge(samples)
    pictures = draw_pictures(config, dataset, state, drawn, folder)
    updates = int(state.step)
    report = Report(folder, updates, seconds, samples, source, ratio, pictures, interrupted)
    facts = {
        "data": dataset.summary,
        "updates": updates,
        "seconds": round(seconds, 2),
        "frechet_ratio": ratio,
        "samples_from": source,
        "num_samples": len(samples),
        "skipped_updates": int(state.skipped),
        "interrupted": interrupted,
    }
    (folder / "report.json").write_text(json.dumps(facts, indent=2) + "\n")
    return report
