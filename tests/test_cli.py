"""The command line, called as a function."""

import functools
import json
import re
import sys

import numpy as np
import pytest

import ebmx.config._run
import ebmx.training
from ebmx.__main__ import main

TINY = [
    *("--steps", "4", "--log-every", "2", "--data.batch-size", "16"),
    *("--energy.widths", "4", "--energy.kernel-sizes", "3", "--energy.strides", "2"),
    *("--energy.hidden-dims", "8", "--sampler.step-size", "1.0", "--sampler.grad-clip", "3.0"),
    *("--negatives.num-steps", "3", "--negatives.capacity", "32"),
]


def call(*arguments):
    """The exit code, also of a command that leaves through `SystemExit`."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as error:
        return error.code


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, and what the command printed."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        # the judge is not what is tested here
        quick = functools.partial(ebmx.training.train_classifier, num_steps=20)
        patch.setattr(ebmx.config._run, "train_classifier", quick)
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
    assert (folder / "checkpoint.eqx").stat().st_size > 0


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


def test_the_same_seed_samples_the_same(run, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        out = tmp_path / f"{name}.npz"
        assert call("sample", run[0], "--num", "4", "--seed", seed, "--out", out) == 0
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
        (["train", "digits", "--negatives.kind", "mcmc"], "mcmc"),
        (["train", "digits", "--stpes", "3"], "stpes"),
        (["sample", "no/such/run"], "no run in it"),
        (["sample", "no/such/run", "--number", "3"], "number"),
        (["sample"], "run"),
    ],
)
def test_what_does_not_fit_ends_with_a_message(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "train" and "--steps" not in arguments:
        arguments = [*arguments, "--steps", "1"]
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert message.lower() in captured.err.lower()
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not list(tmp_path.rglob("*.eqx"))


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


def test_help_lists_the_options_of_all_parts(capsys):
    assert call("train", "--help") == 0
    printed = capsys.readouterr().out
    for option in ("--seed", "--seconds", "--data.batch-size", "--negatives.num-steps"):
        assert option in printed


def test_without_its_package_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert call("train", "digits") == 2
    assert "pip install 'ebmx[cli]'" in capsys.readouterr().err
