"""Logs a run by trackers, beside what it writes itself."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np

from ..config._tables import Config
from ..config._trackers import TRACKERS
from ..plotting import sample_grid
from ..training import AbstractTracker, Monitor, Trackers, TrainState
from ..training.trackers._tensorboard import event_files
from ._metrics_log import Log
from ._run import is_image

IDS = "trackers.json"
CSV = "metrics.csv"
TENSORBOARD = "tensorboard"
_WITHIN = {"csv": {"path": CSV}, "tensorboard": {"folder": TENSORBOARD}}
"""Trackers that write into the folder of a run, and the argument that says where."""
_NUM = 100


def check_installed(config: Config) -> None:
    """Check that there are the packages of the trackers that a config names."""
    for name, arguments in _tables(config).items():
        TRACKERS[name](**_WITHIN.get(name, {}), **arguments)


def _tables(config: Config) -> dict[str, dict[str, Any]]:
    """The trackers of a config; of several processes, the first has them."""
    return config.get("trackers", {}) if jax.process_index() == 0 else {}


class Tracking:
    """The trackers of a run, as a callback and a context manager.

    Those that log elsewhere start with it, before the folder of the run is changed; those that
    write into it start with `begin`.
    """

    def __init__(self, config: Config, name: str, step: int, ids: Mapping[str, str]):
        self.config, self.step = config, step
        self._trackers = Trackers(())
        self._ids: dict[str, str] = {}
        elsewhere = {one: table for one, table in _tables(config).items() if one not in _WITHIN}
        try:
            for one, table in elsewhere.items():
                tracker = TRACKERS[one](**{**_named(one, name, ids), **table})
                self._start(one, tracker)
                key = "name" if one == "trackio" else "id"
                self._ids[one] = getattr(tracker, key)
        except BaseException:
            self._trackers.close()
            raise

    def begin(self, log: Log) -> None:
        """Start the trackers that write into the folder of the run, and log the config by all."""
        self.log = log
        for one in _tables(self.config):
            if one in _WITHIN:
                places = {key: log.folder / place for key, place in _WITHIN[one].items()}
                self._start(one, TRACKERS[one](**places))
        if self._ids:
            text = json.dumps(self._ids, indent=2) + "\n"
            (log.folder / IDS).write_text(text, encoding="utf-8")
        self._trackers.log_config(self.config)

    def _start(self, name: str, tracker: AbstractTracker) -> None:
        try:
            tracker.start(self.step)
        except (ValueError, OSError):
            raise
        except Exception as error:  # of a service, each of which has its own
            raise ConnectionError(f"trackers.{name}: {error}") from error
        self._trackers = Trackers((*self._trackers.trackers, tracker))

    def __call__(self, step: int, state: TrainState, metrics: Mapping[str, float]) -> None:
        """Log a line of metrics, in time that does not count as that of the training."""
        del state
        seconds = round(self.log.seconds, 3)
        with self.log.paused():
            self._trackers.log({"seconds": seconds} | dict(metrics), step)

    def measurements(self, monitor: Monitor) -> Callable[[int, TrainState, Any], None]:
        """A callback that logs what the table `[monitor]` has measured at a step, if it has.

        It comes after the monitor; its values are taken, not those of the function that measures,
        since a training that goes on does not measure the best state again.
        """
        name = f"monitor/{self.config['monitor']['metric']}"

        def log(step: int, state: TrainState, metrics: Any) -> None:
            del state, metrics
            steps, values = monitor.history["step"], monitor.history["value"]
            for value in values[steps == step]:
                with self.log.paused():
                    self._trackers.log({name: float(value)}, step)

        return log

    def log_samples(
        self, x: np.ndarray, step: int, span: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        """Log a grid of samples `(num, *shape)` on this scale, if they are images."""
        if self._trackers.trackers and is_image(x.shape[1:]) and np.all(np.isfinite(x)):
            # samples may be sorted by their labels
            some = np.random.default_rng(0).permutation(len(x))[:_NUM]
            grid = sample_grid({"samples of the model": x[some]}, span=span)
            self._trackers.log_picture("monitor/samples", grid, step)

    def log_report(self, ratio: float | None, pictures: Sequence[Path], step: int) -> None:
        """Log the Fréchet ratio of the report and its pictures."""
        if ratio is not None:
            self._trackers.log({"report/frechet_ratio": ratio}, step)
        for path in pictures:
            self._trackers.log_picture(f"report/{path.stem}", path, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._trackers.close()


def _named(tracker: str, name: str, ids: Mapping[str, str]) -> dict[str, str]:
    """What says to a tracker which run this is: a new one of this name, or one of before."""
    if tracker == "trackio":
        # by its name alone, which another folder may have given as well
        return {"name": ids.get(tracker, f"{name}-{secrets.token_hex(2)}")}
    return {"name": name} | ({"id": ids[tracker]} if tracker in ids else {})


def ids_of(folder: Path) -> dict[str, str]:
    """The runs of before in the trackers that log elsewhere."""
    path = folder / IDS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def delete_events(folder: Path) -> None:
    """Delete the event files of a run, and nothing else."""
    events = folder / TENSORBOARD
    for path in event_files(events):
        path.unlink()
    if events.is_dir() and not any(events.iterdir()):
        events.rmdir()
