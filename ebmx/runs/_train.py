"""Training: from a config to a folder with all that came out."""

import contextlib
import dataclasses
import json
import logging
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from .. import _checks
from .._interrupt import Interrupt
from .._json import finite
from ..config._tables import Config, merge, write_config
from ..data import Dataset
from ..training import AbstractProgress, Checkpoints, Monitor, TrainState, fit
from ._calibration import calibrate
from ._chain_checks import warn_of_chains
from ._facts import checksum
from ._figures import draw_pictures
from ._folder import CHECKPOINTS, check_free, claim, free_folder, record
from ._folder import open as open_run
from ._metrics_log import Log
from ._monitor import facts_of, monitor_of, watchdog_of
from ._optimiser import with_plan
from ._plan import check_start, explained, plan, trace
from ._run import Run, data_with_noise
from ._sample import draw
from ._trackers import Tracking, check_installed, ids_of
from .report._features import frechet_ratio_of

_CALIBRATION_STEPS, _INTERVAL = 16, 4
_FEW = 50
_NUM_SAMPLES = 4096
_REPORT = "report.json"
_LOG = logging.getLogger("ebmx")


@dataclasses.dataclass(frozen=True)
class Report:
    """What came out of a run."""

    folder: Path
    num_updates: int
    seconds: float
    samples: np.ndarray = dataclasses.field(repr=False)
    source: str
    frechet_ratio: float | None
    pictures: tuple[Path, ...]
    interrupted: bool
    monitor: dict[str, Any] = dataclasses.field(default_factory=dict)


def train(
    config: Config,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    dataset: Dataset | None = None,
    progress: AbstractProgress | bool | None = None,
    mesh: Mesh | None = None,
) -> Report:
    """Train what a config says, into a folder of its own.

    The folder holds `config.toml`, `run.json`, `metrics.jsonl`, `checkpoints`, `report.json` and
    pictures, `best` if the config has a table `[monitor]`, and `metrics.csv`, `tensorboard` and
    `trackers.json` if its table `[trackers]` asks for them; with them samples can be drawn without
    the data. Nothing is written before the whole config has been checked. Ctrl-C ends the training
    early and leaves the same folder; a second one ends the program.

    Args:
        config: nested tables, such as `ebmx.config.recipe("digits")`.
        out: the folder; the first free `runs/NAME-N` if not given.
        overwrite: whether the run that the folder holds may be deleted, of which only files are
            deleted that ebmx has written.
        dataset: the data that the config names, if they are loaded already.
        progress: as for `ebmx.fit`.
        mesh: as for `ebmx.fit`.

    Returns:
        What came out: `folder`; `num_updates`, those before a resumption too; `seconds` of
        training, without the time to compile; `samples` `(num, *shape)` in the units of the model,
        and their `source` in words; `frechet_ratio`, the distance of samples to test data over that
        of as many training data, or `None` without labels, for an energy over noise levels with its
        lowest noise on the data, too; `pictures`, their paths; `interrupted`, whether Ctrl-C ended
        it; and `monitor`, what `report.json` says of the measurements of `[monitor]`.

    Raises:
        ConnectionError: if a tracker cannot start; nothing is written then. One that fails later is
            a `TrackerWarning`.
        ImportError: with the pip line, if the package of a tracker is missing.
        ValueError: if a part of the config does not fit, or the folder is not free.
        DivergedError: if the table `[watchdog]` ends the training; its checkpoints stay.
    """
    if out is not None:
        check_free(out, overwrite)
    run = plan(config, dataset)
    with contextlib.ExitStack() as stack:
        with Interrupt() as interrupt:
            if run.num_steps is None:
                num_steps, limit = _updates_within(run, mesh, interrupt), run.seconds
            else:
                trace(run, mesh)
                num_steps, limit = run.num_steps, None
            place = free_folder(run.facts.name.removeprefix("hf:")) if out is None else Path(out)
            tracking = stack.enter_context(Tracking(run.config, place.resolve().name, 0, {}))
            folder = claim(None if out is None else place, run, num_steps, overwrite)
            log = Log(folder, 0, limit, interrupt)
            state = with_plan(run.init(), num_steps)
            options: dict[str, Any] = {"progress": progress, "mesh": mesh}
            state, monitor = _go_on(run, state, num_steps, log, tracking, **options)
        if limit is not None and int(state.step) < _FEW and not interrupt.asked:
            text = "only %d updates fitted into %g seconds: give more --seconds"
            _LOG.warning(text, int(state.step), limit)
        return _report(run, state, log, monitor, tracking)


def resume(
    folder: str | Path,
    *,
    num_steps: int | None = None,
    progress: AbstractProgress | bool | None = None,
    mesh: Mesh | None = None,
) -> Report:
    """Go on with a run from its last good checkpoint until all its updates are done.

    The rest is, bit for bit, what it would have been without the interruption.

    Args:
        folder: of the run.
        num_steps: a new total number of updates, which may extend a finished run; a learning rate
            that depends on the number follows the new one from here on.
        progress: as for `ebmx.fit`.
        mesh: as for `ebmx.fit`; it need not be that of before.

    Returns:
        As for `train`.

    Raises:
        ConnectionError, ImportError: as for `train`.
        ValueError: if the folder holds no run, none of its checkpoints is good, the data have
            changed, or `num_steps` is fewer updates than there are.
    """
    folder = Path(folder)
    opened = open_run(folder, fallback=True)
    check_installed(opened.config)
    dataset = opened.find_data()
    fix = "the data have changed since: give the run its data again, or begin a new one"
    same = checksum(dataset) == opened.run.facts.checksum
    _checks.require(same, "data", dataset.name, fix)
    done, total = int(opened.state.step), opened.num_steps if num_steps is None else num_steps
    fix = f"the run has made {done} updates: give more"
    _checks.require(total >= done, "num_steps", total, fix)
    run = dataclasses.replace(opened.run, dataset=dataset)
    check_start(run, mesh)
    state = with_plan(opened.state, total)
    extended = total != opened.num_steps
    if extended:
        config = merge(opened.config, {"num_steps": total})
        run = dataclasses.replace(run, config=config, num_steps=total)
    # what is done already is logged already
    none = {"trackers": {}} if _is_reported(folder, total) else {}
    with Tracking({**run.config, **none}, folder.resolve().name, done, ids_of(folder)) as tracking:
        if extended:
            write_config(folder / "config.toml", run.config)
            record(folder, run, total)
        with Interrupt() as interrupt:
            log = Log(folder, done, None, interrupt)
            options: dict[str, Any] = {"progress": progress, "mesh": mesh}
            state, monitor = _go_on(run, state, total, log, tracking, **options)
        return _report(run, state, log, monitor, tracking)


def _go_on(
    run: Run,
    state: TrainState,
    num_steps: int,
    log: Log,
    tracking: Tracking,
    **options: Any,
) -> tuple[TrainState, Monitor | None]:
    tracking.begin(log)
    monitor, left = monitor_of(run, log.folder, log, tracking), num_steps - int(state.step)
    if left == 0:
        _LOG.info("all %d updates are made: give --steps for more", num_steps)
    else:
        callbacks: list[Any] = [log, tracking, watchdog_of(run.config)]
        callbacks += [] if monitor is None else [monitor, tracking.measurements(monitor)]
        callbacks = [one for one in callbacks if one is not None]
        options |= {"log_every": run.config.get("log_every", 25), "callbacks": callbacks}
        saved = Checkpoints(log.folder / CHECKPOINTS)
        state = _fit(run, state, num_steps=left, checkpoints=saved, **options)
    if monitor is not None and not log.interrupt.asked:
        measured = int(state.step) in monitor.history["step"]
        monitor.finish(state)
        if not measured:
            tracking.measurements(monitor)(int(state.step), state, {})
    log.end()
    return state, monitor


def _fit(run: Run, state: TrainState, **options: Any) -> TrainState:
    batches = run.batches(start=int(state.step))
    return fit(run.trainer, state, batches, key=run.keys[1], **options)[0]


def _updates_within(run: Run, mesh: Mesh | None, interrupt: Interrupt) -> int:
    """How many updates fit into the time, from a few whose results are thrown away.

    The training takes the same compiled program: the planned number of updates is traced.
    """
    _LOG.info("compiling")
    begin = time.monotonic()
    times: list[float] = []

    def tick(step: int, state: TrainState, metrics: dict[str, float]) -> bool:
        times.append(time.monotonic())
        return interrupt.asked

    with explained():
        options = {"num_steps": _CALIBRATION_STEPS, "log_every": _INTERVAL, "mesh": mesh}
        _fit(run, run.init(), callbacks=(tick,), **options)
    if interrupt.asked:
        raise KeyboardInterrupt
    _LOG.info("compiled in %.1f s", times[0] - begin)
    # the median, since the first updates and those of a busy machine take longer; of intervals,
    # since an update that is waited for takes longer than one of many
    each = float(np.median(np.diff(times))) / _INTERVAL if len(times) > 2 else 1.0
    return max(1, int(run.seconds / max(each, 1e-6)))


def _report(
    run: Run, state: TrainState, log: Log, monitor: Monitor | None, tracking: Tracking
) -> Report:
    assert run.dataset is not None
    key = jax.random.fold_in(jax.random.key(run.seed), 2)
    _LOG.info("drawing %d samples", _NUM_SAMPLES)
    drawn = draw(run, state, _NUM_SAMPLES, key=key)
    log_z = None if log.interrupt.asked else calibrate(run, state, log.folder)
    warn_of_chains(run, state, drawn, jax.random.fold_in(key, 1))
    found = Report(
        log.folder,
        int(state.step),
        log.seconds,
        drawn.x,
        drawn.source,
        frechet_ratio_of(data_with_noise(state.energy, run.dataset, seed=run.seed), drawn.x),
        draw_pictures(run, state, drawn, log.folder),
        log.interrupt.asked,
        facts_of(run, monitor),
    )
    facts = {
        "data": run.dataset.summary,
        "updates": found.num_updates,
        "seconds": round(found.seconds, 2),
        "frechet_ratio": found.frechet_ratio,
        "samples_from": found.source,
        "num_samples": len(found.samples),
        "skipped_updates": int(state.skipped),
        "interrupted": found.interrupted,
        **({"monitor": found.monitor} if found.monitor else {}),
        **({} if log_z is None else {"log_z_of_the_training": log_z}),
    }
    (log.folder / _REPORT).write_text(json.dumps(finite(facts), indent=2) + "\n")
    tracking.log_report(found.frechet_ratio, found.pictures, found.num_updates)
    return found


def _is_reported(folder: Path, num_steps: int) -> bool:
    """Whether all of a run is done, its report too."""
    path = folder / _REPORT
    return path.is_file() and json.loads(path.read_text())["updates"] == num_steps
