"""The command line, called as a function: commands, what they print, and how they end."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import call

import ebmx
import ebmx.runs.report._features
import ebmx.training
from ebmx.runs import Evaluation, Report

TINY = [
    *("--steps", "4", "--log-every", "2", "--data.batch-size", "16"),
    *("--energy.widths", "4", "--energy.kernel-sizes", "3", "--energy.strides", "2"),
    *("--energy.hidden-dims", "8", "--sampler.step-size", "1.0", "--sampler.grad-clip", "3.0"),
    *("--negatives.num-steps", "3", "--negatives.capacity", "32"),
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
        assert call("train", "digits", "--seed", "5", "--out", folder, *TINY) == 0
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
    for line in ("seed = 5", "steps = 4", "capacity = 32", "batch_size = 16"):
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


@pytest.mark.parametrize("name", ["s.npz", "noext", "x.npy", "pic.png", "v0.5", "x.csv"])
def test_the_files_that_are_named_are_those_that_are_written(name, run, tmp_path, capsys):
    stem = name if name in ("noext", "v0.5", "x.csv") else name.split(".")[0]
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
        assert call(*options) == 0
        assert f"array: {written['array']}\n" in capsys.readouterr().out


def test_a_folder_is_no_name_for_samples(run, capsys):
    assert call("sample", run[0], "--num", "9", "--out", ".") == 2
    assert capsys.readouterr().err == "ebmx: --out=.: give the name of a file\n"


@pytest.mark.parametrize("command", [["data", "list"], ["train", "--help"], ["--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(command, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert call(*command) == 0
        # what Python does once more at its end
        stream.flush()
        monkeypatch.undo()


def test_the_same_seed_samples_the_same(run, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        out = tmp_path / f"{name}.npz"
        assert call("sample", run[0], "--num", "9", "--seed", seed, "--out", out) == 0
    one, two, three = (np.load(tmp_path / f"{n}.npz")["x"] for n in ("one", "two", "three"))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "no-such-data"], "no-such-data"),
        (["train", "digits", "--negatives.num-steps", "0"], "num_steps=0"),
        (["train", "digits", "--steps", "0"], "steps=0"),
        (["train", "digits", "--data.batch-size", "100000"], "batch_size=100000"),
        (["train", "digits", "--energy.activation", "sillu"], "sillu"),
        (["train", "digits", "--seed", "many"], "many"),
        (["train", "digits", "--out", "gs://bucket/run"], "out=gs://bucket/run: give a folder"),
        (["train", "digits", "--negatives.kind", "mcmc"], "mcmc"),
        (["train", "digits", "--stpes", "3"], "stpes"),
        (["train", "--resume", "no/such/run"], "no such file"),
        (["train", "--resume", "run", "--steps", "3"], "goes with no option but --devices"),
        (["train", "digits", "--devices", "two"], "--devices=two"),
        (["sample", "no/such/run"], "no run in it"),
        (["sample", "no/such/run", "--number", "3"], "number"),
        (["train", "digits", "--negatives.resample-below", "0.2"], "resample_below=0.2"),
        (["sample"], "run"),
        (["evaluate", "no/such/run"], "no run in it"),
        (["evaluate", "no/such/run", "--stpes", "3"], "stpes"),
        (["evaluate"], "run"),
    ],
)
def test_what_does_not_fit_ends_with_a_message(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "train" and not {"--steps", "--resume"} & {*arguments}:
        arguments = [*arguments, "--steps", "1"]
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert message.lower() in captured.err.lower()
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not list(tmp_path.rglob("manifest.json"))


def test_evaluate_passes_its_options_on_and_says_where_the_report_is(monkeypatch, capsys, tmp_path):
    calls = []

    def catch(run, **options):
        calls.append((run, options))
        return Evaluation(tmp_path, {}, (tmp_path / "energies.png",), 1.25)

    monkeypatch.setattr(ebmx.runs, "evaluate", catch)
    options = ["--steps", "7", "--num", "9", "--others", "a.npz", "b.npz", "--log-z", "--seed", "3"]
    options += ["--denoise", "5"]
    assert call("evaluate", tmp_path, *options) == 0
    assert call("evaluate", tmp_path) == 0
    given, default = calls
    wanted = {"num_steps": 7, "num": 9, "others": ("a.npz", "b.npz"), "log_z": True, "seed": 3}
    wanted["denoise"] = 5
    assert given == (tmp_path, wanted)
    wanted = {"num_steps": 2000, "num": 2000, "others": (), "log_z": False, "seed": 0}
    wanted["denoise"] = 0
    assert default == (tmp_path, wanted)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"picture: {tmp_path / 'energies.png'}"
    assert printed[1].startswith(f"report: {tmp_path / 'report.md'} (1.2")


@pytest.mark.parametrize("arguments", [[], ["fly"], ["--flag"]])
def test_without_a_command_it_says_how_to_use_it(arguments, capsys):
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert "usage: ebmx train" in captured.err
    assert "ebmx sample RUN" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_not_an_error(flag, capsys):
    assert call(flag) == 0
    captured = capsys.readouterr()
    assert "usage: ebmx train" in captured.out
    assert captured.err == ""


def test_help_fits_a_screen_and_says_what_exit_codes_mean(capsys):
    assert call("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert 24 <= len(lines) <= 40
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    words = ("ebmx data list", "--quiet", "--json", "--resume", "--config FILE", "exit codes: 0")
    assert [word for word in words if word not in text] == []


def test_data_list_names_what_load_takes(capsys):
    assert call("data", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(ebmx.data.SOURCES)
    assert call("data", "--help") == 0
    assert call("data") == call("data", "fetch") == 2


def test_quiet_and_json(monkeypatch, capsys, tmp_path):
    seen = []
    report = Report(
        tmp_path, 4, 1.5, np.zeros((2, 1)), "nowhere", 1.25, (tmp_path / "a.png",), False
    )

    def train(config, **options):
        seen.append(options)
        return report

    monkeypatch.setattr(ebmx.runs, "train", train)
    assert call("train", "--steps", "1", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert call("train", "--json", "digits", "--steps", "1") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["run"] == str(tmp_path)
    assert facts["pictures"] == [str(tmp_path / "a.png")]
    assert (facts["updates"], facts["frechet_ratio"], facts["interrupted"]) == (4, 1.25, False)
    assert all(isinstance(o["progress"], ebmx.training.NoProgress) for o in seen)

    def evaluate(run, **options):
        return Evaluation(tmp_path, {"quality": {"fid": np.float32(2)}}, (), 1.0)

    monkeypatch.setattr(ebmx.runs, "evaluate", evaluate)
    assert call("evaluate", tmp_path, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["report"] == str(tmp_path / "report.md")
    assert facts["quality"] == {"fid": 2.0}
    assert call("evaluate", tmp_path, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_sample_in_json(run, tmp_path, capsys):
    out = tmp_path / "samples.npz"
    assert call("sample", run[0], "--num", "9", "--out", out, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["samples"], facts["out"]) == (9, str(out))
    assert facts["picture"] == str(out.with_suffix(".png"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("no"), 2),
        (ImportError("no"), 2),
        (FloatingPointError("no"), 1),
        (OSError("no"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(error, code, monkeypatch, capsys):
    def fail(config, **options):
        raise error

    monkeypatch.setattr(ebmx.runs, "train", fail)
    assert call("train", "--steps", "1") == code
    assert capsys.readouterr().err == ("" if code == 130 else "ebmx: no\n")


def test_a_training_that_was_interrupted_ends_with_130(monkeypatch, capsys, tmp_path):
    report = Report(tmp_path, 4, 1.5, np.zeros((2, 1)), "nowhere", None, (), True)
    monkeypatch.setattr(ebmx.runs, "train", lambda config, **options: report)
    assert call("train", "--steps", "1") == 130
    assert capsys.readouterr().out.startswith("interrupted after 4 updates")


def test_what_is_no_terminal_sees_neither_bar_nor_colour(run, tmp_path, capsys):
    options = [*TINY, "--out", tmp_path / "run"]
    process = [sys.executable, "-m", "ebmx", "train", "no-such-data", *map(str, options)]
    done = subprocess.run(process, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr + done.stdout
    assert call("train", "--help") == 0
    assert "\x1b" not in capsys.readouterr().out
    assert not any("update" in line and "|" in line for line in run[1])


def test_help_lists_the_options_of_all_parts(capsys):
    assert call("train", "--help") == 0
    printed = capsys.readouterr().out
    for option in ("--seed", "--seconds", "--data.batch-size", "--negatives.num-steps"):
        assert option in printed


def test_without_its_package_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert call("train", "digits") == 2
    assert "pip install 'ebmx[cli]'" in capsys.readouterr().err
