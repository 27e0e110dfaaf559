"""Is a training that is killed again and again the one that was never stopped? What do saves cost?

Kills: one process trains to the end and keeps all its checkpoints. Others train the same in a
folder of their own, are killed by SIGKILL at a random moment, every other time while a checkpoint
is being written, and go on from their last checkpoint. After each kill every checkpoint on disk
must be good and equal, bit for bit, that of the first process. When a training comes to its end
between kills, the next one begins anew.

Cost: the time of a save that the training waits for, and until it is on disk, beside the time of
the updates between two saves, for the digits at the default interval.
"""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
from _common import arguments, write
from _images import run_of

import ebmx
from ebmx.config import recipe
from ebmx.energies import ConvNet
from ebmx.samplers import Langevin
from ebmx.training import PCD, Checkpoints, Trainer, TrainState, fit, restore

EVERY, STEPS = 20, 1200
KEY = jax.random.key(0)
TRAINER = Trainer(
    optax.adam(1e-3),
    PCD(Langevin(1.0, noise_scale=0.02, bounds=(-1, 1)), 2, capacity=2048, reinit_prob=0.05),
)


def start() -> TrainState:
    """A small network on the digits, before the first update."""
    return TRAINER.init(ConvNet((8, 8, 1), (4,), key=KEY), key=KEY)


def train(folder: Path, keep: int) -> None:
    """Train to the last step, from the last checkpoint if there is one."""
    checkpoints = Checkpoints(folder, every=EVERY, keep=keep)
    state = restore(folder, start()) if checkpoints.steps else start()
    done = int(state.step)
    if done == STEPS:
        return
    batches = ebmx.data.batches(ebmx.data.load("digits").train, 32, start=done, key=KEY)
    fit(
        TRAINER,
        state,
        batches,
        num_steps=STEPS - done,
        key=KEY,
        log_every=5,
        callbacks=[lambda step, *_: print(step, flush=True)],
        progress=False,
        checkpoints=checkpoints,
    )


def worker(folder: Path, keep: int = 3) -> subprocess.Popen:
    """A process that trains in a folder."""
    command = [sys.executable, __file__, "--train", str(folder), "--keep", str(keep)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def unfinished(folder: Path) -> bool:
    """Whether a checkpoint is being written, or an old one removed."""
    return folder.is_dir() and any(not path.name.isdigit() for path in folder.iterdir())


def kill_once(folder: Path, within_a_save: bool, chance: random.Random) -> dict[str, Any] | None:
    """Train, kill, and say what was lost; `None` if the training was at its end before."""
    process = worker(folder)
    assert process.stdout is not None
    reached = int(process.stdout.readline() or STEPS)
    deadline = time.monotonic() + chance.uniform(0.0, 2.0)
    while time.monotonic() < deadline:
        time.sleep(0.001)
    while within_a_save and process.poll() is None and not unfinished(folder):
        time.sleep(0.0005)
    time.sleep(chance.uniform(0.0, 0.05) if within_a_save else 0.0)
    process.kill()
    for line in process.stdout:
        reached = int(line) if line.endswith("\n") else reached
    if process.wait() == 0:
        return None
    saved = Checkpoints(folder).steps
    return {"reached": reached, "saved": saved, "within_a_save": unfinished(folder)}


def same(folder: Path, reference: Path, like: TrainState, steps: list[int]) -> bool:
    """Whether these checkpoints are good and those of the training that was never stopped."""
    for step in steps:
        pair = [restore(f, like, step=step) for f in (folder, reference)]
        leaves = [jax.tree.leaves(eqx.filter(state, eqx.is_array)) for state in pair]
        if not all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True)):
            return False
    return True


def kill_often(kills: int, scratch: Path) -> dict[str, Any]:
    """Figures of so many kills."""
    reference, like, chance = scratch / "whole", start(), random.Random(0)
    process = worker(reference, keep=STEPS)
    process.communicate()
    if process.returncode:
        raise SystemExit("the training that is not killed has failed")
    found: list[dict[str, Any]] = []
    ends, equal, run = 0, 0, 0
    while len(found) < kills:
        folder = scratch / str(run)
        one = kill_once(folder, len(found) % 2 == 1, chance)
        ok = same(folder, reference, like, Checkpoints(folder).steps)
        if one is None:
            ends, run = ends + ok, run + 1
            continue
        equal += ok
        found.append(one)
    folder = scratch / str(run)
    worker(folder).communicate()
    ends += same(folder, reference, like, [STEPS])
    lost = [one["reached"] - (one["saved"][-1] if one["saved"] else 0) for one in found]
    return {
        "kills": kills,
        "within_a_save": sum(one["within_a_save"] for one in found),
        "equal_after_the_kill": equal,
        "trainings": run + 1,
        "equal_at_the_end": ends,
        "most_updates_lost": max(lost),
        "interval": EVERY,
    }


def cost(scratch: Path) -> dict[str, float]:
    """What a save of the digits costs beside the updates of the default interval."""
    run = run_of(recipe("digits"), ebmx.data.load("digits"), 1000)
    trainer, state = run.trainer, run.init()
    batches, ticks = run.batches(), []

    def tick(step: int, state: TrainState, metrics: dict[str, float]) -> None:
        ticks.append(time.perf_counter())

    state, _ = fit(trainer, state, batches, num_steps=110, key=KEY, log_every=10, callbacks=[tick])
    update = float(np.median(np.diff(ticks))) / 10
    checkpoints = Checkpoints(scratch / "cost")
    writer = checkpoints.writer(state)
    waited, written = [], []
    for step in range(1000, 1010):
        state = eqx.tree_at(lambda s: s.step, state, state.step * 0 + step)
        begin = time.perf_counter()
        writer.save(state)
        waited.append(time.perf_counter() - begin)
        writer.wait()
        written.append(time.perf_counter() - begin)
    writer.close()
    files = [path for path in (scratch / "cost" / "1009").rglob("*") if path.is_file()]
    arrays = jax.tree.leaves(eqx.filter(state, eqx.is_array))
    between = checkpoints.every * update
    return {
        "update_ms": 1e3 * update,
        "interval_updates": checkpoints.every,
        "wait_ms": 1e3 * float(np.median(waited)),
        "write_ms": 1e3 * float(np.median(written)),
        "wait_percent": 100 * float(np.median(waited)) / between,
        "write_percent": 100 * float(np.median(written)) / between,
        "state_kb": sum(a.nbytes for a in arrays) / 1e3,
        "disk_kb": sum(path.stat().st_size for path in files) / 1e3,
    }


def main() -> int:
    """Print the figures; 1 if a promise is broken."""
    parser = arguments(__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how many")
    parser.add_argument("--train", type=Path, help="train in this folder, for the processes")
    parser.add_argument("--keep", type=int, default=3, help="how many checkpoints these keep")
    options = parser.parse_args()
    if options.train is not None:
        train(options.train, options.keep)
        return 0
    scratch = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        saves = cost(scratch)
        figures = kill_often(options.kills, scratch)
    finally:
        shutil.rmtree(scratch)
    for name, value in (figures | saves).items():
        print(f"{name:24s}{value:12.2f}" if isinstance(value, float) else f"{name:24s}{value:12d}")
    promises = {
        "each checkpoint after a kill is good and equal": figures["equal_after_the_kill"]
        == figures["kills"],
        "each training ends equal": figures["equal_at_the_end"] == figures["trainings"],
        # the save of the interval before may still have been under way
        "no more than two intervals are lost": figures["most_updates_lost"] <= 2 * EVERY,
        "a save costs at most 2 % of the training": saves["write_percent"] <= 2,
    }
    for name, kept in promises.items():
        print(f"{'kept  ' if kept else 'BROKEN'} {name}")
    write(options.json, {"kills": figures, "cost": saves, "promises": promises})
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
