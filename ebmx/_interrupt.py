"""Ctrl-C that leaves something usable behind."""

import signal
import threading

import jax


class Interrupt:
    """Turns the first Ctrl-C into a wish that the training reads; the second one is as ever.

    If somebody else already handles Ctrl-C, it is not the main thread, or there are several
    processes, which would have to end at the same update, it does nothing.
    """

    asked = False

    def __enter__(self) -> "Interrupt":
        main = jax.process_count() == 1 and threading.current_thread() is threading.main_thread()
        self._ours = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._ours:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _ask(self, number, frame) -> None:
        del number, frame
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
