"""Runs with trackers: the same metrics as in the folder, also after an interruption."""

import csv
import json
import shutil
import sys

import numpy as np
import pytest
from configs import TINY, on_points
from events import events
from helpers import call
from PIL import Image
from recording import Recording
from written import lines

import ebmx.runs.report._features
from ebmx import runs
from ebmx.config import _trackers as named
from ebmx.config import merge, write_config
from ebmx.evaluation import Classifier
from ebmx.runs import _train
from ebmx.runs._trackers import Tracking
from ebmx.training import TrackerWarning

pytestmark = [
    # a model of a few updates is no good one
    pytest.mark.filterwarnings("ignore:.* of the numbers of samples lie at the bounds"),
    pytest.mark.filterwarnings("ignore:.*has 20 rows of|.*rows of 64 features"),
]
BOTH = {"csv": {}, "tensorboard": {}}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    def untrained(x, labels, *, key, **options):
        return Classifier(x.shape[1:], 10, num_features=8, key=key)

    monkeypatch.setattr(ebmx.runs.report._features, "train_classifier", untrained)
    monkeypatch.setattr(_train, "_NUM_SAMPLES", 200)


def rows(folder):
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        return [{n: float(v) for n, v in row.items() if v} for row in csv.DictReader(file)]


def check_curves(folder):
    """What is in the table and the event files, against the lines of the run."""
    written, table, found = lines(folder), rows(folder), events(folder / "tensorboard")
    assert [row["step"] for row in table] == [line["step"] for line in written]
    for row, line in zip(table, written, strict=True):
        assert {name: row[name] for name in line} == line
    for name in written[0].keys() - {"step"}:
        curve = [(line["step"], float(np.float32(line[name]))) for line in written]
        assert found.scalars(name) == curve
    return table, found


@pytest.mark.slow
def test_a_run_on_images_is_logged_and_goes_on(tmp_path):
    monitor = {"metric": "energy_gap", "every": 4, "num": 60}
    config = merge(TINY, {"trackers": BOTH, "monitor": monitor})
    folder = tmp_path / "run"
    runs.train(config, out=folder, progress=False)
    check_curves(folder)
    report = runs.resume(folder, num_steps=10, progress=False)
    table, found = check_curves(folder)
    measured = [
        json.loads(line) for line in (folder / "best/measurements.jsonl").read_text().splitlines()
    ]
    gaps = {row["step"]: row["monitor/energy_gap"] for row in table if "monitor/energy_gap" in row}
    assert gaps == {line["step"]: line["value"] for line in measured}
    assert [*gaps] == [4, 6, 8, 10]
    assert [step for step, _ in found.scalars("monitor/energy_gap")] == [4, 6, 8, 10]
    assert [step for step, _ in found.images("monitor/samples")] == [4, 6, 8, 10]
    for name in ("report/samples", "report/energies"):
        assert [step for step, _ in found.images(name)] == [6, 10]
    last = np.asarray(Image.open(folder / "samples.png").convert("RGB"))
    np.testing.assert_array_equal(found.images("report/samples")[1][1], last)
    ratios = {row["step"]: row.get("report/frechet_ratio") for row in table}
    assert ratios[10] == report.frechet_ratio
    assert [step for step, one in ratios.items() if one is not None] == [6, 10]
    texts = [json.loads(text.strip("`json\n")) for _, text in found.texts("config")]
    assert [text["num_steps"] for text in texts] == [6, 10]
    assert texts[0] == json.loads(json.dumps(config))
    # with nothing left to do, nothing is logged again
    before = {path: path.read_bytes() for path in (folder / "tensorboard").iterdir()}
    before[folder / "metrics.csv"] = (folder / "metrics.csv").read_bytes()
    runs.resume(folder, progress=False)
    assert {path: path.read_bytes() for path in before} == before
    assert len([*(folder / "tensorboard").iterdir()]) == 2


@pytest.mark.slow
def test_a_killed_run_has_each_step_once_and_overwriting_leaves_none(tmp_path):
    config = merge(on_points(tmp_path), {"trackers": BOTH})
    folder = tmp_path / "run"
    runs.train(config, out=folder, progress=False)
    shutil.copytree(folder, tmp_path / "first")
    runs.resume(folder, num_steps=10, progress=False)
    # the checkpoints are those of before, and a row is cut
    shutil.rmtree(folder / "checkpoints")
    shutil.copytree(tmp_path / "first/checkpoints", folder / "checkpoints")
    path = folder / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-9])
    runs.resume(folder, num_steps=12, progress=False)
    _, found = check_curves(folder)
    assert [line["step"] for line in lines(folder)] == [2, 4, 6, 8, 10, 12]
    assert [step for step, _ in found.images("report/density")] == [6, 12]
    (folder / "tensorboard/notes.txt").write_text("precious")
    plain = {name: value for name, value in config.items() if name != "trackers"}
    runs.train(plain, out=folder, overwrite=True, progress=False)
    assert not path.exists()
    assert [one.name for one in (folder / "tensorboard").iterdir()] == ["notes.txt"]


@pytest.fixture
def elsewhere(monkeypatch):
    """A tracker of another place, in that of W&B."""
    made = []

    class Elsewhere(Recording):
        fails = ()

        def __init__(self, project="ebmx", *, name=None, id=None):
            super().__init__(failing=self.fails)
            self.given, self.id = (project, name, id), id
            made.append(self)

        def start(self, step):
            super().start(step)
            self.id = self.id or "made"

    monkeypatch.setitem(named.TRACKERS, "wandb", Elsewhere)
    return made


@pytest.mark.slow
def test_a_run_elsewhere_is_gone_on_with_and_its_failures_are_warned_of(tmp_path, elsewhere):
    config = merge(on_points(tmp_path), {"trackers": {"wandb": {"project": "mine"}}})
    runs.train(config, out=tmp_path / "run", progress=False)
    _, first = elsewhere  # the first one was for the check
    assert first.given == ("mine", "run", None)
    kinds = ["start", "log_config", "log", "log", "log", "log_picture", "log_picture", "close"]
    assert [one[0] for one in first.calls] == kinds
    assert first.calls[:2] == [("start", 0), ("log_config", config)]
    logged = [{"step": one[2]} | one[1] for one in first.calls if one[0] == "log"]
    assert logged == lines(tmp_path / "run")
    pictures = [one[1:] for one in first.calls if one[0] == "log_picture"]
    names = ("density", "energies")
    assert pictures == [(f"report/{n}", tmp_path / f"run/{n}.png", 6) for n in names]
    runs.resume(tmp_path / "run", num_steps=8, progress=False)
    last = elsewhere[-1]
    assert last.given == ("mine", "run", "made")
    assert [one[0] for one in last.calls[:3]] == ["start", "log_config", "log"]
    assert last.calls[0] == ("start", 6)
    elsewhere.clear()
    named.TRACKERS["wandb"].fails = ("log",)
    with pytest.warns(TrackerWarning, match="the server is gone"):
        report = runs.train(config, out=tmp_path / "failing", progress=False)
    assert report.num_updates == 6
    assert [line["step"] for line in lines(tmp_path / "failing")] == [2, 4, 6]


@pytest.mark.medium
def test_one_that_cannot_start_is_told_before_anything_is_written(
    tmp_path, elsewhere, monkeypatch, capsys
):
    class NoKey(Exception):
        pass

    def start(self, step):
        raise NoKey("no API key")

    monkeypatch.setattr(named.TRACKERS["wandb"], "start", start)
    write_config(tmp_path / "config.toml", on_points(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for out in ([], ["--out", "mine"]):
        command = ["train", "--config", "config.toml", "--quiet", "--tracker", "wandb", *out]
        assert call(*command) == 1
        assert capsys.readouterr().err == "ebmx: trackers.wandb: no API key\n"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tracker", "wandb"], "needs wandb: pip install 'ebmx[wandb]'"),
        (["--tracker", "csv", "--tracker", "tensorbord"], "did you mean tensorboard?"),
        (["--tracker"], "--tracker"),
        (["--trackers.csv.path", "x"], "trackers.csv.path: a run has its own"),
        (["--tracker", "mlflow", "--trackers.mlflow.project", "x"], "does not take this argument"),
    ],
)
def test_a_tracker_that_is_missing_or_unknown_changes_nothing(
    options, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.chdir(tmp_path)
    assert call("train", "digits", "--steps", "1", *options) == 2
    assert message in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_a_config_with_a_missing_tracker_is_told_by_the_check(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "trackio", None)
    config = merge(on_points(tmp_path), {"trackers": {"trackio": {"project": "mine"}}})
    write_config(tmp_path / "config.toml", config)
    assert call("config", "check", tmp_path / "config.toml") == 2
    assert "pip install 'ebmx[trackio]'" in capsys.readouterr().err


def test_a_resumed_run_does_not_take_a_tracker(capsys):
    assert call("train", "--resume", "run", "--tracker", "csv") == 2
    assert "--tracker: --resume goes with" in capsys.readouterr().err


def test_without_trackers_nothing_is_done(tmp_path):
    with Tracking({}, str(tmp_path / "run"), 0, {}) as tracking:
        tracking.log_samples(np.zeros((3, 8, 8, 1)), 1)
        tracking.log_report(None, (), 1)
    assert list(tmp_path.iterdir()) == []
