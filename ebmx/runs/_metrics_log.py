"""The metrics of a run, written as it goes."""

import json
import time
from pathlib import Path

import numpy as np

from .._interrupt import Interrupt
from ..training import TrainState


class Log:
    """A callback that writes metrics to the folder, and ends the training when asked to."""

    def __init__(
        self, folder: Path, step: int, begin: float, end: float | None, interrupt: Interrupt
    ):
        """`step` is the one that the training starts from: lines of later ones are dropped."""
        self._path, self._end, self._interrupt = folder / "metrics.jsonl", end, interrupt
        text = self._path.read_text() if step > 0 and self._path.exists() else ""
        # a kill may have cut the last line
        whole = [line for line in text.splitlines() if line.endswith("}")]
        kept = [line for line in whole if json.loads(line)["step"] <= step]
        self._path.write_text("".join(f"{line}\n" for line in kept))
        self.begin = begin - (json.loads(kept[-1])["seconds"] if kept else 0)

    def __call__(self, step: int, state: TrainState, metrics: dict[str, float]) -> bool:
        del state
        now = time.monotonic()
        line = {"step": step, "seconds": round(now - self.begin, 3)} | metrics
        with open(self._path, "a") as file:
            file.write(json.dumps(line) + "\n")
        return self._interrupt.asked or (self._end is not None and now > self._end)


def read_log(folder: Path) -> dict[str, np.ndarray]:
    """The metrics of a run, `(records,)` for each name; a line that a kill has cut is left out."""
    path = folder / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    names = dict.fromkeys(name for line in lines for name in line)
    return {name: np.array([line.get(name, np.nan) for line in lines], float) for name in names}
