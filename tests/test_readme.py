"""What README and docs say is true: their code runs and prints what it says, names exist."""

import importlib
import re
from pathlib import Path

import pytest

import ebmx

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def blocks(language, text=TEXT):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


PAGES = ["README.md", *sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks("python", (ROOT / p).read_text())])
def test_the_python_blocks_run_and_print_what_they_say(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks("python", (ROOT / page).read_text()))
    promised = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert len(promised) == len(re.findall(r"^ *print\(", code, re.MULTILINE)) > 0
    exec(compile(code, page, "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(promised)
    for said, line in zip(promised, printed, strict=True):
        assert said.split(": ")[0] == line


INDEX = (ROOT / "docs/reference/index.md").read_text()
ROWS = re.findall(r"^\| `(ebmx\.[\w.]+)` \| (.*) \|$", INDEX, re.MULTILINE)


def test_the_table_has_a_row_for_each_room():
    rooms = {n for n, room in vars(ebmx).items() if hasattr(room, "__path__") and n[0] != "_"}
    rooms.add("energies.bijections")
    assert {room for room, _ in ROWS} == {f"ebmx.{name}" for name in rooms}


@pytest.mark.parametrize(("room", "contents"), ROWS)
def test_the_names_in_the_table_are_in_their_rooms(room, contents):
    names = re.findall(r"`(\w+)`", contents)
    assert names
    module = importlib.import_module(room)
    # a name may also be an attribute of a class of the room, such as `log_z`
    owners = [module, *(value for value in vars(module).values() if isinstance(value, type))]
    missing = [name for name in names if not any(hasattr(owner, name) for owner in owners)]
    assert not missing


def test_it_begins_with_the_command_that_trains_and_the_one_that_tests():
    first, second = blocks("bash")[:2]
    assert "ebmx train" in first
    assert "pip install" in first
    assert "pytest" in second


def test_the_calls_in_the_page_on_evaluation_exist():
    calls = re.findall(r"`[^`]*`", (ROOT / "docs/evaluation.md").read_text())
    names = {name for call in calls for name in re.findall(r"(?<![.\w])(\w+)\(", call)}
    rooms = [importlib.import_module(f"ebmx.{room}") for room in ("evaluation", "plotting")]
    rooms.append(importlib.import_module("ebmx.energies"))
    assert len(names) > 20
    missing = {name for name in names if not any(hasattr(room, name) for room in rooms)}
    assert missing <= {"exp", "print"}
