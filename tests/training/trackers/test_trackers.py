"""Trackers as callbacks, several at once, and those that fail or are missing."""

import contextlib
import resource
import sys
import warnings

import jax
import pytest
from checkpointed import assert_same, go_on, start
from events import events
from recording import Recording

from ebmx.training import (
    CSV,
    MLflow,
    TensorBoard,
    Trackers,
    TrackerWarning,
    Trackio,
    WandB,
)

PACKAGES = {
    TensorBoard: ("tensorboardX", "tensorboard"),
    WandB: ("wandb", "wandb"),
    MLflow: ("mlflow", "mlflow"),
    Trackio: ("trackio", "trackio"),
}


@pytest.mark.medium
def test_a_tracker_logs_at_the_end_of_each_log_interval():
    tracker, seen = Recording(), []
    end, _ = go_on(start(), 5, callbacks=[tracker, lambda *call: seen.append(call)])
    assert tracker.calls[0] == ("start", 0)
    assert tracker.calls[1:] == [("log", metrics, step) for step, _, metrics in seen]
    assert [call[2] for call in tracker.calls[1:]] == [2, 4, 5]
    assert {type(value) for call in tracker.calls[1:] for value in call[1].values()} == {float}
    tracker.calls.clear()
    go_on(end, 2, callbacks=[tracker])
    assert tracker.calls[0] == ("start", 5)
    assert_same(end, go_on(start(), 5)[0])


def test_one_that_fails_is_warned_of_once_and_the_training_goes_on():
    tracker, beside = Recording(failing=("log",)), Recording()
    with pytest.warns(TrackerWarning) as record:
        end, _ = go_on(start(), 6, callbacks=[tracker, beside])
    assert [str(one.message) for one in record] == [
        "Recording.log has failed, and the training goes on: ConnectionError: the server is gone"
    ]
    assert record[0].filename.endswith("checkpointed.py")
    # it is tried again at each interval
    assert len(tracker.calls) == len(beside.calls) == 4
    assert_same(end, go_on(start(), 6)[0])


@contextlib.contextmanager
def full_disk(length=100):
    """No file may be longer than so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_costs_what_was_to_be_logged_and_no_more(tmp_path):
    table, board = CSV(tmp_path / "metrics.csv"), TensorBoard(tmp_path / "logs")
    both = Trackers((table, board))
    both.start(0)

    def log(*steps, **more):
        for step in steps:
            both.log({"loss": 1 / step} | more, step)

    log(1, 2)
    with full_disk(), pytest.warns(TrackerWarning) as record:
        log(3, 4, **{"m" * 90: 0.0})
    failed = sorted(str(one.message).split(" ")[0] for one in record)
    assert failed == ["CSV.log", "TensorBoard.log"]
    log(5, 6)
    both.close()
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert rows == ["step,loss", "1,1.0", "2,0.5", "5,0.2", f"6,{1 / 6}"]
    found = events(tmp_path / "logs").scalars("loss")
    assert [step for step, _ in found] == [1, 2, 5, 6]
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "logs"}


def test_a_disk_that_stays_full_is_not_filled_with_files(tmp_path):
    board = TensorBoard(tmp_path)
    board.log({"loss": 1.0}, 1)
    with full_disk(0), pytest.warns(TrackerWarning):
        board(2, None, {"loss": 0.5})
    with full_disk(0):
        for step in range(3, 20):
            board(step, None, {"loss": 1 / step})
    board.log({"loss": 0.0}, 20)
    board.close()
    assert len([*tmp_path.iterdir()]) == 2
    assert events(tmp_path).scalars("loss") == [(1, 1.0), (20, 0.0)]


def test_one_that_cannot_start_ends_the_training_before_it_begins():
    tracker = Recording(failing=("start",))
    with pytest.raises(ConnectionError):
        go_on(start(), 6, callbacks=[tracker])
    assert tracker.calls == [("start", 0)]


def test_ctrl_c_is_not_a_failure():
    class Interrupted(Recording):
        def log(self, metrics, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Interrupted()(1, None, {})


def test_as_a_context_it_is_closed_at_the_end_and_after_an_error():
    tracker = Recording()
    with tracker as entered:
        assert entered is tracker
    with pytest.raises(ZeroDivisionError), tracker:
        raise ZeroDivisionError
    assert tracker.calls == [("close",)] * 2
    with pytest.warns(TrackerWarning), Recording(failing=("close",)):
        pass


def test_several_are_one_and_do_not_depend_on_each_other():
    one = Recording(failing=("log_config", "log", "log_picture", "close"))
    two = Recording()
    both = Trackers((one, two))
    both.start(3)
    with pytest.warns(TrackerWarning, match=r"Recording\.log_config has failed"):
        both.log_config({"a": 1})
    # warned of once
    both.log({"loss": 0.5}, 4)
    both(6, None, {"loss": 0.25})
    both.log_picture("samples", "path.png", 6)
    both.close()
    assert one.calls == two.calls
    assert two.calls == [
        ("start", 3),
        ("log_config", {"a": 1}),
        ("log", {"loss": 0.5}, 4),
        ("log", {"loss": 0.25}, 6),
        ("log_picture", "samples", "path.png", 6),
        ("close",),
    ]


def test_none_at_all_do_nothing():
    with warnings.catch_warnings(action="error"), Trackers(()) as none:
        none.start(0)
        none.log({"loss": 1.0}, 1)
        assert none.trackers == ()


def test_of_several_processes_the_first_logs(monkeypatch):
    tracker = Recording()
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    tracker(2, None, {"loss": 1.0})
    assert tracker.calls == []


@pytest.mark.parametrize("kind", PACKAGES)
def test_a_missing_package_is_told_with_the_pip_line(kind, monkeypatch, tmp_path):
    package, extra = PACKAGES[kind]
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"the tracker {extra} needs {package}: pip install 'ebmx\[{extra}\]'"
    with pytest.raises(ImportError, match=message):
        kind(str(tmp_path / "new"))
    assert not [*tmp_path.iterdir()]


def test_the_table_of_metrics_needs_nothing(tmp_path, monkeypatch):
    for package, _ in PACKAGES.values():
        monkeypatch.setitem(sys.modules, package, None)
    go_on(start(), 2, callbacks=[CSV(tmp_path / "metrics.csv")])
    assert (tmp_path / "metrics.csv").read_text().startswith("step,")
