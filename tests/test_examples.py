"""The examples: each notebook is the program of its name, and runs."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs/examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def cells_of_program(name):
    """`(kind, text)` of each cell, in jupytext's percent format."""
    text = (FOLDER / f"{name}.py").read_text()
    head, *parts = re.split(r"^# %%", text, flags=re.MULTILINE)
    assert head == ""
    for part in parts:
        title, body = part.split("\n", 1)
        lines = body.strip("\n").split("\n")
        if title == " [markdown]":
            yield "markdown", "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)
        else:
            yield "code", "\n".join(re.sub(r"^# (?=%)", "", line) for line in lines)


def notebook(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text())


def test_there_are_examples_and_nothing_but_pairs():
    assert len(NAMES) >= 13
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_the_program_of_its_name(name):
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook(name)["cells"]]
    assert cells == list(cells_of_program(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_was_run_from_top_to_bottom_and_shows_a_picture(name):
    cells = [cell for cell in notebook(name)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert all(output["output_type"] != "error" for output in outputs)
    shown = any("image/png" in output.get("data", {}) for output in outputs)
    assert shown == ("figure" in "".join(cells[-1]["source"]))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_in_its_short_mode(name, tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("EBMX_SHORT", "1")
    cells = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(cells, timeout=1800, kernel_name="python3", resources=where)
    client.execute()
    counts = [cell.execution_count for cell in cells.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
