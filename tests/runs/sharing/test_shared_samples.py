"""`ebmx sample` of an export: by chains from noise, in data units."""

import dataclasses

import numpy as np
import pytest
from exported import CONFIGS, PLANE, opened

from ebmx import runs
from ebmx.__main__ import main
from ebmx.runs._facts import Facts


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """An export of an energy with labels, on columns and classes with names."""
    folder = tmp_path_factory.mktemp("shared")
    run = opened("labels", folder / "run")
    named = dataclasses.replace(PLANE, columns=("a", "b"), classes=("red", "green", "blue"))
    facts = Facts.of(named)
    run = dataclasses.replace(run, run=dataclasses.replace(run.run, facts=facts))
    assert CONFIGS["labels"][1] is PLANE
    return runs.export(run, out=folder / "e").folder


@pytest.mark.medium
def test_samples_are_in_data_units_under_the_names_of_the_columns(shared, tmp_path, capsys):
    out = tmp_path / "s.csv"
    words = ["sample", str(shared), "--num", "5", "--steps", "2", "--label", "green", "--seed", "3"]
    assert main([*words, "--out", str(out)]) == 0
    assert "5 samples (a shared model, from noise)" in capsys.readouterr().out
    header, *rows = out.read_text().splitlines()
    assert header == "a,b"
    x = np.load(tmp_path / "s.npz")["x"]
    assert x.shape == (5, 2)
    np.testing.assert_allclose([[float(v) for v in row.split(",")] for row in rows], x)
    model = runs.load_model(shared)
    assert (model.columns, model.classes) == (("a", "b"), ("red", "green", "blue"))
    assert main([*words, "--out", str(tmp_path / "again.npz"), "--quiet"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "again.npz")["x"], x)


@pytest.mark.parametrize(
    "options", [["--sampler", "MALA"], ["--best"], ["--steps-without-noise", "2"]]
)
def test_options_of_runs_are_refused(options, shared, tmp_path, capsys):
    assert main(["sample", str(shared), *options, "--out", str(tmp_path / "s.npz")]) == 2
    assert f"{options[0]}: {shared} is an export" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_says_what_an_export_is_for(shared, capsys):
    assert main(["evaluate", str(shared)]) == 2
    assert "is an export: `ebmx sample` takes it" in capsys.readouterr().err
