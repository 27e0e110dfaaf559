"""Metrics and pictures for Trackio."""

import contextlib
import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from ._base import AbstractTracker, package
from ._pictures import as_bytes


@dataclasses.dataclass
class Trackio(AbstractTracker):
    """Logs to Trackio. Needs `pip install 'ebmx[trackio]'`.

    All else is said by its environment variables, such as `TRACKIO_DIR` and `TRACKIO_SPACE_ID`;
    `trackio show` opens its dashboard.

    Args:
        project: of the run.
        name: of the run, of which a training that goes on needs that of before; one that Trackio
            makes up if not given. After the start it is that of the run.

    Raises:
        ImportError: with the pip line, if trackio is missing.
    """

    project: str = "ebmx"
    name: str | None = dataclasses.field(default=None, kw_only=True)
    _config: Mapping[str, Any] | None = dataclasses.field(default=None, init=False, repr=False)
    _run: Any = dataclasses.field(default=None, init=False, repr=False)
    _last: int = dataclasses.field(default=-1, init=False, repr=False)  # step of before

    def __post_init__(self):
        package("trackio", "trackio")

    def start(self, step: int) -> None:
        """Begin a run, or go on with the last one of this name; steps that it has are left out.

        Args:
            step: how many updates there were; with 0 the run is new.
        """
        if self._run is None:
            with _prints_notices():
                self._run = package("trackio", "trackio").init(
                    self.project,
                    name=self.name,
                    config=None if self._config is None else dict(self._config),
                    resume="never" if step == 0 else "allow",
                )
            self.name = self._run.name
            # the number that it would give to the next record
            self._last = getattr(self._run, "_next_step", 0) - 1

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Keep it for the start of the run, or its first metrics.

        Args:
            config: nested dictionaries.
        """
        self._config = config
        if self._run is not None:
            self._run.config.update(config)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Hand metrics to Trackio, which writes them in the background.

        Args:
            metrics: numbers by their names.
            step: how many updates there were.
        """
        self._log({name: float(value) for name, value in metrics.items()}, step)

    def log_picture(self, name: str, picture: Any, step: int) -> None:
        """Log an image. Arguments as for `AbstractTracker.log_picture`."""
        array = as_bytes(picture, "trackio")
        self._log({name: package("trackio", "trackio").Image(array)}, step)

    def close(self) -> None:
        """Finish the run, and wait until all is written."""
        if self._run is not None:
            trackio = package("trackio", "trackio")
            # its own `finish` also forgets the run, which would else be finished again at exit
            ours = trackio.context_vars.current_run.get() is self._run
            with _prints_notices():
                (trackio if ours else self._run).finish()
            self._run = None

    def _log(self, values: dict[str, Any], step: int) -> None:
        self.start(step - 1)
        if step > self._last:
            self._run.log(values, step=step)


def _prints_notices() -> contextlib.AbstractContextManager[Any]:
    """What Trackio prints goes to standard error, where notices are."""
    return contextlib.redirect_stdout(sys.stderr)
