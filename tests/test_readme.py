"""The README is true: its code runs and prints what it says, its names exist."""

import importlib
import re
from pathlib import Path

import pytest

import ebmx

TEXT = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_python_blocks_run_and_print_what_they_say(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks("python"))
    promised = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert len(promised) == len(re.findall(r"^ *print\(", code, re.MULTILINE)) > 0
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(promised)
    for said, line in zip(promised, printed, strict=True):
        assert said.split(": ")[0] == line


ROWS = re.findall(r"^\| `(ebmx\.\w+)` \| (.*) \|$", TEXT, re.MULTILINE)


def test_the_table_has_a_row_for_each_room():
    rooms = {name for name in vars(ebmx) if hasattr(vars(ebmx)[name], "__path__")}
    assert {room for room, _ in ROWS} == {f"ebmx.{name}" for name in rooms}


@pytest.mark.parametrize(("room", "contents"), ROWS, ids=[room for room, _ in ROWS])
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
