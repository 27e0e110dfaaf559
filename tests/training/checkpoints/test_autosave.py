"""What happens to the state of a training that is ended, or cannot be saved."""

import signal
import types

import checkpointed
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checkpointed import KEY, TRAINER, X, assert_same, go_on, start
from orbax.checkpoint import AsyncCheckpointer

from ebmx.training import CheckpointError, Checkpoints, DivergedError, SaveWarning, fit, restore
from ebmx.training.checkpoints._autosave import Saving
from ebmx.training.checkpoints._manifest import SaveError, arrays_of


@pytest.mark.medium
def test_a_callback_that_raises_loses_nothing(tmp_path):
    def fail(step, state, metrics):
        if step == 6:
            raise RuntimeError("the callback's")

    with pytest.raises(RuntimeError, match="the callback's"):
        go_on(start(), 20, Checkpoints(tmp_path, every=4), callbacks=[fail])
    assert Checkpoints(tmp_path).steps == [4, 6]
    assert_same(restore(tmp_path, start()), go_on(start(), 6)[0])


def test_a_watchdog_that_raises_leaves_the_last_save(tmp_path):
    def bark(step, state, metrics):
        if step == 6:
            raise DivergedError("lost")

    with pytest.raises(DivergedError):
        go_on(start(), 20, Checkpoints(tmp_path, every=4), callbacks=[bark])
    assert Checkpoints(tmp_path).steps == [4]


def test_batches_that_raise_lose_nothing(tmp_path):
    def broken():
        yield from [X[:8]] * 3
        raise OSError("the network is down")

    with pytest.raises(OSError, match="the network is down"):
        fit(
            *(TRAINER, start(), broken()),
            num_steps=9,
            key=KEY,
            checkpoints=Checkpoints(tmp_path),
        )
    assert Checkpoints(tmp_path).steps == [3]


def test_ctrl_c_saves_and_is_still_ctrl_c(tmp_path):
    def press(step, state, metrics):
        if step == 4:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="after 4 updates, which are saved"):
        go_on(start(), 100, Checkpoints(tmp_path), callbacks=[press])
    assert signal.getsignal(signal.SIGINT) is before
    assert Checkpoints(tmp_path).steps == [4]
    assert_same(restore(tmp_path, start()), go_on(start(), 4)[0])


def test_a_save_that_fails_is_warned_of_and_the_next_one_goes_on(tmp_path, monkeypatch):
    save, calls = AsyncCheckpointer.save, []

    def fail(self, path, args):
        calls.append(path.name)
        if path.name == "8":
            raise OSError(28, "No space left on device")
        save(self, path, args)

    monkeypatch.setattr(AsyncCheckpointer, "save", fail)
    with pytest.warns(SaveWarning, match="the last one is 4: .*No space left") as caught:
        state, _ = go_on(start(), 13, Checkpoints(tmp_path, every=4))
    # where `fit` was called
    assert [warning.filename for warning in caught] == [checkpointed.__file__]
    assert calls == ["4", "8", "12", "13"]
    assert Checkpoints(tmp_path).steps == [4, 12, 13]
    assert_same(restore(tmp_path, start()), state)


def test_a_last_save_that_fails_is_an_error_that_holds_the_state(tmp_path, monkeypatch):
    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AsyncCheckpointer, "save", fail)
    with pytest.raises(CheckpointError, match=r"there is none: .*No space left") as caught:
        go_on(start(), 3, Checkpoints(tmp_path))
    assert_same(caught.value.state, go_on(start(), 3)[0])


def test_what_is_to_be_written_is_not_donated_to_the_next_update(tmp_path, monkeypatch):
    written = {}
    # a write that takes so long that the training is over first
    keep = lambda self, path, args: written.update({path.name: args.item})  # noqa: E731
    monkeypatch.setattr(AsyncCheckpointer, "save", keep)
    go_on(start(), 5, Checkpoints(tmp_path, every=2))
    assert list(written) == ["2", "4", "5"]
    for step, arrays in written.items():
        expected = arrays_of(go_on(start(), int(step))[0])
        assert arrays.keys() == expected.keys()
        for path, array in arrays.items():
            assert not array.is_deleted(), path
            np.testing.assert_array_equal(array, expected[path])


def test_ctrl_c_within_an_interval_ends_it_at_the_next_update(tmp_path):
    def pressed():
        for number in range(9):
            if number == 2:
                signal.raise_signal(signal.SIGINT)
            yield X[:8]

    with pytest.raises(KeyboardInterrupt, match="after 3 updates, which are saved"):
        fit(
            *(TRAINER, start(), pressed()),
            num_steps=9,
            key=KEY,
            checkpoints=Checkpoints(tmp_path),
        )
    assert Checkpoints(tmp_path).steps == [3]


def deleted():
    array = jnp.zeros(2)
    array.delete()
    return array


@pytest.mark.parametrize(
    ("error", "state", "saved"),
    [
        (RuntimeError("the loss's"), jnp.ones(2), ["save", "wait"]),
        (KeyboardInterrupt(), jnp.ones(2), ["save", "wait"]),
        (DivergedError("lost"), jnp.ones(2), []),
        (SaveError("full"), jnp.ones(2), []),
        # what an update that fails was given is gone
        (RuntimeError("the loss's"), deleted(), []),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_what_is_saved_after_an_error(error, state, saved, count, monkeypatch):
    calls = []
    writer = types.SimpleNamespace(
        save=lambda state: calls.append("save"), wait=lambda: calls.append("wait")
    )
    # of several processes, the others may go on, and would be waited for
    monkeypatch.setattr(jax, "process_count", lambda: count)
    tree = {"array": state, "number": 3}
    Saving(writer, types.SimpleNamespace(asked=False)).rescue(tree, error)
    assert calls == (saved if count == 1 else [])
