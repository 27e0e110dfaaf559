"""The documentation: each public name is in the reference, each page in the site."""

import importlib
import inspect
import re
import tomllib
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
def test_the_reference_has_each_public_name_of_a_room_once(room):
    text = "".join(path.read_text() for path in sorted((ROOT / "docs/reference").rglob("*.md")))
    found = re.findall(rf"^::: ebmx\.{re.escape(room)}\.(\w+)$", text, re.MULTILINE)
    assert sorted(found) == sorted(public(room))


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
    entries = list(pages(tomllib.loads((ROOT / ".zensical.toml").read_text())["project"]["nav"]))
    files = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]
    written = [path.relative_to(ROOT / "docs").with_suffix(".md").as_posix() for path in files]
    assert sorted(entries) == sorted(written)


def pages(entry):
    """The pages below an entry of the site's navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from pages(part)
