"""Progress meters for `fit`."""

import abc
import sys

_SHOWN = {
    "loss": "loss",
    "real_energy_mean": "E_data",
    "fake_energy_mean": "E_chains",
    "acceptance": "accepted",
}


class AbstractProgress(abc.ABC):
    """A progress meter for `fit`."""

    @abc.abstractmethod
    def start(self, num_steps: int) -> None:
        """Before the first update."""

    @abc.abstractmethod
    def update(self, num_steps: int, metrics: dict[str, float]) -> None:
        """After `num_steps` further updates, with the means of their metrics."""

    @abc.abstractmethod
    def close(self) -> None:
        """After the last update, also if an error ends the training."""


class NoProgress(AbstractProgress):
    """Shows nothing."""

    def start(self, num_steps: int) -> None:
        """Nothing."""

    def update(self, num_steps: int, metrics: dict[str, float]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class TqdmProgress(AbstractProgress):
    """A tqdm bar: updates per second, time left, loss, energies, acceptance if it is below 1.

    Needs `pip install ebmx[cli]`.
    """

    def __init__(self):
        try:
            from tqdm import tqdm
        except ImportError as error:
            message = "a progress bar needs tqdm: pip install 'ebmx[cli]'"
            raise ImportError(message) from error
        self._tqdm = tqdm

    def start(self, num_steps: int) -> None:
        """Draw the bar."""
        self._bar = self._tqdm(total=num_steps, unit=" updates", dynamic_ncols=True)

    def update(self, num_steps: int, metrics: dict[str, float]) -> None:
        """Move the bar."""
        shown = {word: metrics[name] for name, word in _SHOWN.items() if name in metrics}
        if shown.get("accepted") == 1.0:
            del shown["accepted"]
        self._bar.set_postfix({word: f"{value:.3g}" for word, value in shown.items()})
        self._bar.update(num_steps)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def default_progress() -> AbstractProgress:
    """A bar at a terminal if tqdm is installed, nothing otherwise."""
    if not sys.stderr.isatty():
        return NoProgress()
    try:
        return TqdmProgress()
    except ImportError:
        return NoProgress()
