"""The model card of an export: its program runs, and its figures were measured."""

import json
import re

import jax
import pytest
from exported import opened, report

import ebmx
from ebmx import runs


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["images", "labels", "classifier", "waves", "levels of classes"])
def test_the_program_of_the_card_runs(kind, tmp_path, monkeypatch, capsys):
    found = runs.export(opened(kind, tmp_path / "run"), out=tmp_path / "deep" / "e")
    monkeypatch.chdir(tmp_path / "deep")
    (code,) = re.findall(
        r"```python\n(.*?)```", (found.folder / "README.md").read_text(), re.DOTALL
    )
    exec(compile(code, "card", "exec"), {"__name__": "card"})
    assert capsys.readouterr().out.splitlines() == re.findall(r"# (\(.*\))", code)


def test_the_card_says_what_was_measured_of_this_state_and_nothing_else(tmp_path):
    run = opened("images", tmp_path / "run")
    (run.folder / "samples.png").write_bytes(b"a picture")
    facts = {
        "updates": 0,
        "frechet_ratio": 1.23456,
        "num_samples": 64,
        "samples_from": "the chains",
    }
    (run.folder / "report.json").write_text(json.dumps(facts))
    report(run.folder, 0)
    report(run.folder, 4, "evaluation-2")
    text = (runs.export(run, out=tmp_path / "e").folder / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: ebmx\ntags:\n- ebmx\n- energy-based-model\n- jax\n")
    assert "is 1.235 (64 samples: the chains)" in text
    assert "### Quality\n\n| auc | 0.5123 |\n" in text
    assert text.count("### Quality") == 1
    assert "has not been evaluated" not in text
    assert f"ebmx {ebmx.__version__}, jax {jax.__version__}" in text
    assert "![Samples of the training](samples.png)" in text
    assert "q.png" not in text
    assert (tmp_path / "e" / "samples.png").read_bytes() == b"a picture"
    assert not re.search(r"^license:", text, re.MULTILINE)


def test_a_state_that_was_not_measured_has_no_figures(tmp_path):
    run = opened("images", tmp_path / "run")
    (run.folder / "report.json").write_text(json.dumps({"updates": 9, "frechet_ratio": 1.23456}))
    report(run.folder, 4)
    text = (runs.export(run, out=tmp_path / "e").folder / "README.md").read_text()
    assert "has not been evaluated: `ebmx evaluate RUN`" in text
    assert "1.235" not in text
    assert "0.5123" not in text
    assert "samples.png" not in text
