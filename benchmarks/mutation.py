"""Would the tests notice? Mistakes are put into the package, one at a time.

Mutants are made from a module's syntax tree by `_mutation_operators.py`, as many as asked for and
chosen by a seed, or taken from the hand-made `_mutation_table.py` (`--table`). The tests of the
module (`_mutation_tests.py`) run with each; a mutant that they pass has survived. A process that
has imported the libraries is forked for each, and takes the mutated source in place of the file,
so nothing on disk is changed. `_mutation_equivalents.py` lists mutants that no test can tell from
the original, each with its reason; they are not counted.

Exits with 1 if the score is below `--target`, or if the tests of a module fail without a mutant.
"""

import collections
import dataclasses
import importlib.abc
import importlib.machinery
import importlib.util
import io
import multiprocessing
import multiprocessing.connection
import os
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _mutation_equivalents import EQUIVALENTS, is_equivalent
from _mutation_sample import sample
from _mutation_source import Mutant
from _mutation_table import MUTANTS
from _mutation_tests import tests_of

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("samplers", "training", "energies", "evaluation")
# neither BlackJAX nor orbax, whose imports start the threads of JAX, which a fork does not copy
PRELOADED = [
    *("beartype", "equinox", "hypothesis", "jax", "matplotlib", "optax", "pytest"),
    *("scipy.stats", "scipy.signal", "sklearn.metrics", "sklearn.datasets"),
]
MEMORY = 8 * 2**30
NEVER = str(10**9)


@dataclasses.dataclass(frozen=True)
class Run:
    """The tests of one mutant, or of none."""

    name: str
    file: str
    tests: tuple[str, ...]
    source: str
    kind: str = ""
    limit: float = 600.0


class _Mutated(importlib.machinery.SourceFileLoader):
    """Loads one module from other source than that of its file."""

    def __init__(self, name: str, path: str, source: str):
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> Any:
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, path: str, source: str):
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.name:
            return None
        loader = _Mutated(fullname, self.path, self.source)
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)


class _Killer:
    """Remembers the first test that fails."""

    def __init__(self):
        self.by = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.by:
            self.by = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.by:
            self.by = f"{report.nodeid} (import)"


def judge(run: Run, answer: Any) -> None:
    """In a process of its own: run the tests and send how they ended."""
    import pytest

    os.setpgrp()
    del os.environ["PYTHONWARNINGS"]
    warnings.resetwarnings()
    os.chdir(ROOT)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    os.environ["CI"] = "mutation"  # the same examples of hypothesis each time
    if run.kind == "mutant":
        # what is compiled from a mutant is not worth keeping
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = NEVER
        import jax

        jax.config.update("jax_persistent_cache_min_compile_time_secs", float(NEVER))
    sys.path.insert(0, str(ROOT))
    name = run.file.removesuffix(".py").replace("/", ".")
    sys.meta_path.insert(0, _Finder(name, str(ROOT / run.file), run.source))
    killer = _Killer()
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--import-mode=importlib"]
    options += [
        "-o",
        "addopts=",
        "-m",
        "not slow",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    sys.stdout = sys.stderr = io.StringIO()
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    try:
        code = int(pytest.main([*options, *run.tests], plugins=[killer]))
        answer.send((code, killer.by))
    except BaseException:
        answer.send((-1, traceback.format_exc()))
    answer.close()
    os._exit(0)


def run_all(runs: list[Run], jobs: int) -> Iterator[tuple[Run, str, str, float]]:
    """Each run with its fate, by which test, and its seconds, as they end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    # nothing has run on JAX's threads where the processes are forked
    os.environ["PYTHONWARNINGS"] = "ignore::RuntimeWarning"
    waiting, going = collections.deque(runs), {}
    while waiting or going:
        while waiting and len(going) < jobs:
            run = waiting.popleft()
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=judge, args=(run, there), daemon=False)
            process.start()
            there.close()
            going[process.sentinel] = (run, process, here, time.monotonic())
        multiprocessing.connection.wait(list(going), timeout=0.5)
        for sentinel, (run, process, here, start) in list(going.items()):
            seconds = time.monotonic() - start
            if process.exitcode is None and seconds < run.limit and not here.poll():
                continue
            fate, by = _fate(here, process, seconds >= run.limit)
            _end(process)
            del going[sentinel]
            yield run, fate, by, round(seconds, 1)


def _fate(here: Any, process: Any, late: bool) -> tuple[str, str]:
    try:
        code, by = here.recv() if here.poll() else (None, "")
    except EOFError:
        code, by = None, ""
    if code == 0:
        return "survived", ""
    if code in (1, 2):
        return "killed", by
    if code is None:
        return "killed", "its time limit" if late else f"a crash ({process.exitcode})"
    return "not judged", f"pytest ended with {code}: {by}"


def _end(process: Any) -> None:
    try:
        os.killpg(process.pid, 9)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.join()


def files(only: str) -> list[str]:
    found = [f for room in ROOMS for f in sorted((ROOT / "ebmx" / room).rglob("_*.py"))]
    names = [str(f.relative_to(ROOT)) for f in found if f.name != "__init__.py"]
    return [name for name in names if only in name and tests_of(name, ROOT)]


def sampled(only: str, num: int, seeds: list[int]) -> list[Mutant]:
    """Those of all seeds, each once, without the equivalent ones."""
    every = [one for seed in seeds for one in sample(ROOT, files(""), num, seed)]
    unique = dict.fromkeys(one for one in every if only in one.name)
    return [one for one in unique if not is_equivalent(one)]


def from_table(only: str) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Name, file, mutated source and tests of each bug of the hand-made table."""
    found = []
    for (file, tests), bugs in MUTANTS.items():
        path = f"ebmx/{file}"
        source = (ROOT / path).read_text()
        for name, old, new in bugs:
            if source.count(old) != 1:
                raise SystemExit(f"{name}: its text is found {source.count(old)} times in {path}")
            if only in name or only in path:
                named = tuple(f"tests/{test}" for test in tests.split())
                found.append((name, path, source.replace(old, new), named))
    return found


def runs_of(options: Any) -> list[Run]:
    if options.table:
        made = from_table(options.only)
    else:
        made = [
            (one.name, one.file, one.apply((ROOT / one.file).read_text()), tests_of(one.file, ROOT))
            for one in sampled(options.only, options.num, options.seeds)
        ]
    return [Run(name, file, tests, source, "mutant") for name, file, source, tests in made]


def baseline(runs: list[Run], jobs: int) -> dict[tuple[str, ...], float]:
    """A time limit for each set of tests that passes on the package as it is."""
    as_is = {
        run.tests: Run("as it is", run.file, run.tests, (ROOT / run.file).read_text())
        for run in runs
    }
    limits = {}
    for run, fate, by, seconds in run_all(list(as_is.values()), jobs):
        if fate == "survived":
            limits[run.tests] = 30.0 + 4.0 * seconds
        else:
            print(f"not judged: {run.file}: its tests fail without a mutant, {by}", flush=True)
    return limits


def report(results: list[dict[str, Any]], target: float) -> int:
    """Print scores and survivors; 1 if a score is below the target."""
    low = 0
    for kind in (lambda r: "all", lambda r: r["file"].split("/")[1], lambda r: r["file"]):
        groups: dict[str, list[str]] = {}
        for result in results:
            groups.setdefault(kind(result), []).append(result["fate"])
        for name, fates in groups.items():
            score = fates.count("killed") / len(fates)
            if "/" not in name or score < 0.85:
                print(f"{name:40} {score:6.1%}  {fates.count('killed')} of {len(fates)} killed")
            low |= name == "all" and score < target
    for result in results:
        if result["fate"] != "killed":
            print(f"{result['fate']}: {result['name']} {result['by']}")
    return int(low)


def main() -> int:
    from _common import arguments, write

    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="only mutants whose name or file holds this")
    parser.add_argument("--num", type=int, default=120, help="how many mutants a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="the hand-made table instead")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--target", type=float, default=0.9, help="the score to reach")
    options = parser.parse_args()
    runs = runs_of(options)
    if options.list or not runs:
        print("\n".join(run.name for run in runs) or "no mutant has this name")
        return int(not runs)
    limits = baseline(runs, options.jobs)
    able = [
        dataclasses.replace(run, limit=limits[run.tests]) for run in runs if run.tests in limits
    ]
    print(f"{len(able)} mutants; {len(limits)} sets of tests pass without any", flush=True)
    results = []
    for run, fate, by, seconds in run_all(able, options.jobs):
        print(f"{fate:10} {seconds:6} s  {run.name}  {by and '<- ' + by}", flush=True)
        results.append(
            {"name": run.name, "file": run.file, "fate": fate, "by": by, "seconds": seconds}
        )
    results.sort(key=lambda result: result["name"])
    code = report(results, options.target) | int(len(able) < len(runs))
    write(options.json, {"equivalents": len(EQUIVALENTS), "mutants": results})
    return code


if __name__ == "__main__":
    sys.exit(main())
