"""Ctrl-C during a training: the first is remembered, the second is as ever."""

import signal
import threading

import pytest

from ebmx._interrupt import Interrupt


def press():
    signal.raise_signal(signal.SIGINT)


def test_the_first_is_remembered_and_the_second_raises():
    with Interrupt() as interrupt:
        assert not interrupt.asked
        press()
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_was_before_is_there_again():
    with Interrupt() as interrupt:
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not interrupt.asked
    with pytest.raises(KeyboardInterrupt):
        press()


def test_another_handler_is_left_in_its_place():
    pressed = []
    handler = lambda *_: pressed.append(1)  # noqa: E731
    before = signal.signal(signal.SIGINT, handler)
    try:
        with Interrupt() as interrupt:
            press()
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [1]
    assert not interrupt.asked


def test_another_thread_leaves_the_handler_alone():
    handlers = []

    def work():
        with Interrupt():
            handlers.append(signal.getsignal(signal.SIGINT))
        handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler] * 2
