"""Writing of checkpoints during a training, each complete or absent."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import multihost_utils

from ... import _checks, _warnings
from ._manifest import (
    CheckpointError,
    Config,
    DamagedError,
    SaveError,
    arrays_of,
    read_manifest,
    structure_of,
    write_manifest,
)
from ._orbax import (
    check,
    check_readable,
    first_good,
    handler,
    orbax,
    plain,
    read_state,
    steps_in,
)


class SaveWarning(UserWarning):
    """A checkpoint that could not be written, while the training goes on."""


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Where and how often `fit` saves its state. Needs `pip install ebmx[checkpoint]`.

    Each saved step is a folder, named by its number, that appears when it is complete. It holds the
    arrays as orbax-checkpoint writes them, their dtypes, shapes and checksums, and the config. One
    training at a time may write into `folder`.

    Args:
        folder: the folder of all steps; created if it does not exist.
        every: how many updates there are between two saves, rounded up to log intervals.
        keep: how many of the last steps are kept, at least 1.
        asynchronous: write in a thread while the training goes on.
        config: from which the state can be built again, TOML text or a dictionary of TOML's types;
            it is compared when a training goes on.

    Raises:
        ValueError: if the folder is an address, a number is below 1, or the config is not of these
            types.
    """

    folder: str | Path
    every: int = dataclasses.field(default=500, kw_only=True)
    keep: int = dataclasses.field(default=3, kw_only=True)
    asynchronous: bool = dataclasses.field(default=True, kw_only=True)
    config: Config = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self):
        fix = "give a folder of this machine, or one that is mounted"
        _checks.require("://" not in str(self.folder), "folder", self.folder, fix)
        _checks.at_least("every", self.every, 1)
        _checks.at_least("keep", self.keep, 1)
        try:
            same = json.loads(json.dumps(self.config)) == self.config
        except (TypeError, ValueError):
            same = False
        fix = "give text, or a dictionary of strings, numbers, lists and dictionaries"
        _checks.require(same, "config", self.config, fix)

    @property
    def steps(self) -> list[int]:
        """The steps that are on disk, in order."""
        return steps_in(self.folder)

    def saved_config(self, step: int | None = None) -> Config:
        """The config beside the checkpoint of a step, by default of the last good one.

        Raises:
            CheckpointError: if there is none, or it is damaged.
        """
        read = lambda path: read_manifest(path)["config"]  # noqa: E731
        return first_good(self.folder, step, step is None, read)

    def writer(self, state: Any) -> "Writer":
        """A writer for a training that goes on from `state`.

        Raises:
            CheckpointError: if the folder holds a good later step, or one of another config.
            ImportError: if orbax-checkpoint is not installed.
        """
        return Writer(self, state)


class Writer:
    """Writes the checkpoints of one training."""

    def __init__(self, settings: Checkpoints, state: Any):
        arrays_of(state)  # refuses keys, before anything is trained
        self._settings = settings
        options = orbax().options.AsyncOptions(post_finalization_callback=self._seal)
        self._folder = Path(settings.folder).absolute()
        self._structure: dict[str, Any] = {}
        self._smallest: dict[str, Any] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        self._last = int(state.step)
        self._clean()
        self._refuse(state)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("the folder is clean")
        self._open = contextlib.ExitStack()
        self._target = self._open.enter_context(plain(self._folder))
        self._checkpointer = orbax().AsyncCheckpointer(handler(), async_options=options)

    def save_if_due(self, step: int, state: Any, now: bool = False) -> None:
        """Save if a multiple of the interval has passed since the last save, or now.

        A failure is a warning.
        """
        every = self._settings.every
        if now or step // every != self._last // every:
            with _warning():
                self.save(state)

    def save(self, state: Any) -> None:
        """Save now, unless the step is there. A thread writes on after the return.

        A failure is a `SaveError`, one of the save before a `SaveWarning`.
        """
        step = int(state.step)
        with _warning():
            self.wait()
        self._last = step
        if step in steps_in(self._folder):
            return
        # a copy, since the training donates the state to its next update
        arrays = {path: jnp.copy(leaf) for path, leaf in arrays_of(state).items()}
        self._structure = structure_of(state)
        self._smallest = dict([min(arrays.items(), key=lambda item: item[1].nbytes)])
        args = orbax().args.PyTreeSave(arrays)
        self._try(self._checkpointer.save, self._target / str(step), args)
        if not self._settings.asynchronous:
            self.wait()

    def wait(self) -> None:
        """Wait until what is being written is on disk, or raise a `SaveError`."""
        self._try(self._checkpointer.wait_until_finished)
        if jax.process_index() > 0:
            return
        for step in steps_in(self._folder)[: -self._settings.keep]:
            self._path(step).rename(self._path(step).with_suffix(".deleted"))
        self._clean()

    def close(self) -> None:
        """Wait, and end the thread."""
        try:
            self.wait()
        finally:
            self._checkpointer.close()
            self._open.close()

    def _seal(self) -> None:
        """Check that arrays can be read, and add the manifest, in orbax's thread."""
        # before orbax renames the folder, so that a named step always has its manifest
        (unfinished,) = _unfinished(self._target, str(self._last))
        check_readable(unfinished, self._smallest)
        write_manifest(unfinished, self._structure, self._settings.config)

    def _path(self, step: int) -> Path:
        return self._folder / str(step)

    def _try(self, function: Any, *args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except Exception as error:
            steps = steps_in(self._folder)
            good = f"the last one is {steps[-1]}" if steps else "there is none"
            reason = (str(error) or type(error).__name__).splitlines()[0]
            message = f"{self._folder}: a checkpoint was not written, {good}: {reason}"
            raise SaveError(message) from error

    def _clean(self) -> None:
        """Remove unfinished folders, which a killed process or a full disk leaves."""
        if jax.process_index() > 0:
            return
        steps = "[0-9]*"
        for path in [*_unfinished(self._folder, steps), *self._folder.glob(f"{steps}.deleted")]:
            shutil.rmtree(path, ignore_errors=True)

    def _refuse(self, state: Any) -> None:
        """Refuse the folder of another training; rename damaged later steps."""
        earlier = [step for step in steps_in(self._folder) if step <= self._last]
        if earlier:
            with contextlib.suppress(DamagedError):
                check(self._path(earlier[-1]), state, self._settings.config)
        for step in steps_in(self._folder)[len(earlier) :]:
            path = self._path(step)
            try:
                read_state(path, state, self._settings.config)
            except DamagedError:
                if jax.process_index() == 0:
                    path.rename(path.with_suffix(".damaged"))
                continue
            fix = "go on from it with `restore`, or give another folder"
            raise CheckpointError(f"{path}: later than the step {self._last} of the state; {fix}")


def _unfinished(folder: Path, steps: str) -> list[Path]:
    """The folders of these steps that orbax has not completed."""
    is_temporary = orbax().utils.is_tmp_checkpoint
    return [path for path in folder.glob(f"{steps}.*") if is_temporary(path)]


@contextlib.contextmanager
def _warning() -> Iterator[None]:
    try:
        yield
    except SaveError as error:
        _warnings.warn(str(error), SaveWarning)
