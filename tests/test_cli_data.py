"""The command line: how arrays of a file are taken, and which labels end it before training."""

import json
import warnings

import numpy as np
import pytest
from helpers import call

import ebmx
from ebmx.config import read_config, to_dict, write_config
from ebmx.runs._batches import check_units, load_data, units_of

RNG = np.random.default_rng(0)
SMALL = [
    *("--steps", "2", "--data.batch-size", "8", "--negatives.kind", "short-run"),
    *("--negatives.num-steps", "2", "--energy.kind", "mlp", "--energy.hidden-dims", "4"),
]


@pytest.fixture
def taken(monkeypatch, tmp_path):
    """A function that calls `ebmx train` on examples and returns the data it would train on."""

    def take(x, *options, code=0, **arrays):
        found = []

        def load_alone(config, **_):
            found.append(load_data(config))
            raise SystemExit(0)

        np.savez(tmp_path / "d.npz", x=x, **arrays)
        monkeypatch.setattr(ebmx.runs, "train", load_alone)
        assert call("train", tmp_path / "d.npz", "--steps", "1", *options) == code
        return found[0] if found else None

    return take


def test_the_summary_is_printed_before_training(taken, capsys):
    taken(RNG.integers(0, 2, (10, 6, 5), np.uint8))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "8 training and 2 test examples, images of 6×5×1, in [0, 1], no labels" in printed.err
    taken(RNG.uniform(size=(10, 40, 3)))
    assert "series of 40×3, each of 3 channels in its range" in capsys.readouterr().err
    taken(RNG.uniform(size=(10, 3)), "--quiet")
    assert capsys.readouterr().err == ""


def test_zeros_and_ones_become_the_ends(taken):
    assert np.unique(taken(RNG.integers(0, 2, (10, 6, 5), np.uint8)).train).tolist() == [-1, 1]


def test_channels_first_are_told_or_given(taken, capsys):
    x = RNG.uniform(size=(10, 3, 6, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert taken(x).shape == (6, 5, 3)
    assert "ebmx: examples of shape (10, 3, 6, 5) are taken for images" in capsys.readouterr().err
    assert taken(x, "--data.layout", "channels-first").shape == (6, 5, 3)
    assert "ebmx: " not in capsys.readouterr().err
    assert taken(x, "--data.layout", "images").shape == (3, 6, 5)
    taken(x, "--data.layout", "series", code=2)
    assert "layout='series': examples of shape" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["one-hot", "negative", "halves"])
def test_labels_end_it_before_training(name, tmp_path, capsys):
    y = np.arange(40) % 3
    labels = {"one-hot": np.eye(3)[y], "negative": y - 1, "halves": y + 0.5}[name]
    np.savez(tmp_path / "d.npz", x=RNG.normal(size=(40, 2)), y=labels)
    assert call("train", tmp_path / "d.npz", "--out", tmp_path / "run", *SMALL) == 2
    assert capsys.readouterr().err.startswith("ebmx: labels")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["floats", "column"])
def test_labels_that_are_whole_are_taken(kind, taken):
    y = np.arange(40) % 3
    labels = {"floats": y.astype(float), "column": y[:, None]}[kind]
    data = taken(RNG.normal(size=(40, 2)), y=labels)
    both = np.concatenate([data.train_labels, data.test_labels])
    assert (both.dtype.kind, np.bincount(both).tolist()) == ("i", [14, 13, 13])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a table whose columns differ by a factor of a million, one of them constant."""
    folder = tmp_path_factory.mktemp("table")
    x = np.array([1e-3, 0.0, 1e6]) * RNG.uniform(size=(50, 3)) + np.array([0.0, 0.1, 1e9])
    np.savez(folder / "d.npz", x=x)
    # a name that, read as a pattern, is that of other folders
    out = folder / "run [0-9]*?"
    assert call("train", folder / "d.npz", "--out", out, "--quiet", *SMALL) == 0
    return out, x


@pytest.mark.slow
def test_samples_are_in_the_units_of_each_column(run, tmp_path):
    folder, x = run
    report = json.loads((folder / "report.json").read_text())
    assert "rows of 3, each of 3 columns in its range (1 constant)" in report["data"]
    assert call("sample", folder, "--num", "20", "--out", tmp_path / "s.npz") == 0
    samples = np.load(tmp_path / "s.npz")["x"]
    # chains are clipped to the range of the training data
    assert np.all((samples >= x.min(0)) & (samples <= x.max(0)))
    assert np.all(samples[:, 1] == 0.1)
    spread = samples.std(0)[[0, 2]] / (x.max(0) - x.min(0))[[0, 2]]
    assert np.all((spread > 0.02) & (spread < 0.6))


@pytest.mark.slow
def test_a_run_whose_data_are_others_by_now_is_refused(run, tmp_path, capsys):
    folder, x = run
    config = read_config(folder / "config.toml")
    dataset = load_data(config)
    assert units_of(dataset)["low"][1] == 0.1
    check_units({"units": units_of(dataset)}, dataset)
    np.savez(tmp_path / "d.npz", x=2 * x)
    values = to_dict(config) | {"data": to_dict(config.data) | {"name": str(tmp_path / "d.npz")}}
    before = (folder / "config.toml").read_text()
    write_config(folder / "config.toml", ebmx.config.from_dict(values))
    try:
        for command in (
            ["sample", folder, "--out", tmp_path / "s.npz"],
            ["train", "--resume", folder],
        ):
            assert call(*command) == 2
            said = capsys.readouterr().err
            assert "is scaled by other ranges than when the run was trained" in said
    finally:
        (folder / "config.toml").write_text(before)
