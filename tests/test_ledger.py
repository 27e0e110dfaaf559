"""The ledger of figures: pages, claims and runs agree, and `benchmarks/all.py` resumes.

What a figure is, `benchmarks/_claims.py` says: each number in a table but for its header and first
column, each in bold, and in other text each with a decimal point or a unit.
"""

import ast
import csv
import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))

import _claims  # noqa: E402
import _ledger  # noqa: E402
import _record_page  # noqa: E402
from _forms import FORMS, Forms  # noqa: E402

spec = importlib.util.spec_from_file_location("benchmarks_all", BENCHMARKS / "all.py")
everything = importlib.util.module_from_spec(spec)
spec.loader.exec_module(everything)

SCRIPTS = {path.stem for path in BENCHMARKS.glob("[!_]*.py")} - {"all"}


def test_each_figure_of_a_page_is_in_the_ledger_and_each_of_the_ledger_on_its_page():
    assert "\n".join(_claims.differences()) == ""


@pytest.mark.parametrize("claim", _claims.claims(), ids=lambda c: f"{c['page']}-{c['heading']}")
def test_a_claim_names_a_page_a_date_and_a_command_that_exist(claim):
    assert claim.keys() == {"page", "heading", "command", "date", "figures"}
    assert (ROOT / claim["page"]).exists()
    assert claim["date"].year > 2000
    commands = claim["command"].split("; ")
    for command in commands:
        if command in _claims.WITHOUT_SCRIPT:
            continue
        program, *words = shlex.split(command)
        assert program in ("python", "ebmx")
        if program == "python":
            assert (ROOT / words[0]).exists()
        if words[0].startswith("benchmarks/"):
            options = {option for option in words if option.startswith("--")}
            assert options <= options_of(ROOT / words[0]), command


def test_what_is_a_figure():
    page = """
# Page 1.5

In 3 of 10 runs of `f(2.5)` it was 1.25, −0.5 or **7**, and 12 % of 300 s; see
[0.9](a-0.1.md), jax 0.10.2, 2-D and 3×3.

```python
x = 4.5
```
## Table

| what, 2.0 | 10 | 20 |
|---|---|---|
| of 5 | 1,024 and 2.7·10⁸ | 3e-7 (0.1), `k = 2` |
"""
    first, second = _claims.passages("page.md", page)
    assert first.heading == "Page 1.5"
    assert first.figures == ["1.25", "−0.5", "7", "12", "300", "0.9"]
    assert second.heading == "Table"
    assert second.figures == ["1,024", "2.7·10⁸", "3e-7", "0.1"]


def test_a_figure_that_is_changed_is_named_with_what_to_add(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Speed\n\nIt takes 1.5 s, and 1.5 s again.\n")
    claim = '[[claim]]\npage = "README.md"\nheading = "Speed"\nfigures = ["1.5", "1.4"]\n'
    (tmp_path / "docs/claims.toml").write_text(claim)
    missing, stale = _claims.differences(tmp_path)
    assert 'README.md, "Speed": 1.5 is not in docs/claims.toml. Add "1.5"' in missing
    assert '1.4 is no longer on the page. Remove "1.4"' in stale


def test_the_page_is_what_render_makes_of_claims_and_runs():
    made = _claims.render(_ledger.read(ROOT / "docs/ledger.json"))
    assert (ROOT / "docs/ledger.md").read_text() == made, "run python benchmarks/all.py --render"


def test_the_table_of_record_is_that_of_its_file():
    with (BENCHMARKS / "record.csv").open(newline="") as file:
        made = _record_page.page(list(csv.DictReader(file)))
    assert (ROOT / "docs/record.md").read_text() == made, "run python benchmarks/record.py --page"


def test_each_script_has_forms_and_a_quick_one_unless_it_needs_data_or_packages():
    assert {name.split(":")[0] for name in FORMS} == SCRIPTS
    for script in SCRIPTS - {"cifar10", "peers"}:  # these need data or other packages
        assert FORMS[script].quick is not None


def options_of(script):
    """The options that a script adds to its parser, read from its text."""
    names = {
        word.value
        for node in ast.walk(ast.parse(script.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"
        for word in node.args
        if isinstance(word, ast.Constant)
    }
    return names | {"--json"}


@pytest.mark.parametrize("name", FORMS)
def test_the_options_of_a_form_are_those_of_its_script(name):
    script = BENCHMARKS / f"{name.split(':')[0]}.py"
    for arguments in FORMS[name]:
        if arguments is not None and script.exists():
            words = {word for word in shlex.split(arguments) if word.startswith("--")}
            assert words <= options_of(script)


def test_the_runs_of_the_ledger_are_whole_and_their_commands_parse():
    ledger = _ledger.read(ROOT / "docs/ledger.json")
    for entries in ledger.values():
        for entry in entries.values():
            program, script, *words = shlex.split(entry["command"])
            assert program == "python"
            assert (ROOT / script).exists() or entry["status"] == "not run"
            if entry["status"] != "not run":
                options = {word for word in words if word.startswith("--")}
                assert options <= options_of(ROOT / script)
                assert {"python", "jax", "ebmx"} == entry["versions"].keys()
                assert len(entry["hash"]) == 64
    assert not re.search(r"/(home|root|Users|tmp)/", json.dumps(ledger))


GOOD = """
import json, sys
from pathlib import Path
from _helper import VALUE
log = Path(__file__).with_name("log")
log.write_text((log.read_text() if log.exists() else "") + "x")
Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps({"value": VALUE}))
"""
BAD = """
raise SystemExit(f"{__file__} has failed")
"""
TABLE = {"bad": Forms("", None), "good": Forms("--seed 3", "--seeds 1 2 --x 1"), "gone": Forms("")}


@pytest.fixture
def run(tmp_path, monkeypatch):
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "good.py").write_text(GOOD)
    (folder / "bad.py").write_text(BAD)
    (folder / "_helper.py").write_text("VALUE = 1\n")
    monkeypatch.setattr(everything, "render", lambda ledger: "page")

    def call(*words):
        path = tmp_path / "ledger.json"
        code = everything.main([*words, "--ledger", str(path)], TABLE, folder)
        runs = len((folder / "log").read_text()) if (folder / "log").exists() else 0
        return code, _ledger.read(path), runs

    return call


def test_a_script_that_fails_is_recorded_and_the_others_go_on(run, tmp_path):
    code, ledger, runs = run("--quick")
    bad, good, gone = (ledger["quick"][name] for name in TABLE)
    assert (code, runs) == (1, 1)
    assert (bad["status"], bad["exit_code"], bad["figures"]) == ("failed", 1, None)
    assert bad["error"] == ["./benchmarks/bad.py has failed"]
    assert (good["status"], good["figures"]) == ("done", {"value": 1})
    assert good["command"] == "python benchmarks/good.py --seed 3"
    assert good["seeds"] == "--seed 3"
    assert gone == {
        "status": "not run",
        "command": "python benchmarks/gone.py",
        "reason": "the script does not exist",
    }
    assert str(tmp_path) not in json.dumps(ledger)
    assert (tmp_path / "ledger.md").read_text() == "page"


def test_what_is_in_the_ledger_is_not_run_again_unless_a_source_changes(run, tmp_path):
    assert run("--quick", "--only", "good")[::2] == (0, 1)
    assert run("--quick", "--only", "good")[::2] == (0, 1)
    assert run("--quick", "--only", "good", "--again")[::2] == (0, 2)
    (tmp_path / "benchmarks/_helper.py").write_text("VALUE = 2\n")
    _, ledger, runs = run("--quick", "--only", "good")
    assert (runs, ledger["quick"]["good"]["figures"]) == (3, {"value": 2})
    (tmp_path / "ebmx").mkdir()
    (tmp_path / "ebmx/new.py").write_text("")
    assert run("--quick", "--only", "good")[2] == 4


def test_a_quick_run_leaves_the_full_one(run, tmp_path):
    _, full, _ = run("--full", "--only", "good")
    (tmp_path / "benchmarks/_helper.py").write_text("VALUE = 2\n")
    _, both, runs = run("--quick", "--only", "good")
    assert runs == 2
    assert both["full"] == full["full"]
    assert both["full"]["good"]["seeds"] == "--seeds 1 2"
    assert both["quick"]["good"]["figures"] == {"value": 2}


def test_a_script_that_is_absent_now_keeps_its_entry(run, tmp_path):
    _, before, _ = run("--quick", "--only", "good")
    (tmp_path / "benchmarks/good.py").unlink()
    assert run("--quick", "--only", "good")[:2] == (0, before)


def test_what_needs_data_says_so(tmp_path):
    script, words = BENCHMARKS / "cifar10.py", "--data DATA/images.npz"
    assert _ledger.missing(script, words, None) == "it needs DATA/images.npz: give --data FOLDER"
    assert _ledger.missing(script, words, tmp_path) == "DATA/images.npz does not exist"
    (tmp_path / "images.npz").touch()
    assert _ledger.missing(script, words, tmp_path) is None


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(SystemExit, match="there is no nothing"):
        everything.main(["--list", "--only", "nothing"])


def test_the_folder_of_data_is_not_in_the_ledger(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    script, data = tmp_path / "benchmarks/echo.py", tmp_path / "mine"
    script.write_text("import json, sys\njson.dump(sys.argv[1:3], open(sys.argv[-1], 'w'))\n")
    entry = _ledger.run(script, "--data DATA/images.npz", data, tmp_path)
    assert entry["figures"] == ["--data", "DATA/images.npz"]
    assert entry["command"] == "python benchmarks/echo.py --data DATA/images.npz"
