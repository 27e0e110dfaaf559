"""Batches made ahead, in a thread of their own."""

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from .. import _checks

_PATIENCE = 5.0
"""How many seconds the end waits for a batch that is being made."""


def prefetch(batches: Iterable[Any], *, num_batches: int = 2) -> Iterator[Any]:
    """The same batches in the same order, made ahead by a thread while the last one is used.

    For batches that take time to make, such as those read from a disk: `fit` asks for the next
    batch only when it needs it. The thread begins with the first batch, and ends with the last one,
    or with the iterator, by `close()` or when nothing refers to it.

    Args:
        batches: any iterable, such as `ebmx.data.batches(...)`; an iterator is used up, and
            belongs to the thread from then on.
        num_batches: how many batches are held ready at most; one more may be in the making.

    Returns:
        An iterator. An error in the thread is raised when its batch is asked for.

    Raises:
        ValueError: if `num_batches` is not an integer of at least 1.
    """
    _checks.at_least("num_batches", num_batches, 1)
    return _taken(iter(batches), num_batches)


def _taken(iterator: Iterator[Any], num_batches: int) -> Iterator[Any]:
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(num_batches)
    stop = threading.Event()
    # the thread does not refer to this generator, which can be collected while it runs
    arguments = (iterator, ready, stop)
    thread = threading.Thread(target=_fill, args=arguments, name="ebmx-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stop.set()
        # after this there is room for what the thread still puts, which then sees `stop`
        with contextlib.suppress(queue.Empty):
            while True:
                ready.get_nowait()
        thread.join(_PATIENCE)


def _fill(iterator: Iterator[Any], ready: queue.Queue, stop: threading.Event) -> None:
    try:
        for batch in iterator:
            ready.put(("batch", batch))
            if stop.is_set():
                return
        ready.put(("end", None))
    except BaseException as error:  # for the other thread to raise
        ready.put(("error", error))
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
