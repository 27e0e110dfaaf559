"""Several trackers at once."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._base import AbstractTracker, attempt


@dataclasses.dataclass
class Trackers(AbstractTracker):
    """Several trackers as one; one that fails does not keep the others from logging.

    Args:
        trackers: all of them; may be empty.
    """

    trackers: Sequence[AbstractTracker]

    def start(self, step: int) -> None:
        """Start each.

        Args:
            step: how many updates there were.

        Raises:
            ValueError: as one of them says.
        """
        for tracker in self.trackers:
            tracker.start(step)

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Log the settings of the training with each.

        Args:
            config: nested dictionaries.
        """
        self._each(lambda one: (one.log_config, config))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics with each.

        Args:
            metrics: numbers by their names.
            step: how many updates there were.
        """
        self._each(lambda one: (one.log, metrics, step))

    def log_picture(self, name: str, picture: Any, step: int) -> None:
        """Log a picture with each. Arguments as for `AbstractTracker.log_picture`."""
        self._each(lambda one: (one.log_picture, name, picture, step))

    def close(self) -> None:
        """Close each."""
        self._each(lambda one: (one.close,))

    def _each(self, call: Callable[[AbstractTracker], tuple]) -> None:
        for tracker in self.trackers:
            attempt(tracker, *call(tracker))
