"""Metrics and pictures for TensorBoard."""

import contextlib
import dataclasses
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ... import _checks
from ._base import AbstractTracker, package
from ._pictures import as_bytes

SUFFIX = ".ebmx-"
"""In the names of event files, before their number."""


@dataclasses.dataclass
class TensorBoard(AbstractTracker):
    """Writes event files of TensorBoard. Needs `pip install 'ebmx[tensorboard]'`.

    A training that goes on writes a further file, which hides what the earlier ones have of later
    updates: `tensorboard --logdir FOLDER` shows each once. To look at them, install `tensorboard`.

    Args:
        folder: of the event files, which is made; that of one training.

    Raises:
        ImportError: with the pip line, if tensorboardX is missing.
    """

    folder: str | Path
    _config: Mapping[str, Any] | None = dataclasses.field(default=None, init=False, repr=False)
    _writer: Any = dataclasses.field(default=None, init=False, repr=False)
    _last: int = dataclasses.field(default=0, init=False, repr=False)  # the last step

    def __post_init__(self):
        package("tensorboardX", "tensorboard")

    def start(self, step: int) -> None:
        """Open a new file that hides what is logged of later updates.

        Args:
            step: how many updates there were.

        Raises:
            ValueError: if it is 0 and the folder holds event files of ebmx.
        """
        if self._writer is not None and self._last <= step:
            return  # nothing is to be hidden
        files = self._files()
        fix = "holds events of another training; go on from its checkpoint, or give another folder"
        _checks.require(step > 0 or not files, "folder", str(self.folder), fix)
        self._open(step, len(files), hides=bool(files))

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Write it as a text, at the first update that is made with it.

        Args:
            config: nested dictionaries.
        """
        self._config = config
        if self._writer is not None:
            text = json.dumps(config, indent=2, default=str)
            summary = _part("summary").text("config", f"```json\n{text}\n```")
            self._write(step=self._last + 1, summary=summary)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write scalars, in single precision; they are on the disk when it returns.

        Args:
            metrics: numbers by their names.
            step: how many updates there were.
        """
        summary = _part("proto.summary_pb2").Summary()
        for name, value in metrics.items():
            summary.value.add(tag=name, simple_value=float(value))
        self._at(step)
        self._write(step=step, summary=summary)

    def log_picture(self, name: str, picture: Any, step: int) -> None:
        """Write an image. Arguments as for `AbstractTracker.log_picture`."""
        array = as_bytes(picture, "tensorboard")
        summary = _part("summary").image(name, array, dataformats="HWC")
        self._at(step)
        self._write(step=step, summary=summary)

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _at(self, step: int) -> None:
        """Open a file if it is not open yet, and note the step."""
        if self._writer is None:
            self._open(step - 1, len(self._files()), hides=False)
        self._last = max(self._last, step)

    def _open(self, step: int, number: int, *, hides: bool) -> None:
        self.close()
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        # the number makes files that are opened within a second differ, and puts them in order
        name = f"events.out.tfevents.{int(time.time()):010}.{socket.gethostname()}"
        # not `SummaryWriter`: its thread ends at an error, and `add_scalar` then waits for ever
        writer = _part("record_writer").RecordWriter
        path = folder / f"{name}{SUFFIX}{number:04}"
        self._writer = writer(str(path))
        self._last = step
        try:
            self._write(file_version="brain.Event:2")
        except OSError:
            path.unlink()  # each attempt would leave one
            raise
        if hides:
            session = _part("proto.event_pb2").SessionLog
            self._write(step=step + 1, session_log=session(status=session.START))
        if self._config is not None:
            self.log_config(self._config)

    def _write(self, **fields: Any) -> None:
        event = _part("proto.event_pb2").Event(wall_time=time.time(), **fields)
        try:
            self._writer.write(event.SerializeToString())
            self._writer.flush()
        except OSError:
            # half a record would hide those after it: it goes on in a further file
            writer, self._writer = self._writer, None
            with contextlib.suppress(OSError):
                writer.close()
            raise

    def _files(self) -> list[Path]:
        return event_files(Path(self.folder))


def event_files(folder: Path) -> list[Path]:
    """The event files that ebmx has written into a folder."""
    return sorted(folder.glob(f"events.out.tfevents.*{SUFFIX}[0-9]*"))


def _part(name: str) -> Any:
    """A module of tensorboardX."""
    return package(f"tensorboardX.{name}", "tensorboard")
