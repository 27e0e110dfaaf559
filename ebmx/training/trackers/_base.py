"""What a tracker is, and what happens when one fails."""

import abc
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Self

import jax

from ... import _warnings
from .._state import TrainState


class TrackerWarning(UserWarning):
    """A tracker has failed; the training goes on."""


class AbstractTracker(abc.ABC):
    """Logs metrics, a config and pictures; a callback for `fit`, and a context manager.

        with TensorBoard("logs/mine") as tracker:
            tracker.log_config({"num_steps": 1000})
            ebmx.fit(..., callbacks=[tracker])

    As a callback it logs the metrics of each log interval, in the first of several processes. What
    raises then is a `TrackerWarning`, the first time, and the training goes on.
    """

    _has_warned = False

    @abc.abstractmethod
    def start(self, step: int) -> None:
        """Begin a training, or go on with one after this update; `fit` calls it.

        Args:
            step: how many updates there were. What was logged of later ones is dropped where that
                is possible, since the training makes them again.

        Raises:
            ValueError: if it is 0 where another training is logged already.
        """

    @abc.abstractmethod
    def log_config(self, config: Mapping[str, Any]) -> None:
        """Log the settings of the training.

        Args:
            config: nested dictionaries, such as a config of `ebmx.config`.
        """

    @abc.abstractmethod
    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics.

        Args:
            metrics: numbers by their names.
            step: how many updates there were; not below that of the last call.
        """

    @abc.abstractmethod
    def log_picture(self, name: str, picture: Any, step: int) -> None:
        """Log a picture.

        Args:
            name: of the picture, the same at each step.
            picture: a figure of matplotlib; the path of an image; or an array `(height, width)` or
                `(height, width, channels)` with 1, 3 or 4 channels, of bytes or of floats in
                [0, 1].
            step: how many updates there were.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Finish what is being written."""

    def __call__(self, step: int, state: TrainState, metrics: Mapping[str, float]) -> None:
        """Log the metrics of a log interval."""
        del state
        if jax.process_index() == 0:
            attempt(self, self.log, metrics, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        attempt(self, self.close)


def attempt(tracker: AbstractTracker, method: Callable[..., None], *args: Any) -> None:
    """Call a method of a tracker; what it raises is a warning, the first time."""
    try:
        method(*args)
    except Exception as error:
        if not tracker._has_warned:
            tracker._has_warned = True
            name = f"{type(tracker).__name__}.{method.__name__}"
            text = f"{name} has failed, and the training goes on: {type(error).__name__}: {error}"
            _warnings.warn(text, TrackerWarning)


def package(name: str, extra: str) -> Any:
    """An optional package.

    Raises:
        ImportError: with the pip line, if it is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        text = f"the tracker {extra} needs {name}: pip install 'ebmx[{extra}]'"
        raise ImportError(text) from error
