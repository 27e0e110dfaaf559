"""Ctrl-C as a request that a training reads."""

import signal
import threading

import jax


class Interrupt:
    """The first Ctrl-C sets `asked`; a second raises `KeyboardInterrupt`.

    It does nothing if another handler of Ctrl-C is installed, outside of the main thread, or with
    several processes, which would have to end at the same update.
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
