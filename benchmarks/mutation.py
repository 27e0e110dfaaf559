"""Would the tests notice? Bugs are put into a copy of the package, one at a time.

Each bug replaces one piece of text that occurs exactly once in a file. The tests named with it run
on the copy; a bug that they pass has survived, and a test is missing. `--only` takes a part of a
name. Exits with 1 if a bug survives, or if a text is not found exactly once.

The bugs are in `_mutants.py`.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _common import arguments, write
from _mutants import MUTANTS

ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, root: Path) -> bool:
        """Write the bug into a copy; whether its place was found exactly once."""
        path = root / self.file
        text = path.read_text()
        path.write_text(text.replace(self.old, self.new))
        return text.count(self.old) == 1


def mutants(only: str) -> list[Mutant]:
    found = [
        Mutant(name, f"ebmx/{file}", old, new, tuple(f"tests/{test}" for test in tests.split()))
        for (file, tests), bugs in MUTANTS.items()
        for name, old, new in bugs
    ]
    return [mutant for mutant in found if only in mutant.name]


def judge(mutant: Mutant) -> dict[str, str | float]:
    """Run the tests on a copy of the package with this bug."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for part in ("ebmx", "tests"):
            shutil.copytree(ROOT / part, Path(folder) / part)
        shutil.copy(ROOT / "pyproject.toml", folder)
        by = "text not found exactly once"
        fate = "not applied"
        if mutant.apply(Path(folder)):
            fate, by = test(mutant, folder)
    seconds = round(time.perf_counter() - start, 1)
    return {"name": mutant.name, "file": mutant.file, "fate": fate, "by": by, "seconds": seconds}


def test(mutant: Mutant, folder: str) -> tuple[str, str]:
    options = ["-x", "-n", "0", "-q", "-m", "", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, *mutant.tests]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return "survived", ""
    killer = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if done.returncode != 1 or killer is None:
        return "not applied", f"pytest ended with {done.returncode}: {done.stdout[-200:]}"
    return "killed", killer[1].removeprefix("tests/")


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="run the bugs whose name holds this")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    options = parser.parse_args()
    results = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(judge, mutants(options.only)):
            name, fate, seconds = result["name"], result["fate"], result["seconds"]
            print(f"{name:24} {fate:12} {seconds:6} s  {result['by']}", flush=True)
            results.append(result)
    fates = [result["fate"] for result in results]
    counts = {fate: fates.count(fate) for fate in ("killed", "survived", "not applied")}
    print(", ".join(f"{count} {fate}" for fate, count in counts.items()))
    write(options.json, {"counts": counts, "mutants": results})
    return int(counts["killed"] < len(results) or not results)


if __name__ == "__main__":
    sys.exit(main())
