"""The metrics of a run, written as it goes."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .._interrupt import Interrupt
from ..training import TrainState

_NAME = "metrics.jsonl"


class Log:
    """A callback that writes metrics to the folder, and ends the training when asked to.

    `step` is the one that the training starts from; lines of later ones are dropped.
    """

    def __init__(self, folder: Path, step: int, limit: float | None, interrupt: Interrupt):
        self.folder, self.interrupt = folder, interrupt
        kept = [line for line in _lines(folder) if line["step"] <= step] if step > 0 else []
        text = "".join(f"{json.dumps(line)}\n" for line in kept)
        (folder / _NAME).write_text(text)
        now = time.monotonic()
        self._begin = now - (kept[-1]["seconds"] if kept else 0)
        self._end = None if limit is None else now + limit

    def __call__(self, step: int, state: TrainState, metrics: dict[str, float]) -> bool:
        del state
        self.end()
        line = {"step": step, "seconds": round(self.seconds, 3)} | metrics
        with open(self.folder / _NAME, "a") as file:
            file.write(json.dumps(line) + "\n")
        return self.interrupt.asked or (self._end is not None and time.monotonic() > self._end)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """A context whose time does not count, neither as that of the training nor to its limit."""
        begin = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - begin
            self._begin += spent
            self._end = None if self._end is None else self._end + spent

    def end(self) -> None:
        """Note how long the training has taken by now, that before a resumption too."""
        self.seconds = time.monotonic() - self._begin


def _lines(folder: Path) -> list[dict[str, float]]:
    """All lines but one that a kill has cut."""
    path = folder / _NAME
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def read_log(folder: Path) -> dict[str, np.ndarray]:
    """The metrics of a run, `(records,)` for each name."""
    lines = _lines(folder)
    names = dict.fromkeys(name for line in lines for name in line)
    return {name: np.array([line.get(name, np.nan) for line in lines], float) for name in names}
