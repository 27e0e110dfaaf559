"""The examples: each notebook is the program of its name, and runs."""

import json
import re
import runpy
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax
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


CHECKS = tomllib.loads((Path(__file__).parent / "examples.toml").read_text())


@eqx.filter_jit
def moved(before, after):
    """How far the parameters have come: for the checks."""
    pair = [eqx.filter(energy, eqx.is_inexact_array) for energy in (before, after)]
    return optax.tree.norm(jax.tree.map(jnp.subtract, *pair))


def test_each_example_is_checked():
    assert sorted(CHECKS) == NAMES
    assert all(entry["checks"] for entry in CHECKS.values())


def shorter_and_checked(name):
    """The program with fewer updates, and with its checks."""
    text = (FOLDER / f"{name}.py").read_text()
    for piece, short in CHECKS[name].get("shorter", []):
        assert text.count(piece) == 1, f"{name} has {text.count(piece)} times: {piece}"
        text = text.replace(piece, short)
    for line, check in CHECKS[name]["checks"]:
        assert text.count(line + "\n") == 1, f"{name} has {text.count(line)} times: {line}"
        text = text.replace(line + "\n", f"{line}\n{check}\n")
    return text


# the longest first, so that no worker is alone with it at the end
LONGEST_FIRST = sorted(NAMES, key=lambda name: -(FOLDER / f"{name}.py").stat().st_size)


@pytest.mark.slow
@pytest.mark.parametrize("name", LONGEST_FIRST)
def test_an_example_runs_and_does_what_it_says(name, tmp_path, monkeypatch):
    # as a program, not as the notebook: another process would compile everything again
    monkeypatch.chdir(tmp_path)
    program = tmp_path / f"{name}.py"
    program.write_text(shorter_and_checked(name))
    if "jax_num_cpu_devices" in program.read_text():  # which is set before JAX is used
        monkeypatch.setenv("MPLBACKEND", "agg")
        subprocess.run([sys.executable, program], check=True, timeout=600)
        return
    with plt.ioff(), warnings.catch_warnings(), jax.numpy_rank_promotion("allow"):
        warnings.simplefilter("default")
        shown = runpy.run_path(str(program), {"moved": moved}, run_name="__main__")
    plt.close("all")
    jax.clear_caches()  # an example shares nothing with the next
    assert "ebmx" in shown
