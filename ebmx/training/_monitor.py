"""Measurements in the midst of a training: which state was the best, and when to stop."""

import contextlib
import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks, _warnings
from .._types import Key
from ._state import TrainState
from .checkpoints._manifest import CheckpointError, SaveError
from .checkpoints._writer import Checkpoints, SaveWarning

MEASUREMENTS = "measurements.jsonl"


@dataclasses.dataclass
class Monitor:
    """A callback for `fit` that measures states, keeps the best one, and ends the training.

        def gap(state, *, key):
            samples, _ = ebmx.run(state.ema, chains, starts, num_steps=100, key=key)
            real, fake = (ebmx.energy(state.ema, x).mean() for x in (held_out, samples))
            return abs(real - fake)

        monitor = Monitor(gap, every=500, patience=10, folder="runs/mine/best", key=key)
        ebmx.fit(..., callbacks=[monitor])
        best = restore("runs/mine/best", trainer.init(model, key=key))

    With `folder`, the best state is saved there as `Checkpoints` does, beside `measurements.jsonl`
    with all measurements. A training that goes on from a checkpoint reads them, and drops those of
    later updates, which it makes again; the best state stays until a better one is found. Without
    `folder`, all is kept in memory, the best state on the devices.

    A value that is not finite is never the best.

    Args:
        measure: a function of `(state, *, key)` that returns a number, of which a lower one is
            better. Measure with data that are neither trained on nor tested on.
        every: how many updates there are between two measurements, rounded up to log intervals.
        patience: after how many measurements in a row without a better one the training ends;
            never if not given.
        folder: where the best state and the measurements are written; that of one training.
        key: one key, into which the number of the update is folded for each measurement.

    Raises:
        ValueError: if a number is below 1.
    """

    measure: Callable[..., Any]
    every: int = dataclasses.field(default=500, kw_only=True)
    patience: int | None = dataclasses.field(default=None, kw_only=True)
    folder: str | Path | None = dataclasses.field(default=None, kw_only=True)
    key: Key = dataclasses.field(kw_only=True)
    best_step: int | None = dataclasses.field(default=None, init=False)
    """The number of the update after which the best state was measured."""
    best_state: TrainState | None = dataclasses.field(default=None, init=False, repr=False)
    """The best state, without `folder`."""
    _values: dict[int, float] = dataclasses.field(default_factory=dict, init=False, repr=False)
    _has_read: bool = dataclasses.field(default=False, init=False, repr=False)

    def __post_init__(self):
        _checks.at_least("every", self.every, 1)
        if self.patience is not None:
            _checks.at_least("patience", self.patience, 1)
        fix = "give a function of (state, *, key)"
        _checks.require(callable(self.measure), "measure", self.measure, fix)

    @property
    def history(self) -> dict[str, np.ndarray]:
        """The measurements: `step` and `value`, each `(num,)`."""
        steps = sorted(self._values)
        values = [self._values[step] for step in steps]
        return {"step": np.array(steps, int), "value": np.array(values, float)}

    @property
    def best_value(self) -> float | None:
        """The lowest value."""
        return None if self.best_step is None else self._values[self.best_step]

    @property
    def last_value(self) -> float | None:
        """The value at the last measurement."""
        return self._values[max(self._values)] if self._values else None

    @property
    def is_over(self) -> bool:
        """Whether patience is through."""
        after = -1 if self.best_step is None else self.best_step
        stale = sum(step > after for step in self._values)
        return self.patience is not None and stale >= self.patience

    def start(self, step: int) -> None:
        """Read the folder before a training from this step on; `fit` calls it.

        Raises:
            CheckpointError: if a training that begins finds measurements of another one.
        """
        if step == 0 and self.folder is not None and self._read():
            fix = "go on from its checkpoint, or give another folder"
            raise CheckpointError(f"{self.folder}: holds measurements of another training; {fix}")
        self._go_on_from(step)

    def __call__(self, step: int, state: TrainState, metrics: Mapping[str, float]) -> bool:
        """Measure if it is due; returns whether the training ends."""
        del metrics
        if not self._has_read:
            self._go_on_from(step - 1)
        before = max((one for one in self._values if one < step), default=0)
        if step // self.every != before // self.every:
            self._record(step, state)
        return self.is_over

    def finish(self, state: TrainState) -> None:
        """Measure the last state of a training, unless it has been."""
        step = int(state.step)
        if not self._has_read:
            self._go_on_from(step)
        if step not in self._values:
            self._record(step, state)

    def _record(self, step: int, state: TrainState) -> None:
        if step == self.best_step:
            return  # of a training that goes on from before it
        value = float(self.measure(state, key=jax.random.fold_in(self.key, step)))
        self._values[step] = value
        self._write(step)
        best = self.best_value
        if math.isfinite(value) and (best is None or value < best):
            self._keep(step, state)

    def _keep(self, step: int, state: TrainState) -> None:
        """Save the state as the best, or copy it, since it is donated to the next update."""
        if self.folder is None:
            copy = lambda leaf: jnp.copy(leaf) if eqx.is_array(leaf) else leaf  # noqa: E731
            self.best_state, self.best_step = jax.tree.map(copy, state), step
            return
        saved = Checkpoints(self.folder, keep=1, asynchronous=False)
        if jax.process_index() == 0:
            # steps that the training had made before it went back are worse
            for later in (one for one in saved.steps if one >= step):
                shutil.rmtree(Path(self.folder) / str(later))
        try:
            with contextlib.closing(saved.writer(state)) as writer:
                writer.save(state)
        except SaveError as error:
            _warnings.warn(str(error), SaveWarning)
        else:
            self.best_step = step

    def _go_on_from(self, step: int) -> None:
        """Forget what was measured after this step, but for the best state, which is there."""
        self._has_read = True
        if self.folder is None:
            return
        values = self._read()
        known = [one for one in Checkpoints(self.folder).steps if one in values]
        self.best_step = known[-1] if known else None
        kept = (one for one in values if one <= step or one == self.best_step)
        self._values = {one: values[one] for one in sorted(kept)}
        self._write()

    def _read(self) -> dict[int, float]:
        assert self.folder is not None
        path = Path(self.folder) / MEASUREMENTS
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        # all lines but one that a kill has cut
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return {line["step"]: line["value"] for line in lines}

    def _write(self, step: int | None = None) -> None:
        """Add the line of a step, or write all lines again."""
        if self.folder is None or jax.process_index() > 0:
            return
        path, steps = Path(self.folder) / MEASUREMENTS, [step] if step else [*self._values]
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"step": one, "value": self._values[one]}) for one in steps]
        with open(path, "a" if step else "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
