"""A run that ends early, by its time or by a person, can be used, and goes on where it ended."""

import json
import signal

import numpy as np
import pytest
from written import FILES, lines, metrics

from ebmx import runs
from ebmx.config import merge
from ebmx.training import AbstractProgress

pytestmark = [
    pytest.mark.slow,
    # a model of six updates is no good one
    pytest.mark.filterwarnings("ignore:.* of the numbers of samples lie at the bounds"),
]


def test_a_run_ends_when_its_seconds_do(points, tmp_path):
    config = merge(points, {"seconds": 1.0, "log_every": 5})
    report = runs.train(config, out=tmp_path / "run", progress=False)
    assert report.num_updates >= 1
    assert not report.interrupted
    assert report.seconds < 10
    assert runs.open(report.folder).num_steps >= report.num_updates


class _Silent(AbstractProgress):
    def start(self, num_steps):
        pass

    def close(self):
        pass


class _PressCtrlC(_Silent):
    """A person who presses Ctrl-C after the second interval."""

    count = 0

    def update(self, num_steps, metrics):
        self.count += 1
        if self.count == 2:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_leaves_a_run_that_can_be_used(points, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    config = merge(points, {"num_steps": 1000})
    report = runs.train(config, out=tmp_path / "run", progress=_PressCtrlC())
    assert report.interrupted
    assert report.num_updates == 4
    assert signal.getsignal(signal.SIGINT) is before
    assert {p.name for p in report.folder.iterdir()} == FILES | {"density.png"}
    assert json.loads((report.folder / "report.json").read_text())["interrupted"] is True
    assert [line["step"] for line in lines(report.folder)] == [2, 4]
    samples, _ = runs.sample(report.folder, 5)
    assert samples.shape == (5, 2)
    assert np.all(np.isfinite(samples))


class _PressCtrlCTwice(_Silent):
    def update(self, num_steps, metrics):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_a_second_ctrl_c_ends_the_program(points, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        runs.train(points, out=tmp_path / "run", progress=_PressCtrlCTwice())
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_and_resume_are_one_run(run_on_points, points, tmp_path):
    out = tmp_path / "run"
    assert runs.train(points, out=out, progress=_PressCtrlC()).num_updates == 4
    with open(out / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "seconds": 1e9}\n{"step": 8, "sec')
    report = runs.resume(out, progress=False)
    assert report.num_updates == 6
    assert not report.interrupted
    np.testing.assert_array_equal(report.samples, run_on_points.samples)
    assert metrics(run_on_points.folder) == metrics(report.folder)
    # and there is nothing left to do
    again = runs.resume(out, progress=False)
    np.testing.assert_array_equal(again.samples, report.samples)
    assert lines(report.folder)[-1]["step"] == 6


def test_a_finished_run_is_extended(points, tmp_path):
    out = tmp_path / "run"
    runs.train(points, out=out, progress=False)
    report = runs.resume(out, num_steps=8, progress=False)
    assert report.num_updates == 8
    opened = runs.open(out)
    assert opened.config["num_steps"] == opened.num_steps == 8
    assert int(opened.state.step) == 8
    assert lines(out)[-1]["step"] == 8
    with pytest.raises(ValueError, match="num_steps=7: the run has made 8 updates"):
        runs.resume(out, num_steps=7)
