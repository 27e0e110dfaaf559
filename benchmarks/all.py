"""Run all benchmarks, and write each figure into one ledger with what it depends on.

`--quick` runs each script in a small form, `--full` with the arguments that the documents quote;
the arguments are in `_forms.py`. Each result is written at once: a run that is stopped goes on
where it was, since what is in the ledger with the same command and the same sources is not run
again, unless `--again` is given or it failed; versions and machine are written down and not
compared. Both forms are kept apart. At last the page of the
ledger is made, as `--render` does alone, from the ledger and from `docs/claims.toml`.

Data of others are taken from `--data FOLDER`: `cifar10.npz` for `cifar10.py`; `mnist/`, the folder
of `--test-images`, for `mnist.py` and `jem.py`; `peers/`, which may be empty, for the environments
of `peers.py`. Without it the scripts that need them are listed as not run. Exit code 1: a script
has failed.
"""

import argparse
import sys
from pathlib import Path

import _ledger
from _claims import render
from _forms import FORMS, Forms

HERE = Path(__file__).parent


def options_of(words: list[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--quick", dest="form", action="store_const", const="quick")
    what.add_argument("--full", dest="form", action="store_const", const="full")
    what.add_argument("--render", action="store_true", help="make the page and run nothing")
    what.add_argument("--list", action="store_true", help="list names and commands")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names or scripts")
    parser.add_argument("--again", action="store_true", help="also what is in the ledger")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="data of others, see above")
    parser.add_argument("--ledger", type=Path, default=_ledger.ROOT / "docs/ledger.json")
    return parser.parse_args(words)


def main(
    words: list[str] | None = None, table: dict[str, Forms] = FORMS, folder: Path = HERE
) -> int:
    """Return 1 if a script has failed."""
    options = options_of(words)
    chosen = select(table, options.only)
    if options.list:
        for name, forms in chosen.items():
            for form, arguments in forms._asdict().items():
                if arguments is not None:
                    print(f"{form:6s}{name:42s}{_ledger.command_of(script_of(name), arguments)}")
        return 0
    code = 0 if options.render else run_all(chosen, options, folder)
    page = options.ledger.with_suffix(".md")
    page.write_text(render(_ledger.read(options.ledger)), encoding="utf-8")
    return code


def script_of(name: str) -> str:
    return name.split(":")[0]


def select(table: dict[str, Forms], only: list[str] | None) -> dict[str, Forms]:
    """The rows with one of these names or scripts."""
    unknown = [word for word in only or () if word not in {*table, *map(script_of, table)}]
    if unknown:
        raise SystemExit(f"there is no {', '.join(unknown)}: `--list` shows all")
    return {
        name: row for name, row in table.items() if not only or {name, script_of(name)} & {*only}
    }


def run_all(table: dict[str, Forms], options: argparse.Namespace, folder: Path) -> int:
    failed = False
    for name, forms in table.items():
        arguments = getattr(forms, options.form)
        if arguments is None:
            continue
        ledger = _ledger.read(options.ledger)
        old = ledger[options.form].get(name)
        entry, said = run_one(folder / f"{script_of(name)}.py", arguments, old, options)
        print(f"{name:42s}{said}", flush=True)
        if entry is not old:
            ledger[options.form][name] = entry
            _ledger.write(options.ledger, ledger)
            failed |= entry["status"] == "failed"
    return int(failed)


def run_one(
    script: Path, arguments: str, old: _ledger.Entry | None, options: argparse.Namespace
) -> tuple[_ledger.Entry, str]:
    """The entry of the script, the old one if it stays, and what to print."""
    root, command = script.parents[1], _ledger.command_of(script.stem, arguments)
    reason = _ledger.missing(script, arguments, options.data)
    if reason is not None:
        absent = {"status": "not run", "command": command, "reason": reason}
        return old if old and old["status"] != "not run" else absent, f"not run: {reason}"
    if old and not options.again and is_known(old, command, script, root):
        return old, "in the ledger"
    entry = _ledger.run(script, arguments, options.data, root)
    said = f"{entry['status']}, {entry['seconds']:.0f} s, {entry['cpu_seconds']:.0f} s of CPU"
    return entry, "\n  ".join([said, *entry.get("error", ())])


def is_known(entry: _ledger.Entry, command: str, script: Path, root: Path) -> bool:
    """Whether the entry is that of this command with these sources."""
    if entry["status"] != "done" or entry["command"] != command:
        return False
    return entry["hash"] == _ledger.hash_of(script, root)


if __name__ == "__main__":
    sys.exit(main())
