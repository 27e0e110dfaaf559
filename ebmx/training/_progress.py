"""Progress meters for `fit`."""

import abc
import contextlib
import sys
from collections.abc import Callable, Iterator

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


@contextlib.contextmanager
def showing(progress: AbstractProgress | bool | None, num_steps: int) -> Iterator[Callable]:
    """The `update` of a meter, which does nothing if nothing is shown."""
    meter = _default() if progress is None else TqdmProgress() if progress is True else progress
    if not isinstance(meter, AbstractProgress):
        yield lambda num_steps, metrics: None
        return
    meter.start(num_steps)
    with contextlib.closing(meter):
        yield meter.update


def _default() -> AbstractProgress | None:
    try:
        return TqdmProgress() if sys.stderr.isatty() else None
    except ImportError:
        return None
