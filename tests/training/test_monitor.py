"""States are measured on a schedule; the best one is kept, and a training without one ends."""

import jax
import numpy as np
import pytest
from checkpointed import KEY, assert_same, go_on, start

from ebmx.training import CheckpointError, Checkpoints, Monitor, SaveWarning, restore
from ebmx.training import _monitor as module

NAN = float("nan")
VALUES = {4: 3.0, 8: NAN, 12: 1.0, 16: 2.0, 20: 1.0, 24: -np.inf, 28: 0.5, 32: 4.0}


def of_step(values=VALUES, seen=None):
    """A measure that looks the value up by the number of the update."""

    def measure(state, *, key):
        step = int(state.step)
        if seen is not None:
            seen.append((step, key))
        return values[step]

    return measure


def monitor(values=VALUES, seen=None, **options):
    return Monitor(of_step(values, seen), **{"every": 4, "key": KEY} | options)


@pytest.mark.medium
def test_it_measures_at_its_interval_with_a_key_of_the_step():
    seen = []
    one = monitor(seen=seen)
    go_on(start(), 13, callbacks=[one])
    assert [step for step, _ in seen] == [4, 8, 12]
    for step, key in seen:
        assert jax.random.key_data(key).tolist() == (
            jax.random.key_data(jax.random.fold_in(KEY, step)).tolist()
        )
    np.testing.assert_array_equal(one.history["step"], [4, 8, 12])
    np.testing.assert_array_equal(one.history["value"], [3.0, NAN, 1.0])
    # the last state is measured as well, once
    one.measure = of_step({13: 7.0}, seen)
    end, _ = go_on(start(), 13)
    for _ in range(2):
        one.finish(end)
    assert len(seen) == 4
    assert (one.best_step, one.best_value, one.last_value) == (12, 1.0, 7.0)


def test_intervals_are_rounded_up_to_log_intervals():
    seen = []
    values = dict.fromkeys(range(1, 30), 1.0)
    go_on(start(), 20, callbacks=[monitor(values, seen, every=5)])
    assert [step for step, _ in seen] == [6, 10, 16, 20]
    later = go_on(start(), 7)[0]
    seen.clear()
    go_on(later, 7, callbacks=[monitor(values, seen, every=5)])
    assert [step for step, _ in seen] == [8, 10]


def test_the_best_state_is_the_first_with_the_lowest_finite_value():
    one = monitor()
    go_on(start(), 24, callbacks=[one])
    assert (one.best_step, one.best_value) == (12, 1.0)
    assert_same(one.best_state, go_on(start(), 12)[0])
    go_on(go_on(start(), 24)[0], 8, callbacks=[one])
    assert (one.best_step, one.best_value) == (28, 0.5)


def test_without_a_finite_value_there_is_no_best():
    one = monitor(dict.fromkeys(VALUES, NAN), patience=3)
    assert (one.best_value, one.last_value) == (None, None)
    end, _ = go_on(start(), 40, callbacks=[one])
    assert (one.best_step, one.best_value, one.best_state, int(end.step)) == (None, None, None, 12)


@pytest.mark.parametrize(("patience", "end"), [(1, 8), (2, 20), (3, 24), (None, 32)])
def test_it_ends_the_training_when_patience_is_through(patience, end):
    state, _ = go_on(start(), 32, callbacks=[monitor(patience=patience)])
    assert int(state.step) == end


def test_the_best_state_is_in_the_folder(tmp_path):
    one = monitor(folder=tmp_path)
    go_on(start(), 24, callbacks=[one])
    assert one.best_state is None
    assert {path.name for path in tmp_path.iterdir()} == {"12", "measurements.jsonl"}
    assert_same(restore(tmp_path, start()), go_on(start(), 12)[0])
    lines = (tmp_path / "measurements.jsonl").read_text().splitlines()
    assert lines[:2] == ['{"step": 4, "value": 3.0}', '{"step": 8, "value": NaN}']
    assert len(lines) == 6


def assert_alike(one, two):
    assert (one.best_step, one.best_value) == (two.best_step, two.best_value)
    for name in ("step", "value"):
        np.testing.assert_array_equal(one.history[name], two.history[name])


# killed after so many updates, and gone on from a checkpoint of so many
@pytest.mark.medium
@pytest.mark.parametrize(("end", "again"), [(14, 14), (14, 10), (14, 6), (22, 12), (32, 26)])
def test_a_resumed_training_knows_what_was_best(end, again, tmp_path):
    whole = monitor(folder=tmp_path / "whole", patience=5)
    go_on(start(), 32, callbacks=[whole])
    for begin, total in ((0, end), (again, 32)):
        one = monitor(folder=tmp_path / "parts", patience=5)
        state = go_on(start(), begin)[0] if begin else start()
        go_on(state, total - int(state.step), callbacks=[one])
    assert_alike(one, whole)
    best = [restore(tmp_path / name, start()) for name in ("whole", "parts")]
    assert_same(*best)


def test_a_resumed_training_keeps_a_best_state_from_after_its_checkpoint(tmp_path):
    go_on(start(), 14, callbacks=[monitor(folder=tmp_path)])
    one, seen = monitor(folder=tmp_path), []
    one.measure = of_step(seen=seen)
    state = go_on(start(), 6)[0]
    go_on(state, 4, callbacks=[one])
    assert [step for step, _ in seen] == [8]
    assert (one.best_step, one.best_value) == (12, 1.0)
    assert restore(tmp_path, start()).step == 12
    # a better one that comes before it takes its place
    better = monitor({8: 0.5, 12: 1.0}, folder=tmp_path)
    go_on(state, 8, callbacks=[better])
    assert (better.best_step, Checkpoints(tmp_path).steps) == (8, [8])


def test_a_line_that_was_cut_is_left_out(tmp_path):
    go_on(start(), 8, callbacks=[monitor(folder=tmp_path)])
    path = tmp_path / "measurements.jsonl"
    path.write_text(path.read_text()[:-8])
    one = monitor(folder=tmp_path)
    go_on(go_on(start(), 10)[0], 6, callbacks=[one])
    np.testing.assert_array_equal(one.history["step"], [4, 12, 16])


def test_patience_is_that_of_the_whole_training(tmp_path):
    go_on(start(), 17, callbacks=[monitor(folder=tmp_path, patience=2)])
    state = go_on(start(), 17)[0]
    one = monitor(folder=tmp_path, patience=2)
    assert int(go_on(state, 20, callbacks=[one])[0].step) == 20
    # one that is over ends after an interval
    one = monitor(folder=tmp_path, patience=2)
    assert int(go_on(go_on(start(), 20)[0], 20, callbacks=[one])[0].step) == 22


def test_it_works_as_a_plain_function_too(tmp_path):
    go_on(start(), 14, callbacks=[monitor(folder=tmp_path)])
    one = monitor(folder=tmp_path)
    go_on(go_on(start(), 14)[0], 2, callbacks=[lambda *args: one(*args)])
    np.testing.assert_array_equal(one.history["step"], [4, 8, 12, 16])
    # the folder is read once
    written = (tmp_path / "measurements.jsonl").read_text()
    (tmp_path / "measurements.jsonl").write_text("")
    one(17, start(), {})
    assert len(one.history["step"]) == 4
    (tmp_path / "measurements.jsonl").write_text(written)
    again = monitor(folder=tmp_path)
    again.finish(go_on(start(), 16)[0])
    assert_alike(again, one)


def test_a_training_that_begins_does_not_take_the_folder_of_another(tmp_path):
    go_on(start(), 4, callbacks=[monitor(folder=tmp_path)])
    with pytest.raises(CheckpointError, match="measurements of another training; go on from"):
        go_on(start(), 4, callbacks=[monitor(folder=tmp_path)])


def test_a_save_that_fails_is_a_warning_and_the_last_best_stays(tmp_path, monkeypatch):
    one = monitor(folder=tmp_path)
    go_on(start(), 6, callbacks=[one])

    class Failing(Checkpoints):
        def writer(self, state):
            writer = super().writer(state)
            writer.save = lambda state: writer._try(lambda: 1 / 0)
            return writer

    monkeypatch.setattr(module, "Checkpoints", Failing)
    with pytest.warns(SaveWarning, match="not written, the last one is 4: division"):
        go_on(go_on(start(), 6)[0], 8, callbacks=[one])
    assert one.best_step == 4
    assert Checkpoints(tmp_path).steps == [4]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"every": 0}, "every=0"), ({"patience": 0}, "patience=0"), ({"measure": 3}, "measure=3")],
)
def test_settings_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Monitor(**{"measure": of_step(), "key": KEY} | options)
