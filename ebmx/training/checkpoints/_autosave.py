"""Saving during `fit`."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax

from ..._interrupt import Interrupt
from .._watchdog import DivergedError
from ._manifest import SaveError
from ._writer import Checkpoints, Writer


class NotSaving:
    """Saves nothing."""

    interrupted = False
    after_interval = finish = rescue = staticmethod(lambda *args: None)


class Saving:
    """Saves at intervals, at the end, and if the training is ended by an error or Ctrl-C."""

    def __init__(self, writer: Writer, interrupt: Interrupt):
        self._writer = writer
        self._interrupt = interrupt

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._interrupt.asked

    def after_interval(self, step: int, state: Any, now: bool) -> None:
        """Save if it is due, or now; after Ctrl-C, end the training."""
        if self.interrupted:
            raise KeyboardInterrupt(f"interrupted after {step} updates, which are saved")
        self._writer.save_if_due(step, state, now)

    def finish(self, state: Any) -> None:
        """Save and wait until it is on disk."""
        try:
            self._writer.save(state)
            self._writer.wait()
        except SaveError as error:
            error.state = state
            raise

    def rescue(self, state: Any, error: BaseException) -> None:
        """Save the state after an error, unless the state is the reason."""
        # several processes save together, and the others may go on
        alone = jax.process_count() == 1
        unwanted = not alone or isinstance(error, DivergedError | SaveError)
        # an error in an update leaves a state whose arrays were donated
        gone = any(leaf.is_deleted() for leaf in jax.tree.leaves(state) if hasattr(leaf, "devices"))
        if not unwanted and not gone:
            self.finish(state)


@contextlib.contextmanager
def saving(checkpoints: Checkpoints | None, state: Any) -> Iterator[Saving | NotSaving]:
    """A context that saves during a training from this state."""
    if checkpoints is None:
        yield NotSaving()
        return
    with contextlib.closing(checkpoints.writer(state)) as writer, Interrupt() as interrupt:
        yield Saving(writer, interrupt)
