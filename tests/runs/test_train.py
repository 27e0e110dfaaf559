"""A run leaves a folder from which it can be sampled again, also if a person ends it."""

import dataclasses
import functools
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import ebmx.runs.report._features
from ebmx.config import (
    DataConfig,
    EnergyConfig,
    NegativesConfig,
    OptimiserConfig,
    RunConfig,
    SamplerConfig,
    read_config,
    write_config,
)
from ebmx.evaluation import train_classifier
from ebmx.runs import resume as resume_run
from ebmx.runs import sample as sample_run
from ebmx.runs import train as train_run
from ebmx.training import NoProgress

pytestmark = pytest.mark.slow

FILES = {"config.toml", "metrics.jsonl", "checkpoints", "report.json", "energies.png"}
TINY = RunConfig(
    data=DataConfig(name="digits", test_share=0.2, batch_size=16, noise=0.05),
    energy=EnergyConfig(
        widths=(4,), kernel_sizes=(3,), strides=(2,), hidden_dims=(8,), activation="silu"
    ),
    sampler=SamplerConfig(step_size=1.0, noise_scale=0.05, grad_clip=3.0, bounds=(-1.0, 1.0)),
    negatives=NegativesConfig(kind="pcd", num_steps=3, capacity=32, reinit_prob=0.1),
    optimiser=OptimiserConfig(learning_rate=1e-3, b1=0.0, b2=0.99, clip=1.0, ema_decay=0.9),
    steps=6,
    log_every=2,
    seed=3,
)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """One run on the digits, judged and drawn, that the tests of this file look at."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        # the judge is not what is tested here
        quick = functools.partial(train_classifier, num_steps=60)
        patch.setattr(ebmx.runs.report._features, "train_classifier", quick)
        return train_run(dataclasses.replace(TINY, out=str(out)), progress=NoProgress())


@pytest.fixture(scope="module")
def run_on_points(tmp_path_factory):
    """One run on points in the plane."""
    return train_run(on_points(tmp_path_factory.mktemp("points")))


def on_points(folder):
    """The config of a run on points in the plane, which has no labels and takes no time."""
    x = np.random.default_rng(0).uniform(2, 5, size=(200, 2)).astype(np.float32)
    np.savez(folder / "points.npz", x=x)
    data = dataclasses.replace(TINY.data, name=str(folder / "points.npz"))
    return dataclasses.replace(TINY, data=data, out=str(folder / "run"))


@pytest.fixture
def points(tmp_path):
    return on_points(tmp_path)


def test_a_run_leaves_all_its_files(report):
    assert {p.name for p in report.folder.iterdir()} == FILES | {"samples.png"}
    assert {p.name for p in report.pictures} == {"samples.png", "energies.png"}
    for picture in report.pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert read_config(report.folder / "config.toml") == dataclasses.replace(
        TINY, out=str(report.folder)
    )


def test_the_metrics_are_lines_of_json(report):
    written = lines(report.folder)
    assert [line["step"] for line in written] == [2, 4, 6]
    assert all(np.isfinite(list(line.values())).all() for line in written)
    assert {"loss", "grad_norm", "seconds", "restarts", "distinct"} <= set(written[0])
    seconds = [line["seconds"] for line in written]
    assert 0 < seconds[0] <= seconds[1] <= seconds[2] <= report.seconds + 1e-3


def test_the_report_says_what_happened(report):
    facts = json.loads((report.folder / "report.json").read_text())
    assert facts["updates"] == report.num_updates == 6
    assert facts["frechet_ratio"] == report.frechet_ratio
    assert facts["num_samples"] == len(report.samples)
    assert facts["samples_from"] == report.source
    assert facts["interrupted"] is report.interrupted is False
    assert facts["skipped_updates"] == 0
    # a model of six updates is far from the digits: the distance of training to test data is 1
    assert report.frechet_ratio > 2
    assert np.abs(report.samples).max() <= 1


def test_samples_of_a_run_lie_within_bounds_and_have_units(report):
    samples, dataset, source = sample_run(report.folder, 40)
    assert samples.shape == (40, 8, 8, 1)
    assert np.abs(samples).max() <= 1
    assert len(np.unique(samples.reshape(40, -1), axis=0)) == 40
    assert "persistent chains" in source
    units = dataset.to_units(samples)
    np.testing.assert_allclose(units, (samples + 1) * 8, atol=1e-5)


def test_a_seed_says_which_samples(report):
    first, again, other = (sample_run(report.folder, 8, seed=s)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_same_seed_makes_the_same_run(run_on_points, points):
    # the same data, from another file
    other = train_run(points)
    np.testing.assert_array_equal(other.samples, run_on_points.samples)
    first, again = (
        [{k: v for k, v in line.items() if k != "seconds"} for line in lines(run.folder)]
        for run in (run_on_points, other)
    )
    assert first == again


def test_data_without_labels_have_no_ratio_and_no_images(run_on_points):
    report = run_on_points
    assert report.frechet_ratio is None
    assert {p.name for p in report.folder.iterdir()} == FILES
    assert json.loads((report.folder / "report.json").read_text())["frechet_ratio"] is None


def test_runs_without_persistent_chains_sample_from_noise(points):
    negatives = NegativesConfig(kind="cd", num_steps=3)
    report = train_run(dataclasses.replace(points, negatives=negatives, steps=2))
    samples, dataset, source = sample_run(report.folder, 20)
    assert "from noise" in source
    units = dataset.to_units(samples)
    assert units.shape == (20, 2)
    assert np.all((units >= dataset.low - 1e-4) & (units <= dataset.high + 1e-4))
    assert np.all((dataset.low >= 2) & (dataset.low < dataset.high) & (dataset.high <= 5))


def test_a_run_ends_when_its_seconds_do(points):
    report = train_run(dataclasses.replace(points, steps=None, seconds=1.0, log_every=5))
    assert report.num_updates >= 1
    assert not report.interrupted
    assert report.seconds < 30


class _PressCtrlC(NoProgress):
    """A person who presses Ctrl-C after the second interval."""

    count = 0

    def update(self, num_steps, metrics):
        self.count += 1
        if self.count == 2:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_leaves_a_run_that_can_be_used(points):
    before = signal.getsignal(signal.SIGINT)
    report = train_run(dataclasses.replace(points, steps=1000), progress=_PressCtrlC())
    assert report.interrupted
    assert report.num_updates == 4
    assert signal.getsignal(signal.SIGINT) is before
    assert {p.name for p in report.folder.iterdir()} == FILES
    assert json.loads((report.folder / "report.json").read_text())["interrupted"] is True
    assert [line["step"] for line in lines(report.folder)] == [2, 4]
    samples, _, _ = sample_run(report.folder, 5)
    assert samples.shape == (5, 2)
    assert np.all(np.isfinite(samples))


class _PressCtrlCTwice(NoProgress):
    def update(self, num_steps, metrics):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_a_second_ctrl_c_ends_the_program(points):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_run(points, progress=_PressCtrlCTwice())
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_does_not_go_on_with_another_config(points):
    config = dataclasses.replace(points, steps=4)
    train_run(config)
    folder = Path(points.out)
    write_config(folder / "config.toml", points)
    with pytest.raises(
        ValueError, match=r"checkpoints/4: of another config: run\.steps is 4, not 6"
    ):
        resume_run(folder)


def test_ctrl_c_and_resume_are_one_run(run_on_points, points):
    assert train_run(points, progress=_PressCtrlC()).num_updates == 4
    log = Path(points.out) / "metrics.jsonl"
    with open(log, "a") as file:
        file.write('{"step": 6, "seconds": 1e9}\n{"step": 8, "sec')
    report = resume_run(points.out)
    assert report.num_updates == 6
    assert not report.interrupted
    np.testing.assert_array_equal(report.samples, run_on_points.samples)
    whole, parts = (
        [{k: v for k, v in line.items() if k != "seconds"} for line in lines(run.folder)]
        for run in (run_on_points, report)
    )
    assert whole == parts
    # and there is nothing left to do
    again = resume_run(points.out)
    np.testing.assert_array_equal(again.samples, report.samples)
    assert lines(report.folder)[-1]["step"] == 6


def test_a_folder_without_a_run_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match="no run in it: make one with `ebmx train`"):
            sample_run(folder, 1)


@pytest.mark.parametrize("damage", ["checkpoint", "config", "other config", "no config"])
def test_a_damaged_run_is_refused(damage, run_on_points, tmp_path):
    folder = shutil.copytree(run_on_points.folder, tmp_path / "run")
    config, checkpoint = folder / "config.toml", folder / "checkpoints" / "6" / "manifest.ocdbt"
    if damage == "checkpoint":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-10])
    elif damage == "config":
        config.write_text(config.read_text()[:-20] + '"')
    elif damage == "other config":
        config.write_text(config.read_text().replace("capacity = 32", "capacity = 33"))
    else:
        config.unlink()
    name = r"checkpoints/6" if damage in ("checkpoint", "other config") else r"config\.toml"
    with pytest.raises(ValueError, match=name):
        sample_run(folder, 1)


def test_at_least_one_sample(report):
    with pytest.raises(ValueError, match="num=0"):
        sample_run(report.folder, 0)
