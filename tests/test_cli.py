"""The command line, called as a function: commands, what they print, and how they end."""

import importlib.metadata
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import call

import ebmx
import ebmx.runs.report._features
import ebmx.training
from ebmx.config import recipes
from ebmx.data._load import SOURCES
from ebmx.runs._evaluate import Evaluation
from ebmx.runs._train import Report


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train no-such-data", "no-such-data"),
        ("train digits --negatives.num-steps 0", "num_steps=0"),
        ("train digits --steps 0", "--steps/--num-steps: 0: give a whole number of at least 1"),
        ("train digits --seconds -1", "seconds=-1.0: give a number above 0"),
        ("train digits --steps 2 --seconds 3", "not allowed with argument --steps"),
        ("train digits --data.batch-size 100000", "batch_size=100000"),
        ("train digits --energy.activation sillu", "sillu"),
        ("train digits --energy.widths [4]", "energy.widths: ConvNet does not take this argument"),
        ("train digits --seed many", "--seed: many: give a whole number from 0"),
        ("train digits --seed -1", "--seed: -1"),
        ("train digits --out gs://bucket/run", "out=gs://bucket/run: give a folder"),
        ("train digits --negatives pdc", "negatives.kind='pdc': unknown: did you mean PCD"),
        ("train digits --negatives.storage UInt9", "did you mean UInt8?"),
        ("train digits --optim adam", "optim: adam needs learning_rate"),
        ("train digits --optim.muon.learning_rate []", "learning_rate=(): give"),
        ("train digits --trainer.ema_deacy 0", "trainer.ema_deacy: Trainer does not take this arg"),
        ("train digits --trainer.ema_deacy 0", "did you mean ema_decay?"),
        ("train digits --smapler.step_size 1", "did you mean sampler?"),
        (
            "train digits --stpes 3",
            "--stpes: ebmx train does not take this argument: did you mean --st",
        ),
        (
            "train digits twice",
            "twice: ebmx train does not take this argument; see `ebmx train --help`",
        ),
        ("train digits --energy", "--energy: give a value"),
        ("train --resume no/such/run", "holds no trained run"),
        ("train --resume run --seed 0", "--seed: --resume goes with --steps and --devices alone"),
        ("train --resume run --log-every 1", "--log-every: --resume goes with"),
        ("train --resume run --energy.channels [4]", "--energy.channels: --resume goes with"),
        ("train digits --devices two", "--devices: two: give a whole number"),
        ("train digits --devices 4096", "--devices=4096: give at most"),
        ("sample no/such/run", "holds no trained run"),
        ("sample no/such/run --number 3", "did you mean --num"),
        ("sample no/such/run --energy MLP", "--energy: an option of `ebmx train`"),
        ("sample no/such/run --num 0", "--num: 0"),
        ("sample", "RUN"),
        ("evaluate no/such/run", "holds no trained run"),
        ("evaluate no/such/run --stpes 3", "did you mean --steps"),
        ("evaluate no/such/run --sampler MALA", "--sampler: an option of `ebmx train`"),
        ("evaluate", "RUN"),
        ("fly", "invalid choice: 'fly'"),
        ("data fetch", "invalid choice: 'fetch'"),
        ("data", "action"),
        ("completion fish", "invalid choice: 'fish'"),
        ("help MAAL", "'MAAL': unknown: did you mean MALA or DMALA?"),
        ("recipes digits", "digits: ebmx recipes does not take this argument"),
    ],
)
def test_what_does_not_fit_ends_with_a_message(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = arguments.split()
    if arguments[0] == "train" and not {"--steps", "--seconds", "--resume"} & {*arguments}:
        arguments = [*arguments, "--steps", "1"]
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_evaluate_passes_its_options_on_and_says_where_the_report_is(monkeypatch, capsys, tmp_path):
    calls = []

    def catch(run, **options):
        calls.append((run, options))
        return Evaluation(tmp_path, "Samples are far.", {}, (tmp_path / "energies.png",), 1.25)

    monkeypatch.setattr(ebmx.runs, "evaluate", catch)
    options = ["--steps", "7", "--num", "9", "--others", "a.npz", "b.npz", "--log-z", "--seed", "3"]
    options += ["--steps-without-noise", "5", "--best"]
    assert call("evaluate", tmp_path, *options) == 0
    assert call("evaluate", tmp_path) == 0
    given, default = calls
    wanted = {"num_steps": 7, "num": 9, "others": ("a.npz", "b.npz"), "log_z": True, "seed": 3}
    wanted |= {"num_steps_without_noise": 5, "best": True}
    assert given == (tmp_path, wanted)
    wanted = {"num_steps": 2000, "num": 2000, "others": (), "log_z": False, "seed": 0}
    wanted |= {"num_steps_without_noise": 0, "best": False}
    assert default == (tmp_path, wanted)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"picture: {tmp_path / 'energies.png'}"
    assert printed[1].startswith(f"report: {tmp_path / 'report.md'} (1.2")


@pytest.mark.parametrize("arguments", [[], ["--flag"]])
def test_without_a_command_it_says_which_there_are(arguments, capsys):
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert "usage: ebmx" in captured.err
    assert "draw samples of a trained run" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["help"]])
def test_help_fits_a_screen_and_says_what_exit_codes_mean(arguments, capsys):
    assert call(*arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 90
    words = ("train", "sample", "evaluate", "recipes", "config", "data", "completion", "exit codes")
    assert [word for word in words if word not in captured.out] == []


@pytest.mark.parametrize("arguments", [["train", "--help"], ["help", "train"]])
def test_help_of_a_command_lists_its_options(arguments, capsys):
    assert call(*arguments) == 0
    printed = capsys.readouterr().out
    options = ("--seed", "--seconds", "--resume RUN", "--overwrite", "--negatives.capacity 1000")
    assert [option for option in options if option not in printed] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sampler", ["MALA", "ReplicaExchange", "import path of your own"]),
        ("MALA", ["MALA(step_size)", "Metropolis-adjusted Langevin", "Args:"]),
        ("optax.adam", ["learning_rate", "b1=0.9"]),
        ("data", ["batch_size", "layout"]),
        ("trainer", ["ema_decay"]),
    ],
)
def test_help_on_a_name(name, words, capsys):
    assert call("help", name) == 0
    printed = capsys.readouterr().out
    assert [word for word in words if word not in printed] == []


def test_version_and_recipes(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"ebmx {importlib.metadata.version('ebmx')}\n"
    assert call("recipes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == list(recipes())
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_is_a_script_of_that_shell(shell, capsys):
    assert call("completion", shell) == 0
    script = capsys.readouterr().out
    assert "evaluate" in script
    if shell == "bash":
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_data_list_names_what_load_takes(capsys):
    assert call("data", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(SOURCES)
    assert call("data", "--help") == 0


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
    assert all(o["progress"] is False for o in seen)

    def evaluate(run, **options):
        return Evaluation(tmp_path, "", {"quality": {"fid": np.float32(2)}}, (), 1.0)

    monkeypatch.setattr(ebmx.runs, "evaluate", evaluate)
    assert call("evaluate", tmp_path, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["report"] == str(tmp_path / "report.md")
    assert facts["quality"] == {"fid": 2.0}
    assert call("evaluate", tmp_path, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


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


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("shtab", ["completion", "bash"]), ("tomli_w", ["config", "show"])],
)
def test_without_a_package_it_says_what_to_install(package, arguments, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert call(*arguments) == 2
    assert "pip install 'ebmx[cli]'" in capsys.readouterr().err
