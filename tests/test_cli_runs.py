"""The command line: runs that it trains, goes on with, samples and refuses to lose."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers import call

import ebmx
import ebmx.runs.report._features
import ebmx.training

TINY = [
    *("--steps", "4", "--log-every", "2", "--data.batch_size", "16", "--energy.channels", "[4]"),
    *("--energy.kernel_sizes", "[3]", "--energy.strides", "[2]", "--energy.hidden_dims", "[8]"),
    *("--sampler.step_size=1.0", "--negatives.num-steps", "3", "--negatives.capacity", "32"),
]


def untrained(x, labels, *, key, **options):
    return ebmx.evaluation.Classifier(x.shape[1:], 10, num_features=8, key=key)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, and what the command printed."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        # how well the features were trained is not what is tested here
        patch.setattr(ebmx.runs.report._features, "train_classifier", untrained)
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(words)))
        # in any order
        assert call("train", *TINY, "--seed", "5", "digits", "--out", folder) == 0
    return folder, lines


def test_train_writes_a_run_and_says_how_good_it_is(run):
    folder, lines = run
    facts = json.loads((folder / "report.json").read_text())
    assert facts["updates"] == 4
    assert re.fullmatch(r"trained for 4 updates in [\d.]+ s", lines[0])
    pictures = [line.removeprefix("picture: ") for line in lines if line.startswith("picture: ")]
    assert pictures == [str(folder / "samples.png"), str(folder / "energies.png")]
    (ratio,) = (line for line in lines if line.startswith("Fréchet ratio:"))
    assert f"{facts['frechet_ratio']:.3f}" in ratio
    assert facts["samples_from"] in ratio
    assert [p.name for p in (folder / "checkpoints").iterdir()] == ["4"]


def test_options_reach_the_config(run):
    text = (run[0] / "config.toml").read_text()
    for line in ("seed = 5", "num_steps = 4", "capacity = 32", "batch_size = 16"):
        assert f"{line}\n" in text


def test_sample_writes_arrays_in_data_units_and_a_picture(run, tmp_path, capsys):
    out = tmp_path / "deep" / "samples.npz"
    assert call("sample", run[0], "--num", "9", "--out", out) == 0
    with np.load(out) as file:
        x = file["x"]
    assert x.shape == (9, 8, 8, 1)
    assert x.min() >= 0
    assert 8 < x.max() <= 16
    picture = out.with_suffix(".png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "9 samples" in printed
    assert str(out) in printed
    assert str(picture) in printed


@pytest.mark.parametrize("name", ["s.npz", "noext", "x.npy", "pic.png", "v0.5", "x.txt"])
def test_the_files_that_are_named_are_those_that_are_written(name, run, tmp_path, capsys):
    stem = name if name in ("noext", "v0.5", "x.txt") else name.split(".")[0]
    written = {"out": tmp_path / f"{stem}.npz", "picture": tmp_path / f"{stem}.png"}
    if name == "x.npy":
        written["array"] = tmp_path / "x.npy"
    options = ["sample", run[0], "--num", "9", "--out", tmp_path / name]
    assert call(*options, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert {n: facts[n] for n in facts if n in ("out", "array", "picture")} == {
        n: str(path) for n, path in written.items()
    }
    assert {*tmp_path.iterdir()} == {*written.values()}
    with np.load(written["out"]) as file:
        x = file["x"]
    assert x.shape == (9, 8, 8, 1)
    if "array" in written:
        np.testing.assert_array_equal(np.load(written["array"]), x)
        assert call(*options, "--overwrite") == 0
        assert f"array: {written['array']}\n" in capsys.readouterr().out


def test_images_are_no_table(run, tmp_path, capsys):
    assert call("sample", run[0], "--num", "9", "--out", tmp_path / "x.csv") == 2
    assert "x.csv: samples of shape (8, 8, 1) are no rows of a table" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_a_name_for_samples(run, capsys):
    assert call("sample", run[0], "--num", "9", "--out", ".") == 2
    assert capsys.readouterr().err == "ebmx: --out=.: give the name of a file\n"


def test_the_same_seed_samples_the_same(run, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        out = tmp_path / f"{name}.npz"
        assert call("sample", run[0], "--num", "9", "--seed", seed, "--out", out) == 0
    one, two, three = (np.load(tmp_path / f"{n}.npz")["x"] for n in ("one", "two", "three"))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


def test_samples_have_a_name_of_their_own(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for stem in ("samples", "samples-2", "samples-3"):
        assert call("sample", run[0], "--num", "2") == 0
        assert f"{stem}.npz" in capsys.readouterr().out
        assert (tmp_path / f"{stem}.png").exists()
    before = (tmp_path / "samples.npz").read_bytes()
    (tmp_path / "samples.npz").unlink()
    again = ["sample", run[0], "--num", "2", "--seed", "1", "--out", "samples.npz"]
    assert call(*again) == 2
    assert "--out=samples.png: the file exists" in capsys.readouterr().err
    assert call(*again, "--overwrite") == 0
    assert (tmp_path / "samples.npz").read_bytes() != before


@pytest.mark.parametrize(
    ("options", "source"),
    [
        (["--steps", "2"], "chains of 2 steps from noise on the averaged energy"),
        (["--steps-without-noise", "2"], "the persistent chains of the buffer, and 2 steps wi"),
        (["--sampler", "MALA", "--sampler.step_size", "0.1", "--steps", "2"], "MALA chains of 2 "),
        (["--sampler.step_size", "0.5"], "Langevin chains of 3 steps from noise"),
    ],
)
def test_samples_by_other_chains(options, source, run, tmp_path, capsys):
    out = tmp_path / "s.npz"
    assert call("sample", *options, run[0], "--num", "2", "--out", out, "--json") == 0
    assert source in json.loads(capsys.readouterr().out)["samples_from"]
    assert np.load(out)["x"].shape == (2, 8, 8, 1)


def test_sample_in_json(run, tmp_path, capsys):
    out = tmp_path / "samples.npz"
    assert call("sample", run[0], "--num", "9", "--out", out, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["samples"], facts["out"]) == (9, str(out))
    assert facts["picture"] == str(out.with_suffix(".png"))


def test_without_a_terminal_there_is_neither_bar_nor_colour(run, tmp_path, capsys):
    options = [*TINY, "--out", tmp_path / "run"]
    process = [sys.executable, "-m", "ebmx", "train", "no-such-data", *map(str, options)]
    done = subprocess.run(process, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr + done.stdout
    assert call("train", "--help") == 0
    assert "\x1b" not in capsys.readouterr().out
    assert not any("update" in line and "|" in line for line in run[1])


def listing(folder):
    """All files and folders below, with their contents' time."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file() or not any(path.iterdir())
    }


@pytest.fixture
def places(run, tmp_path, monkeypatch):
    """A folder with a copy of the run, files that are not of a run, a file, and data."""
    shutil.copytree(run[0], tmp_path / "mine")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/notes.txt").write_text("precious")
    (tmp_path / "foreign/checkpoints").mkdir()
    (tmp_path / "foreign/checkpoints/model.pt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    shutil.copy(run[0] / "config.toml", tmp_path / "config.toml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train digits --out mine --sampler.step-size 1e-7", "holds a run"),
        ("train digits --out mine --overwrite --sampler.step-size 1e-7", "cannot cross"),
        ("train digits --out mine --overwrite --sampler.stepsize 1", "did you mean step_size?"),
        ("train digits --out mine --overwrite --energy.activation sillu", "sillu"),
        ("train digits --out mine --overwrite --data.batch-size 100000", "batch_size=100000"),
        ("train digits --out mine --overwrite --steps 0", "--steps"),
        (
            "train digits --out mine --overwrite --optim.muon.learning_rate []",
            "learning_rate=(): give",
        ),
        ("train nothing.npz --out mine --overwrite", "nothing.npz"),
        ("train --config config.toml --out mine", "holds a run"),
        ("train --config nothing.toml --out mine --overwrite", "does not exist"),
        ("train digits --out foreign", "not of a run (checkpoints, notes.txt)"),
        ("train digits --out foreign --overwrite", "not of a run (checkpoints, notes.txt)"),
        ("train digits --out .", "not of a run"),
        ("train digits --out file", "file is a file; give the name of a folder"),
        ("train digits --out file --overwrite", "file is a file"),
        ("train digits --out file/run", "file is a file"),
        ("train --resume mine --steps 2", "the run has made 4 updates"),
        ("train --resume mine --out other", "--out: --resume goes with"),
        ("train --resume foreign", "holds no trained run"),
        ("train --resume file", "holds no trained run"),
        ("sample mine --out config.npz --steps 0", "--steps"),
        ("sample mine --label 3", "label=3: the energy of this run has no labels"),
        ("sample mine --label three", "label='three': give the number of a class\n"),
        ("sample mine --out samples.csv", "are no rows of a table"),
        ("train digits --data digits --out new", "--data=digits: digits is given, too"),
        ("sample mine --sampler MALA", "sampler: MALA needs step_size"),
        ("sample foreign", "holds no trained run"),
        ("sample mine --out mine/samples.png", "the file exists"),
        ("evaluate mine --num 3", "num=3"),
        ("evaluate mine --others nothing.npz", "nothing.npz"),
        ("evaluate foreign", "holds no trained run"),
    ],
)
def test_a_refused_command_changes_nothing(command, message, places, capsys):
    before = listing(places)
    assert call(*command.split()) == 2
    assert message in capsys.readouterr().err
    assert listing(places) == before


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(ebmx.runs.report._features, "train_classifier", untrained)


def test_a_run_over_noise_levels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("moons.npz", x=np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))
    small = ["--energy.levels.num_levels", "3", "--energy.features.num_waves", "4", "--quiet"]
    small += ["--energy.network.hidden_dims", "[8]", "--data.batch_size", "32", "--out", "mine"]
    assert call("train", "moons.npz", "--recipe", "plane_levels", "--steps", "2", *small) == 0
    assert {path.name for path in (tmp_path / "mine").glob("*.png")} == {
        "density.png", "energies.png"
    }  # fmt: skip
    capsys.readouterr()
    assert call("train", "--resume", "mine", "--steps", "3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["updates"] == 3
    options = ["--sampler", "HMC", "--sampler.step_size", "0.1", "--steps", "2", "--json"]
    assert call("sample", "mine", "--num", "7", *options) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["samples_from"] == "3 noise levels down to 0.01, with 2 steps of HMC at each"
    assert np.load(facts["out"])["x"].shape == (7, 2)
    assert call("sample", "mine", "--steps-without-noise", "2") == 2
    assert "have the noise of the lowest one: give 0" in capsys.readouterr().err


@pytest.mark.slow
def test_overwriting_deletes_the_run_and_nothing_else(places, quick):
    (places / "mine/notes.txt").write_text("precious")
    (places / "mine/checkpoints/model.pt").write_text("precious")
    (places / "mine/evaluation").mkdir()
    (places / "mine/evaluation/report.md").write_text("precious")
    options = ["--out", "mine", "--overwrite", "--quiet", *TINY, "--steps", "2"]
    assert call("train", "digits", *options) == 0
    kept = ("notes.txt", "checkpoints/model.pt", "evaluation/report.md")
    assert [name for name in kept if (places / "mine" / name).read_text() != "precious"] == []
    found = {path.name for path in (places / "mine/checkpoints").iterdir()}
    assert found == {"2", "model.pt"}
    lines = (places / "mine/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2]


@pytest.mark.slow
def test_a_finished_run_goes_on_to_a_new_total(places, quick, capsys):
    assert call("train", "--resume", "mine", "--steps", "6", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["run"], facts["updates"]) == ("mine", 6)
    assert "num_steps = 6\n" in (places / "mine/config.toml").read_text()
    lines = (places / "mine/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6]
    # and without a number there is nothing left to do
    assert call("train", "--resume", "mine", "--json") == 0
    assert json.loads(capsys.readouterr().out)["updates"] == 6


@pytest.mark.slow
def test_runs_without_a_name_do_not_share_a_folder(places, quick, capsys):
    config = places / "config.toml"
    found = []
    for _ in range(2):
        assert call("train", "--config", config, "--steps", "2", "--json") == 0
        found.append(json.loads(capsys.readouterr().out)["run"])
    assert found == ["runs/digits-0", "runs/digits-1"]
