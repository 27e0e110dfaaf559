"""Runs that are measured: the best state stands beside the last; test data are not looked at."""

import dataclasses
import json
import signal
import time

import jax
import numpy as np
import pytest
from configs import LEVELS, TINY, on_points
from helpers import call

import ebmx
from ebmx import runs
from ebmx._interrupt import Interrupt
from ebmx.config import merge, read_config, show_config
from ebmx.energies import log_density
from ebmx.evaluation import frechet_ratio
from ebmx.runs import _monitor, _plan, _train
from ebmx.runs._metrics_log import Log
from ebmx.runs._run import with_noise
from ebmx.runs._sample import draw
from ebmx.training import AbstractProgress, DivergedError, RecoveryWarning, Watchdog

pytestmark = [
    # a model of a few updates is no good one
    pytest.mark.filterwarnings("ignore:.* of the numbers of samples lie at the bounds"),
    pytest.mark.filterwarnings("ignore:.*has 20 rows of|.*rows of 64 features"),
]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(_train, "_NUM_SAMPLES", 100)


def measured(folder, metric="energy_gap", base=None, **table):
    """The config of a run on points of which states are measured."""
    table = {"metric": metric, "every": 4, "num": 60} | table
    return merge(on_points(folder) if base is None else base, {"num_steps": 12, "monitor": table})


def rows_of(x):
    return {row.tobytes() for row in np.asarray(x)}


@pytest.mark.parametrize(("fraction", "num"), [(None, 16), (0.25, 40)])
def test_a_part_of_the_training_data_is_set_aside(fraction, num, tmp_path):
    table = {} if fraction is None else {"fraction": fraction}
    run = _plan.plan(measured(tmp_path, **table))
    parts, test = run.validation(), run.dataset.test
    assert (len(parts.train), len(parts.test)) == (160 - num, num)
    assert rows_of(parts.train) | rows_of(parts.test) == rows_of(run.dataset.train)
    assert rows_of(parts.test).isdisjoint(rows_of(parts.train) | rows_of(test))
    batches = run.batches()
    seen = rows_of(np.concatenate([next(batches) for _ in range(len(parts.train) // 16)]))
    assert seen <= rows_of(parts.train)
    assert len(seen) > 0.8 * len(parts.train)
    again = _plan.plan(measured(tmp_path, **table)).validation()
    np.testing.assert_array_equal(parts.test, again.test)
    other = _plan.plan(merge(measured(tmp_path, **table), {"seed": 4})).validation()
    assert rows_of(parts.test) != rows_of(other.test)


def test_labels_are_set_aside_with_their_examples():
    run = _plan.plan(measured(None, "frechet_ratio", TINY))
    parts, whole = run.validation(), run.dataset
    labels = {row.tobytes(): int(y) for row, y in zip(whole.train, whole.train_labels, strict=True)}
    for x, y in ((parts.train, parts.train_labels), (parts.test, parts.test_labels)):
        assert [labels[row.tobytes()] for row in x] == y.tolist()


class _Log:
    paused = Log.paused
    _begin = 0.0
    _end = None


def value_of(run, state, key, folder):
    monitor = _monitor.monitor_of(run, folder, _Log())
    return monitor.measure(state, key=key), monitor


@pytest.mark.medium
def test_the_gap_and_the_ratio_are_those_of_samples_and_the_data_set_aside(tmp_path):
    key = jax.random.key(5)
    run = _plan.plan(measured(tmp_path))
    state = run.init()
    held_out = run.validation().test
    x = draw(run, state, 60, key=key).x
    real, fake = (np.asarray(ebmx.energy(state.ema, one)).mean() for one in (held_out, x))
    value, monitor = value_of(run, state, key, tmp_path)
    np.testing.assert_allclose(value, abs(real - fake), rtol=1e-4)
    assert (monitor.every, monitor.patience, monitor.folder) == (4, None, tmp_path / "best")
    # the distance to as many as are trained on, of data without labels by their numbers
    for num in (500, 60):  # more samples than training data, and fewer
        run = _plan.plan(measured(tmp_path, "frechet_ratio", num=num, patience=3))
        x = draw(run, state, num, key=key).x
        value, monitor = value_of(run, state, key, tmp_path)
        ratio = frechet_ratio(x, run.validation().train, held_out)
        np.testing.assert_allclose(value, ratio, rtol=1e-4)
        assert monitor.patience == 3


@pytest.mark.medium
def test_the_likelihood_is_that_of_the_data_set_aside_with_noise(tmp_path):
    base = merge(LEVELS, {"data": {"name": on_points(tmp_path)["data"]["name"]}})
    run = _plan.plan(measured(tmp_path, "log_likelihood", base))
    state = run.init()
    noisy = with_noise(state.ema, run.validation().test, seed=run.seed)
    expected = -np.asarray(log_density(state.ema, noisy)).mean()
    value, _ = value_of(run, state, jax.random.key(5), tmp_path)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_samples_that_are_not_finite_are_infinitely_far(tmp_path, monkeypatch):
    run = _plan.plan(measured(tmp_path, "frechet_ratio"))
    drawn = dataclasses.make_dataclass("Drawn", ["x"])(np.full((60, 2), np.nan))
    monkeypatch.setattr(_monitor, "draw", lambda *args, **options: drawn)
    assert value_of(run, run.init(), jax.random.key(5), tmp_path)[0] == np.inf


def test_the_time_of_a_measurement_does_not_count(tmp_path):
    log = Log(tmp_path, 0, 100.0, Interrupt())
    before = log._begin, log._end
    begin = time.monotonic()
    with log.paused():
        time.sleep(0.05)
    spent = time.monotonic() - begin
    moved = log._begin - before[0]
    assert 0.05 <= moved <= spent
    assert log._end - before[1] == pytest.approx(moved)
    log.end()
    assert log.seconds <= time.monotonic() - before[0] - moved
    with Log(tmp_path, 0, None, Interrupt()).paused():
        pass  # without a limit, too


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"metric": "log_likelihood"}, "monitor.metric=log_likelihood: only an energy over noise"),
        ({"metric": "frechet"}, r"monitor\.metric='frechet': unknown: did you mean frechet_ratio"),
        ({"every": 0}, r"monitor\.every=0: give a whole number"),
        ({"num": 2.5}, r"monitor\.num=2\.5: give a whole number"),
        ({"patience": True}, r"monitor\.patience=True: give a whole number"),
        ({"fraction": 1.0}, r"monitor\.fraction=1\.0: give a number between 0 and 1"),
        ({"fraction": 0.001}, r"monitor\.fraction=0\.001: at least 2 examples"),
        ({"evry": 3}, r"monitor\.evry: not a key: did you mean every"),
    ],
)
def test_what_does_not_fit_is_named(table, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        _plan.plan(measured(tmp_path, **table))


def test_the_table_is_shown_with_its_meaning_and_needs_a_metric(tmp_path, capsys):
    assert "# every: updates between two measurements" in show_config(measured(tmp_path))
    assert call("help", "monitor") == 0
    assert "frechet_ratio" in capsys.readouterr().out
    assert call("train", "digits", "--monitor.every", "4") == 2
    assert "monitor.metric=None" in capsys.readouterr().err


@pytest.mark.medium
def test_a_folder_without_a_best_state_says_how_to_get_one(tmp_path, monkeypatch, capsys):
    runs.train(on_points(tmp_path), out=tmp_path / "run", progress=False)
    for command in ("sample", "evaluate"):
        assert call(command, tmp_path / "run", "--best") == 2
        assert "holds no best state; train with a table [monitor]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "words"),
    [((8, 1.5, 2.0), "energy_gap: best 1.5 after update 8, last 2"), ((None,) * 3, "not finite")],
)
def test_the_command_line_says_which_was_best(values, words, tmp_path, monkeypatch, capsys):
    names = ("best_update", "best_value", "last_value")
    monitor = {"metric": "energy_gap"} | dict(zip(names, values, strict=True))
    x = np.zeros((2, 1))
    report = _train.Report(tmp_path, 4, 1.5, x, "nowhere", None, (), False, monitor)
    monkeypatch.setattr(runs, "train", lambda config, **options: report)
    assert call("train", "digits") == 0
    assert words in capsys.readouterr().out
    assert call("train", "digits", "--json") == 0
    assert json.loads(capsys.readouterr().out)["monitor"] == monitor


@pytest.mark.medium
def test_a_watchdog_looks_at_a_run_and_ends_it(tmp_path, capsys):
    config = merge(on_points(tmp_path), {"watchdog": {"max_energy": 1e-9, "patience": 1}})
    with pytest.raises(DivergedError, match="by step 2, no step was good"):
        runs.train(config, out=tmp_path / "run", progress=False)
    (tmp_path / "c.toml").write_text(show_config(config))
    assert read_config(tmp_path / "c.toml") == config
    assert "# max_recoveries: how many times" in (tmp_path / "c.toml").read_text()
    assert call("train", "--config", tmp_path / "c.toml", "--out", tmp_path / "more") == 1
    assert "training diverged by step 2" in capsys.readouterr().err
    assert call("help", "watchdog") == 0
    assert "max_gap: the largest gap" in capsys.readouterr().out


@pytest.mark.medium
def test_a_run_goes_back(tmp_path):
    config = merge(on_points(tmp_path), {"num_steps": 8, "watchdog": {"max_recoveries": 1}})
    dog = _monitor.watchdog_of(config)
    assert (dog.max_recoveries, dog.recovery_factor) == (1, 0.5)
    alarms = iter([[], ["bad"], ["bad"], []])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watchdog, "alarms", lambda self, metrics: next(alarms))
        with pytest.warns(RecoveryWarning, match="by step 6.*from step 2 with updates"):
            runs.train(config, out=tmp_path / "run", progress=False)
    opened = runs.open(tmp_path / "run")
    assert (int(opened.state.step), float(opened.state.update_scale)) == (8, 0.5)
    np.testing.assert_array_equal(opened.history["update_scale"], [np.nan, np.nan, np.nan, 0.5])
    assert int(runs.resume(tmp_path / "run", num_steps=10, progress=False).num_updates) == 10
    assert float(runs.open(tmp_path / "run").state.update_scale) == 0.5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"max_gap": -1.0}, r"watchdog\.max_gap=-1\.0: give a finite number above 0"),
        ({"patiance": 2}, r"watchdog\.patiance: Watchdog does not take this argument: did you"),
    ],
)
def test_a_watchdog_that_does_not_fit_is_named(table, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        _plan.plan(merge(on_points(tmp_path), {"watchdog": table}))


class Stop(AbstractProgress):
    """Sends Ctrl-C after the third interval."""

    def start(self, num_steps):
        self.count = 0

    def update(self, num_steps, metrics):
        self.count += 1
        if self.count == 3:
            signal.raise_signal(signal.SIGINT)

    def close(self):
        pass


def best_of(folder):
    facts = json.loads((folder / "report.json").read_text())
    return facts["monitor"], (folder / "best" / "measurements.jsonl").read_text()


@pytest.mark.medium
def test_the_best_state_is_beside_the_last_and_a_resumed_run_is_the_same(tmp_path, monkeypatch):
    values = {4: 2.0, 8: 1.0, 12: 3.0, 14: 1.5}
    make = lambda run, num: lambda state, key: (values[int(state.step)], None)  # noqa: E731
    monkeypatch.setitem(_monitor._METRICS, "energy_gap", make)
    config = merge(measured(tmp_path), {"num_steps": 14})
    report = runs.train(config, out=tmp_path / "whole", progress=False)
    wanted = {"metric": "energy_gap", "best_update": 8, "best_value": 1.0, "last_value": 1.5}
    facts, written = best_of(tmp_path / "whole")
    assert facts == report.monitor == wanted
    assert len(written.splitlines()) == 4
    best = runs.open(tmp_path / "whole", best=True)
    assert (int(best.state.step), int(runs.open(tmp_path / "whole").state.step)) == (8, 14)
    x, _ = runs.sample(tmp_path / "whole", 5, best=True)
    np.testing.assert_array_equal(x, runs.sample(best, 5)[0])
    assert not np.array_equal(x, runs.sample(tmp_path / "whole", 5)[0])
    # ended after 6 updates, and gone on
    runs.train(config, out=tmp_path / "parts", progress=Stop())
    assert best_of(tmp_path / "parts")[0]["best_update"] == 4
    runs.resume(tmp_path / "parts", progress=False)
    assert best_of(tmp_path / "parts") == best_of(tmp_path / "whole")
    again = runs.open(tmp_path / "parts", best=True)
    np.testing.assert_array_equal(ebmx.energy(best.energy, x), ebmx.energy(again.energy, x))
    # an overwritten run leaves nothing behind
    runs.train(on_points(tmp_path), out=tmp_path / "whole", overwrite=True, progress=False)
    assert list((tmp_path / "whole" / "best").iterdir()) == []
    assert "monitor" not in json.loads((tmp_path / "whole" / "report.json").read_text())


@pytest.mark.medium
def test_a_run_ends_when_patience_is_through(tmp_path):
    report = runs.train(
        measured(tmp_path, patience=1, every=2), out=tmp_path / "run", progress=False
    )
    steps = runs.open(tmp_path / "run").history["step"]
    measurements = best_of(tmp_path / "run")[1].splitlines()
    assert len(measurements) == len(steps)
    assert report.monitor["best_update"] is not None
    values = [json.loads(line)["value"] for line in measurements]
    stale = [i for i in range(1, len(values)) if values[i] >= min(values[:i])]
    assert report.num_updates == (2 * (stale[0] + 1) if stale else 12)
