"""How fast are the other libraries at the same work, on this machine, in this run?

Each library lives in a virtual environment of its own, made at the first run, and in a worker
process of its own (`_peer_worker.py`, which says what differs between them). The workers take
turns, repetition by repetition, and sleep in between; minima and medians, after one that is not
counted, and once more where times vary by more than a fifth. A ratio of medians above 1 is how
many times as long as `ebmx` a peer takes.

A run under load says little: PyTorch slows down by up to ten times if another process uses a core.
On Linux, pip may take a CUDA build of PyTorch of several gigabytes; configure it for the CPU build.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from _common import SPREAD, arguments, spread, write
from _peer_environments import PEERS, Failure, default_folder, environment

Row = dict[str, dict[str, Any]]  # of a workload, by library
Failures = dict[str, dict[str, str]]  # reasons, by library and by workload or "start"


class Workload(NamedTuple):
    """What is timed: so many updates or steps in a repetition."""

    title: str
    count: int
    unit: str = "ms"


WORKLOADS = {
    "pcd-uva": Workload("PCD update, UvA network, 128 of 28×28", 3),
    "pcd-uva-native": Workload("the same, with the kernel of ebmx[native]", 3),
    "pcd-mlp": Workload("PCD update, MLP 2-128-128-1, 256 chains", 20),
    "langevin-128x2": Workload("Langevin step, double well 128×2", 3000, "µs"),
    "langevin-4096x32": Workload("Langevin step, double well 4096×32", 300, "µs"),
    "mala-4096x32": Workload("MALA step, double well 4096×32", 200, "µs"),
    "pcd-16-32-64": Workload("PCD update, 3×3 network 16-32-64, 128 of 28×28", 1),
}
FEW = {("artifex", "pcd-mlp"): 1}  # seconds each
OURS = "ebmx"
TARGET = 2.0
REPEATS, PATIENCE = 5, 300  # counted repetitions, and seconds that one may take
WORKER = Path(__file__).with_name("_peer_worker.py")


class Worker:
    """A process that holds one library."""

    def __init__(self, library: str, python: Path | str):
        variables = dict(os.environ)
        if library != OURS:
            variables.pop("PYTHONPATH", None)  # nothing of this environment in a peer's
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (it outlives this)
        self.process = subprocess.Popen(
            [str(python), "-P", str(WORKER), library],
            env=variables, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip
        try:
            self.versions = self.read()
        except Failure:
            self.close()
            raise

    def read(self) -> dict[str, Any]:
        """The next answer."""
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        reply = self.process.stdout.readline()
        late = not timer.is_alive()
        timer.cancel()
        if not reply:
            self.errors.seek(0)
            last = (self.errors.read().strip().splitlines() or ["it said nothing"])[-1]
            raise Failure(f"no answer in {PATIENCE} s" if late else f"the worker ended: {last}")
        answer = json.loads(reply)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def ask(self, workload: str, count: int) -> dict[str, Any]:
        """One repetition."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{workload} {count}\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failure("the worker has ended") from error
        return self.read()

    def close(self) -> None:
        """End the process; it leaves when its input does."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()


def measure(name: str, workers: dict[str, Worker], repeats: int, failures: Failures) -> Row:
    """The row of a workload.

    If times are spread by more than a fifth it is measured once more, and the steadier
    measurement counts.
    """
    row = measure_once(name, workers, repeats, failures)
    if row and spread_of(row) > SPREAD:
        again = measure_once(name, workers, repeats, {library: {} for library in failures})
        row = min(row, again, key=spread_of) if again.keys() == row.keys() else row
    return row


def spread_of(row: Row) -> float:
    """The largest spread of the times of a library."""
    return max(spread(found["all"]) for found in row.values())


def measure_once(name: str, workers: dict[str, Worker], repeats: int, failures: Failures) -> Row:
    """The seconds of an update or a step of each library that has it, and the chains' moment."""
    times: dict[str, list[float]] = {library: [] for library in workers}
    values: dict[str, float] = {}
    for repeat in range(repeats + 1):
        for library in list(times):
            time.sleep(0.05)  # until the threads of the last one have gone to sleep
            count = FEW.get((library, name), WORKLOADS[name].count)
            try:
                reply = workers[library].ask(name, count)
            except Failure as failure:
                failures[library][name] = str(failure)
                del times[library]
                continue
            if "absent" in reply:
                del times[library]
            elif repeat > 0:
                times[library].append(reply["seconds"])
                values[library] = reply["value"]
    return {
        library: {"seconds": statistics.median(all), "all": all, "value": values[library]}
        for library, all in times.items()
    }


def line(first: str, unit: str, cells: list[str]) -> None:
    """Print a line of the table."""
    print(f"{first:48s}{unit:4s}" + "".join(f"{cell:>24s}" for cell in cells), flush=True)


def show(name: str, row: Row, failures: Failures) -> dict[str, float]:
    """Print a workload's line, and return the peers' ratios."""
    workload, cells = WORKLOADS[name], []
    scale = {"ms": 1e3, "µs": 1e6}[workload.unit]
    ours = row[OURS]["seconds"] if OURS in row else math.nan
    ratios = {peer: row[peer]["seconds"] / ours for peer in PEERS if peer in row}
    for library in (OURS, *PEERS):
        if library in row:
            ratio = f" ({ratios[library]:.2f}×)" if library != OURS else ""
            least = scale * min(row[library]["all"])
            cells.append(f"{least:.4g} {scale * row[library]['seconds']:.4g}{ratio}")
        else:
            cells.append("failed" if failures[library].keys() & {name, "start"} else "–")
    line(workload.title, workload.unit, cells)
    return ratios


def processor_seconds() -> tuple[float, float]:
    """What all processes have used of the cores, and what this one and its ended children have."""
    try:
        numbers = [int(n) for n in Path("/proc/stat").read_text().split("\n")[0].split()[1:8]]
    except OSError:  # not on Linux
        return math.nan, math.nan
    busy = sum(numbers) - numbers[3] - numbers[4]  # all but idle and waiting
    return busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


def second_moment() -> float:
    """`E x²` of a coordinate of the double well, by quadrature."""
    points = [i / 1000 for i in range(-3000, 3001)]
    weights = [math.exp(-((x**2 - 1) ** 2)) for x in points]
    return sum(w * x**2 for w, x in zip(weights, points, strict=True)) / sum(weights)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--environments", type=Path, default=default_folder(),
                        help="folder of the peers' virtual environments (%(default)s)")  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=[*WORKLOADS])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    before, start = processor_seconds(), time.perf_counter()
    failures: Failures = {library: {} for library in (OURS, *PEERS)}
    workers: dict[str, Worker] = {}
    for library in failures:
        try:
            ours = library == OURS
            python = sys.executable if ours else environment(library, options.environments)
            workers[library] = Worker(library, python)
        except Failure as failure:
            failures[library]["start"] = str(failure)
    versions = {library: worker.versions for library, worker in workers.items()}
    for library, packages in versions.items():
        print(f"{library:10s}" + ", ".join(" ".join(pair) for pair in packages.items()))

    line("", "", list(failures))
    figures, ratios = {}, {}
    for name in options.only:
        figures[name] = measure(name, workers, options.repeats, failures)
        ratios[name] = show(name, figures[name], failures)
    for worker in workers.values():
        worker.close()
    busy, own = (b - a for a, b in zip(before, processor_seconds(), strict=True))
    others = (busy - own) / (time.perf_counter() - start)
    print("–: the library has no such thing. What else differs, `_peer_worker.py` says.")
    quiet = "" if others < 0.1 else " PyTorch suffers most from that: the ratios favour ebmx."
    print(f"Other processes kept {others:.2f} cores busy meanwhile.{quiet}")

    moment, target = second_moment(), {}
    for name, row in figures.items():
        for library in row if name.endswith("4096x32") else ():  # enough numbers to tell
            value = row[library]["value"]
            if abs(value / moment - 1) > 0.05:
                print(f"{name}: {library} is off: second moment {value:.3f}, not {moment:.3f}")
        if ratios[name]:
            target[name] = min(ratios[name].values()) >= TARGET
            word = "at least" if target[name] else "NOT at least"
            nearest = min(ratios[name], key=ratios[name].__getitem__)
            print(f"{name:18s} ebmx is {word} {TARGET:g} times as fast as the fastest, {nearest}")
    for library, reasons in failures.items():
        for where, reason in reasons.items():
            print(f"{library} failed ({where}): {reason}")
    write(options.json, {"versions": versions, "cores_of_others": others, "workloads": figures,
                         "ratios": ratios, "target": target, "failures": failures})  # fmt: skip
    return 1 if failures[OURS] else 0


if __name__ == "__main__":
    sys.exit(main())
