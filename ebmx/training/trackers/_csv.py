"""Metrics in a CSV file."""

import csv
import dataclasses
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ... import _checks
from ._base import AbstractTracker

Row = dict[str, str]


@dataclasses.dataclass
class CSV(AbstractTracker):
    """Writes metrics to a CSV file: a row for each step, a column for each metric.

    Numbers are written with all their digits; a metric that is missing in a row leaves its place
    empty, and one that comes later adds a column. A row is on the disk when `log` returns. Configs
    and pictures are left out.

    Args:
        path: of the file, whose folders are made; that of one training.
    """

    path: str | Path
    _is_open: bool = dataclasses.field(default=False, init=False, repr=False)
    _names: list[str] = dataclasses.field(default_factory=list, init=False, repr=False)
    _last: Row = dataclasses.field(default_factory=dict, init=False, repr=False)
    _begin: int = dataclasses.field(default=0, init=False, repr=False)  # of the last row, in bytes
    _end: int = dataclasses.field(default=0, init=False, repr=False)

    def start(self, step: int) -> None:
        """Read the file, and drop the rows of later updates.

        Args:
            step: how many updates there were.

        Raises:
            ValueError: if it is 0 and there are rows, or the file is not one of metrics.
        """
        rows = self._open()
        fix = "holds metrics of another training; go on from its checkpoint, or give another file"
        _checks.require(step > 0 or not rows, "path", str(self.path), fix)
        kept = [row for row in rows if int(row["step"]) <= step]
        if len(kept) < len(rows):
            self._write(kept)

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Leave it out."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write a row, or add to the last one if it is of this step.

        Args:
            metrics: numbers by their names.
            step: how many updates there were.

        Raises:
            ValueError: if the file has a later row, or a metric is called `step`.
        """
        fix = "the first column has this name; give the metric another one"
        _checks.require("step" not in metrics, "metrics", list(metrics), fix)
        if not self._is_open:
            self._open()
        last = int(self._last["step"]) if self._last else None
        fix = f"the last row is of step {last}; `start` drops rows"
        _checks.require(last is None or step >= last, "step", step, fix)
        again = step == last
        row = {"step": str(int(step))} | {name: repr(float(v)) for name, v in metrics.items()}
        row = self._last | row if again else row
        # what fails may leave half a row: the file is read again
        self._is_open = False
        if row.keys() <= {*self._names}:
            self._put(row, self._begin if again else self._end)
        else:
            rows, _ = self._read()
            self._write([*(rows[:-1] if again else rows), row])
        self._is_open = True

    def log_picture(self, name: str, picture: Any, step: int) -> None:
        """Leave it out."""

    def close(self) -> None:
        """Nothing is open."""

    def _put(self, row: Row, position: int) -> None:
        """Write the last row from a position on."""
        line = _text([row], self._names)
        with open(self.path, "r+b") as file:
            file.seek(position)
            file.truncate()
            file.write(line)
        self._last, self._begin, self._end = row, position, position + len(line)

    def _open(self) -> list[Row]:
        rows, is_whole = self._read()
        if is_whole:
            self._remember(rows)
        else:
            self._write(rows)
        self._is_open = True
        return rows

    def _write(self, rows: list[Row]) -> None:
        """Write all rows, beside the old file until they are complete."""
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._names = list(dict.fromkeys(["step", *self._names, *(n for row in rows for n in row)]))
        header = dict(zip(self._names, self._names, strict=True))
        beside = path.with_name(f"{path.name}.part")
        try:
            beside.write_bytes(_text([header, *rows], self._names))
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        self._remember(rows)

    def _remember(self, rows: list[Row]) -> None:
        """Where the last row is."""
        self._last = rows[-1] if rows else {}
        self._end = Path(self.path).stat().st_size if self._names else 0
        self._begin = self._end - len(_text(rows[-1:], self._names))

    def _read(self) -> tuple[list[Row], bool]:
        """All rows but one that a kill has cut, and whether all are whole."""
        path = Path(self.path)
        text = path.read_bytes().decode() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        reader = csv.DictReader(io.StringIO(whole, newline=""))
        self._names = [*(reader.fieldnames or ())]
        rows = [{name: v for name, v in row.items() if v != ""} for row in reader]
        ok = (self._names[:1] == ["step"] or not text) and all(
            None not in row and row.get("step", "").isdecimal() for row in rows
        )
        fix = "is not a file of metrics by steps; give the name of another file"
        _checks.require(ok, "path", str(self.path), fix)
        return rows, whole == text


def _text(rows: Iterable[Row], names: list[str]) -> bytes:
    file = io.StringIO(newline="")
    csv.DictWriter(file, names, restval="", lineterminator="\n").writerows(rows)
    return file.getvalue().encode()
