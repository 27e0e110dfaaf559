"""The documentation: each public name is in the reference, each page in the site."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("energies", "samplers", "training", "evaluation", "data", "plotting", "config", "runs")
ROOMS += ("energies.bijections",)


def public(room):
    module = importlib.import_module(f"ebmx.{room}")
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_has_each_public_name_of_a_room(room):
    text = (ROOT / "docs/reference" / f"{room.split('.')[-1]}.md").read_text()
    found = re.findall(rf"^::: ebmx\.{re.escape(room)}\.(\w+)$", text, re.MULTILINE)
    assert found == sorted(public(room), key=str.lower)


@pytest.mark.parametrize("room", ROOMS)
def test_each_public_function_and_class_says_what_it_is(room):
    silent = [
        name
        for name, value in public(room).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and not (value.__doc__ or "").strip()
    ]
    assert silent == []


def test_each_page_is_in_the_site_and_each_entry_is_a_page():
    text = (ROOT / ".mkdocs.yml").read_text()
    entries = re.findall(r"[:-] ([\w/-]+\.(?:md|ipynb))$", text.split("nav:")[1], re.MULTILINE)
    files = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]
    pages = {str(path.relative_to(ROOT / "docs")) for path in files}
    assert sorted(entries) == sorted(pages)
