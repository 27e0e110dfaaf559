"""A run leaves a folder from which it can be sampled again."""

import functools
import json
import shutil

import numpy as np
import pytest
from configs import TINY
from written import FILES, lines, metrics

import ebmx.runs.report._features
from ebmx import runs
from ebmx.config import merge, read_config
from ebmx.evaluation import ConvergenceWarning, train_classifier

pytestmark = [
    pytest.mark.slow,
    # a model of six updates is no good one
    pytest.mark.filterwarnings("ignore:.* of the numbers of samples lie at the bounds"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """One run on the digits that the tests of this file look at."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        # how well the features were trained is not what is tested here
        quick = functools.partial(train_classifier, num_steps=60)
        patch.setattr(ebmx.runs.report._features, "train_classifier", quick)
        return runs.train(TINY, out=out, progress=False)


def test_a_run_leaves_all_its_files(report):
    assert {p.name for p in report.folder.iterdir()} == FILES | {"samples.png"}
    assert {p.name for p in report.pictures} == {"samples.png", "energies.png"}
    for picture in report.pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert read_config(report.folder / "config.toml") == TINY


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
    opened = runs.open(report.folder)
    samples, source = runs.sample(opened, 40)
    assert samples.shape == (40, 8, 8, 1)
    assert np.abs(samples).max() <= 1
    assert len(np.unique(samples.reshape(40, -1), axis=0)) == 40
    assert "persistent chains" in source
    units = opened.to_units(samples)
    np.testing.assert_allclose(units, (samples + 1) * 8, atol=1e-5)
    np.testing.assert_allclose(opened.from_units(units), samples, atol=1e-6)


def test_a_seed_says_which_samples(report):
    first, again, other = (runs.sample(report.folder, 8, seed=s)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_folder_is_enough_to_sample_from(run_on_points, tmp_path, monkeypatch):
    folder = shutil.copytree(run_on_points.folder, tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    opened = runs.open(folder)
    x, _ = runs.sample(opened, 4)
    np.testing.assert_array_equal(x, runs.sample(run_on_points.folder, 4)[0])
    assert np.all(np.isfinite(ebmx.energy(opened.energy, x)))
    assert opened.shape == (2,)
    assert list(opened.history["step"]) == [2, 4, 6]
    # the absolute path finds the data still
    assert opened.data().shape == (2,)


def test_changed_data_are_noticed(points, tmp_path):
    report = runs.train(points, out=tmp_path / "run", progress=False)
    path = tmp_path / "points.npz"
    np.savez(path, x=np.load(path)["x"] + 1)
    with pytest.warns(UserWarning, match="has changed since the run"):
        runs.open(report.folder).data()
    with pytest.raises(ValueError, match="the data have changed since"):
        runs.resume(report.folder)
    assert runs.sample(report.folder, 3)[0].shape == (3, 2)


def test_samples_at_the_bounds_are_warned_of(points, tmp_path):
    with pytest.warns(ConvergenceWarning, match=r"lie at the bounds \(-1.0, 1.0\)"):
        runs.train(points, out=tmp_path / "run", progress=False)


def test_the_same_seed_makes_the_same_run(run_on_points, points, tmp_path):
    # the same data, from another file
    other = runs.train(points, out=tmp_path / "run", progress=False)
    np.testing.assert_array_equal(other.samples, run_on_points.samples)
    assert metrics(run_on_points.folder) == metrics(other.folder)


def test_rows_of_two_numbers_have_a_picture_of_their_density(run_on_points):
    report = run_on_points
    assert report.frechet_ratio is None
    assert {p.name for p in report.folder.iterdir()} == FILES | {"density.png"}
    assert json.loads((report.folder / "report.json").read_text())["frechet_ratio"] is None


def test_runs_without_persistent_chains_sample_from_noise(points, tmp_path):
    config = merge(points, {"negatives": {"kind": "CD", "num_steps": 3}, "num_steps": 2})
    report = runs.train(config, out=tmp_path / "run", progress=False)
    samples, source = runs.sample(report.folder, 20)
    assert "from noise" in source
    opened = runs.open(report.folder)
    data, units = opened.data(), opened.to_units(samples)
    assert units.shape == (20, 2)
    assert np.all((units >= data.low - 1e-4) & (units <= data.high + 1e-4))
    assert np.all((data.low >= 2) & (data.low < data.high) & (data.high <= 5))


def test_runs_without_chains_are_sampled_by_sequential_monte_carlo(points, tmp_path):
    changes = {
        "negatives": {"kind": "Perturbed", "sigma": 0.3},
        "loss": {"kind": "denoising_score_matching_loss", "sigma": 0.3},
        "energy": {
            "kind": "Product",
            "energies": [
                {"kind": "MLP", "hidden_dims": [8]},
                {"kind": "Gaussian", "mean": "$zeros", "covariance": 0.3},
            ],
        },
    }
    report = runs.train(merge(points, changes), out=tmp_path / "run", progress=False)
    assert report.source.startswith("sequential Monte Carlo")
    assert report.samples.shape == (4096, 2)
    # near the Gaussian, since the network has not learned much in six updates
    np.testing.assert_allclose(report.samples.var(0), 0.3, rtol=0.35)


def test_a_run_with_tempered_chains(points, tmp_path):
    changes = {
        "negatives": {"kind": "TemperedPCD", "num_steps": 3, "capacity": 32},
        "sampler": {
            "kind": "ReplicaExchange",
            "sampler": {"kind": "MALA", "step_size": 0.05},
            "temperatures": [1.0, 2.0],
        },
        "energy": {
            "kind": "Product",
            "energies": [
                {"kind": "MLP", "hidden_dims": [8]},
                {"kind": "Gaussian", "mean": "$zeros", "covariance": 0.3},
            ],
        },
    }
    report = runs.train(merge(points, changes), out=tmp_path / "run", progress=False)
    assert report.samples.shape == (4096, 2)
    assert runs.sample(report.folder, 5)[0].shape == (5, 2)


def test_a_folder_without_a_run_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match="holds no trained run; make one with `ebmx train`"):
            runs.sample(folder, 1)


@pytest.mark.parametrize(
    "damage", ["checkpoint", "config", "other config", "no config", "facts", "moments"]
)
def test_a_damaged_run_is_refused(damage, run_on_points, tmp_path):
    folder = shutil.copytree(run_on_points.folder, tmp_path / "run")
    config, checkpoint = folder / "config.toml", folder / "checkpoints" / "6" / "manifest.ocdbt"
    if damage == "checkpoint":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-10])
    elif damage == "config":
        config.write_text(config.read_text()[:-20] + '"')
    elif damage == "other config":
        config.write_text(config.read_text().replace("capacity = 32", "capacity = 33"))
    elif damage == "facts":
        (folder / "run.json").write_text("{}")
    elif damage == "moments":
        (folder / "moments.npz").write_bytes(b"PK")
    else:
        config.unlink()
    name = r"checkpoints/6" if damage in ("checkpoint", "other config") else r"config\.toml"
    name = {"facts": r"run\.json is damaged", "moments": "moments.npz is damaged"}.get(damage, name)
    with pytest.raises(ValueError, match=name):
        runs.sample(folder, 1)


def test_at_least_one_sample(report):
    with pytest.raises(ValueError, match="num=0"):
        runs.sample(report.folder, 0)


def test_another_sampler_and_number_of_steps(run_on_points):
    call = {"kind": "MALA", "step_size": 0.05}
    samples, source = runs.sample(run_on_points.folder, 6, num_steps=7, sampler=call)
    assert samples.shape == (6, 2)
    assert source == "MALA chains of 7 steps from noise on the averaged energy"
    with pytest.raises(ValueError, match="sampler: MALA needs step_size"):
        runs.sample(run_on_points.folder, 6, sampler={"kind": "MALA"})
