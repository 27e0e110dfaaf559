"""A file of metrics: exact numbers, columns that come later, steps that are made again."""

import csv
import math

import pytest
from checkpointed import go_on, start

from ebmx.training import CSV


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "metrics.csv"


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [*csv.reader(file)]


def write(path, *steps, tracker=None):
    tracker = CSV(path) if tracker is None else tracker
    for step in steps:
        tracker.log({"loss": 1 / step}, step)
    return tracker


def test_numbers_are_written_with_all_their_digits(path):
    tracker = CSV(path)
    tracker.start(0)
    values = {"loss": 0.1 + 0.2, "tiny": 5e-324, "bad": math.nan, "a, b": math.inf, "count": 3}
    tracker.log(values, 2)
    names, row = read(path)
    assert names == ["step", *values]
    assert row[0] == "2"
    assert [*map(repr, map(float, row[1:]))] == [repr(float(v)) for v in values.values()]


def test_a_column_may_come_later_and_a_metric_be_missing(path):
    tracker = CSV(path)
    tracker.log({"a": 1.0, "b": 2.0}, 1)
    tracker.log({"b": 3.0, "c": 4.0}, 2)
    tracker.log({}, 3)
    tracker.log({"d": 5.0, "a": 6.0}, 4)
    assert read(path) == [
        ["step", "a", "b", "c", "d"],
        ["1", "1.0", "2.0", "", ""],
        ["2", "", "3.0", "4.0", ""],
        ["3", "", "", "", ""],
        ["4", "6.0", "", "", "5.0"],
    ]


@pytest.mark.parametrize("reopened", [False, True])
def test_metrics_of_one_step_are_one_row(reopened, path):
    tracker = write(path, 1, 2)
    tracker = CSV(path) if reopened else tracker
    if reopened:
        tracker.start(2)
    tracker.log({"loss": 7.0}, 2)
    tracker.log({"gap": 8.0}, 2)
    tracker.log({"gap": 9.0, "loss": 6.0}, 3)
    assert read(path) == [
        ["step", "loss", "gap"], ["1", "1.0", ""], ["2", "7.0", "8.0"], ["3", "6.0", "9.0"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("step", "kept"), [(2, [1, 2]), (3, [1, 2]), (4, [1, 2, 4]), (9, [1, 2, 4])]
)
def test_a_training_that_goes_on_drops_later_rows(step, kept, path):
    write(path, 1, 2, 4)
    tracker = CSV(path)
    tracker.start(step)
    assert [row[0] for row in read(path)[1:]] == [*map(str, kept)]
    write(path, step + 1, tracker=tracker)
    assert [row[0] for row in read(path)[1:]] == [*map(str, [*kept, step + 1])]


def test_a_row_that_a_kill_has_cut_is_dropped(path):
    write(path, 1, 2, 3)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    tracker = CSV(path)
    tracker.start(2)
    assert path.read_bytes() == whole[: whole.rindex(b"3,")]
    write(path, 3, tracker=tracker)
    assert path.read_bytes() == whole


def test_another_training_is_not_mixed_in(path):
    write(path, 1, 2)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"metrics\.csv: holds metrics of another training; go on"):
        CSV(path).start(0)
    with pytest.raises(ValueError, match=r"step=1: the last row is of step 2; `start` drops rows"):
        write(path, 1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "step,b\nx,2\n", "precious", "step\n1,2\n"])
def test_another_file_is_left_as_it_is(text, path):
    path.parent.mkdir()
    path.write_text(text)
    for act in (lambda: CSV(path).start(3), lambda: CSV(path).log({"a": 1.0}, 5)):
        with pytest.raises(ValueError, match=r"metrics\.csv: is not a file of metrics by steps"):
            act()
    assert path.read_text() == text


def test_a_metric_is_not_called_step(path):
    with pytest.raises(ValueError, match=r"metrics=\['loss', 'step'\]: the first column"):
        CSV(path).log({"loss": 1.0, "step": 2.0}, 1)


def test_what_could_not_be_written_does_not_spoil_the_next_row(path):
    tracker = write(path, 1)
    whole = path.read_bytes()
    # a folder in its place cannot be written to
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write(path, 2, tracker=tracker)
    path.rmdir()
    path.write_bytes(whole + b"2,0.")
    write(path, 3, tracker=tracker)
    assert [row[0] for row in read(path)[1:]] == ["1", "3"]


@pytest.mark.medium
def test_a_training_in_two_parts_writes_what_one_writes(tmp_path):
    one, two = (tmp_path / f"{name}.csv" for name in ("one", "two"))
    seen = []
    keep = lambda step, state, metrics: seen.append({"step": step} | metrics)  # noqa: E731
    go_on(start(), 12, callbacks=[CSV(one), keep])
    state, _ = go_on(start(), 8, callbacks=[CSV(two)])
    go_on(state, 2, callbacks=[CSV(two)])  # and is killed
    go_on(state, 4, callbacks=[CSV(two)])
    assert one.read_bytes() == two.read_bytes()
    names, *rows = read(one)
    assert names == [*seen[0]]
    assert [[*map(float, row)] for row in rows] == [[*map(float, m.values())] for m in seen]
