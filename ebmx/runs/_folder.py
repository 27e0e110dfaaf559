"""The folder of a run: claimed without losing anything, and opened again."""

import contextlib
import dataclasses
import itertools
import json
import logging
import re
import shutil
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks, _warnings
from ..config._tables import Config, read_config, write_config
from ..data import Dataset
from ..energies import Calibrated
from ..training import Checkpoints, TrainState, restore
from ..training._monitor import MEASUREMENTS
from ._calibration import CONSTANTS, constants_of
from ._facts import MOMENTS, Facts, checksum
from ._metrics_log import read_log
from ._optimiser import with_plan
from ._run import Run, averaged, load_data, make_run
from ._trackers import CSV, IDS, delete_events

CHECKPOINTS = "checkpoints"
BEST = "best"
RECORD = "run.json"
PICTURES = ("samples.png", "energies.png", "density.png", "marginals.png")
FILES = ("config.toml", RECORD, MOMENTS, CONSTANTS, "metrics.jsonl", "report.json", *PICTURES)
FILES += (CSV, IDS)
"""What a run writes into its folder, beside folders: `checkpoints`, `best`, `tensorboard` and
`evaluation…`."""

_FORMAT = 2
_LOG = logging.getLogger("ebmx")


def free_folder(name: str) -> Path:
    """`runs/NAME-N` with the first number `N` that is free."""
    # `.` and `..` have no name of their own
    stem = Path(name).stem.strip(".") or Path(name).resolve().stem
    folders = (Path(f"runs/{stem}-{number}") for number in itertools.count())
    return next(folder for folder in folders if not folder.exists())


def check_free(out: str | Path, overwrite: bool) -> None:
    """Check that a run may be written into a folder; nothing is changed."""
    if "://" in str(out):
        raise ValueError(f"out={out}: give a folder of this machine, or one that is mounted")
    check_free_for("a run", Path(out), RECORD, (*FILES, CHECKPOINTS, BEST), overwrite)


def check_free_for(
    what: str, folder: Path, record: str, files: Sequence[str], overwrite: bool
) -> None:
    """Check that a run or an export, whose files have these names, may be written into a folder."""
    file = next((path for path in (folder, *folder.parents) if path.is_file()), None)
    if file is not None:
        raise ValueError(f"out={folder}: {file} is a file; give the name of a folder")
    entries = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if (folder / record).is_file():
        fix = f"holds {what}; give another folder, or --overwrite"
        _checks.require(overwrite, "out", str(folder), fix)
        return
    # without a record, files of our names are not of a run, and would be replaced
    taken = not {*entries}.isdisjoint(files)
    fix = f"holds files that are not of {what} ({', '.join(entries[:3])}); give an empty folder"
    ok = not entries or (overwrite and not taken)
    _checks.require(ok, "out", str(folder), fix if taken else f"{fix}, or --overwrite")


def claim(out: Path | None, run: Run, num_steps: int, overwrite: bool) -> Path:
    """Take a folder, or the first free `runs/NAME-N`, and write what is known of a run into it.

    Whether it is free is checked again: another process may have taken it since the start.
    """
    if out is None:
        folder = _new_folder(run.facts.name.removeprefix("hf:"))
    else:
        folder = out
        check_free(folder, overwrite)
        if (folder / RECORD).is_file():
            _delete_run(folder)
        folder.mkdir(parents=True, exist_ok=True)
    write_config(folder / "config.toml", run.config)
    record(folder, run, num_steps)
    return folder


def _new_folder(name: str) -> Path:
    """Make the first free folder; one that another process makes meanwhile is not free."""
    while True:
        with contextlib.suppress(FileExistsError):
            folder = free_folder(name)
            folder.mkdir(parents=True)
            return folder


def record(folder: Path, run: Run, num_steps: int) -> None:
    """Write `run.json`, and the moments of the data beside it."""
    values = {
        "format": _FORMAT,
        "ebmx": metadata.version("ebmx"),
        "num_steps": num_steps,
        "data": run.facts.write(folder),
    }
    (folder / RECORD).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _delete_run(folder: Path) -> None:
    """Delete what a run and its evaluations have written, and nothing else."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    (folder / BEST / MEASUREMENTS).unlink(missing_ok=True)
    delete_events(folder)
    for saved in (folder / CHECKPOINTS, folder / BEST):
        for path in list(saved.iterdir()) if saved.is_dir() else []:
            # steps, and what an interrupted save has left
            if re.match(r"\d+(\D|$)", path.name) and path.is_dir():
                shutil.rmtree(path)
    for page in list(folder.glob("evaluation*/report.md")):
        text = page.read_text(encoding="utf-8")
        if not text.startswith("# Evaluation of "):
            continue  # a page of the user
        pictures = re.findall(r"!\[\w+\]\((\w+\.png)\)", text)
        for name in ("report.json", "report.md", *pictures):
            (page.parent / name).unlink(missing_ok=True)
        if not any(page.parent.iterdir()):
            page.parent.rmdir()


@dataclasses.dataclass(frozen=True)
class OpenRun:
    """A trained run, as `open` returns it."""

    folder: Path
    """Of the run."""
    config: Config = dataclasses.field(repr=False)
    """Nested tables, as `ebmx.config.read_config` returns them."""
    run: Run = dataclasses.field(repr=False)
    """The objects that the config names."""
    state: TrainState = dataclasses.field(repr=False)
    """The state after the last saved update, or the best one."""
    num_steps: int
    """How many updates were planned."""
    log_z: np.ndarray | None = None
    """`log Z` of the trained energy at each level, `(levels,)`, if `[calibration]` has found it."""

    @property
    def energy(self) -> Any:
        """The trained energy, with averaged parameters: a function of one example, and of a label
        or a noise level if it has these; normalised by the constants of `[calibration]`."""
        energy = averaged(self.state)
        return energy if self.log_z is None else Calibrated(energy, self.log_z)

    @property
    def sampler(self) -> Any:
        """The sampler of its chains."""
        return self.run.sampler

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.run.facts.shape

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, if the data are a table that has them."""
        return self.run.facts.columns

    @property
    def span(self) -> tuple[float, float]:
        """The ends of the scale of the model: of the range of the data."""
        return self.run.facts.span

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels, the first of them of label 0, if the data have them."""
        return self.run.facts.classes

    @property
    def history(self) -> dict[str, np.ndarray]:
        """The metrics of the training, `(records,)` for each name."""
        return read_log(self.folder)

    @property
    def log_jacobian(self) -> float:
        """What to add to a log density on the scale of the model for that in data units: nats."""
        return self.run.facts.stand_in.log_jacobian

    def to_units(self, x: Any) -> np.ndarray:
        """From the scale of the model to data units.

        Args:
            x: examples `(num, *shape)`, such as samples of the energy.

        Returns:
            An array of that shape.
        """
        return self.run.facts.stand_in.to_units(np.asarray(x))

    def from_units(self, x: Any) -> np.ndarray:
        """From data units to the scale of the model, on which the energy is defined.

        Args:
            x: examples `(num, *shape)` in data units.

        Returns:
            An array of that shape, float32.
        """
        return self.run.facts.stand_in.from_units(np.asarray(x))

    def data(self) -> Dataset:
        """The data set of the run, from where it was or from the same place beside the folder.

        Raises:
            ValueError: if the data cannot be found.

        Warns:
            UserWarning: if the data have changed since the training.
        """
        dataset = self.find_data()
        if checksum(dataset) != self.run.facts.checksum:
            text = f"{dataset.name} has changed since the run in {self.folder} was trained on it"
            _warnings.warn(text, UserWarning)
        return dataset

    def find_data(self) -> Dataset:
        """The data set as it is now."""
        facts = self.run.facts
        places = [facts.path, facts.relative_path and str(self.folder / facts.relative_path)]
        found = [place for place in places if place and Path(place).exists()]
        prefix = "hf:" if facts.name.startswith("hf:") else ""
        name = prefix + found[0] if found else facts.name
        config = {**self.config, "data": {**self.config["data"], "name": name}}
        return dataclasses.replace(load_data(config), name=facts.name)


def open(folder: str | Path, *, fallback: bool = False, best: bool = False) -> OpenRun:
    """Open the folder of a trained run; its data are not needed.

    Args:
        folder: of the run.
        fallback: go back to the last good checkpoint if the last one is damaged.
        best: take the state that the table `[monitor]` of the config measured as the best, not the
            last one.

    Returns:
        An `OpenRun`: `config`, `energy`, `sampler`, `shape`, `columns`, `classes`, `to_units`,
        `from_units`, `history` and `data()`.

    Raises:
        ValueError: if the folder holds no run, or a damaged one, or no best state.
    """
    folder = Path(folder)
    if not Checkpoints(folder / CHECKPOINTS).steps or not (folder / RECORD).is_file():
        fix = "holds no trained run; make one with `ebmx train`"
        if (folder / "ebmx.json").is_file():
            fix = "is an export: `ebmx sample` takes it, and in Python `ebmx.runs.load_model`"
        raise ValueError(f"folder={folder}: {fix}")
    saved = folder / (BEST if best else CHECKPOINTS)
    fix = "holds no best state; train with a table [monitor], which measures it"
    _checks.require(bool(Checkpoints(saved).steps), "folder", str(folder), fix)
    try:
        values = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        facts = Facts.read(values["data"], folder)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"folder={folder}: {RECORD} is damaged: {error}") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"folder={folder}: {MOMENTS} is damaged: {error}") from error
    config = read_config(folder / "config.toml")
    run = make_run(config, facts)
    like = with_plan(run.init(), values["num_steps"])
    state = restore(saved, like, fallback=fallback)
    log_z = constants_of(folder, int(state.step))
    return OpenRun(folder, config, run, state, values["num_steps"], log_z)
