"""Ctrl-C that leaves something usable behind."""

import signal
import threading


class Interrupt:
    """Turns the first Ctrl-C into a wish that the training reads; the second one is as ever."""

    asked = False

    def __enter__(self) -> "Interrupt":
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number, frame) -> None:
        del number, frame
        self.asked = True
        signal.signal(signal.SIGINT, self._before)
