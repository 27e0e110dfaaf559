"""Is a training on several devices the one on one device? What do they exchange, and at what cost?

Each row is a process of its own, whose CPU stands for so many devices (and one row is two processes
of two devices): 100 updates of persistent contrastive divergence on the digits from the same keys,
with 8 logical shards. Beside the row of one device: the largest difference of parameters and of the
buffer; the collective operations in the compiled update, with what they carry; the bytes of the
buffer on a device; the time of an update. The devices share the cores of one machine, so they are
not faster than one.

The cost model stands beside it: floating-point operations of an update at the rate of a large
matrix product, and its noise at the rate of normal numbers, as `limit.py` has them; bytes of the
buffer; bytes of the all-reduce. Last come estimates of what larger data would need on GPUs.
"""

import json
import math
import re
import socket
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
from _common import arguments, medians, normals, product, write
from _counts import flop_of_energy
from _on_paper import LINK, estimate, plans

import ebmx
from ebmx.energies import ConvNet
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, fit, shard
from ebmx.training._fit import _jitted_step
from ebmx.training._sharding import put_batch

STEPS, TIMED = 100, 40
SHARDS, BATCH, CAPACITY, CHAIN = 8, 128, 8192, 20
ROWS = (("1", 1, 1), ("2", 2, 1), ("4", 4, 1), ("8", 8, 1), ("2 × 2 processes", 2, 2))
WIDTHS = ((16, 32), (64, 64), (128, 128))
KINDS = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
CARRIED = re.compile(rf"= (.*?) ({KINDS})\(")


def trained(widths: tuple[int, ...] = (16, 32)) -> tuple[Trainer, Any]:
    """A small network on the digits, before the first update."""
    key = jax.random.key(0)
    sampler = Langevin(2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
    negatives = PCD(sampler, CHAIN, CAPACITY, 0.05, num_shards=SHARDS)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3, b1=0.0))
    trainer = Trainer(optim, negatives, data_noise=0.03)
    energy = ConvNet((8, 8, 1), widths, hidden_dims=widths[:1], key=key)
    return trainer, trainer.init(energy, key=key)


def rows_here(batch: np.ndarray) -> np.ndarray:
    """The rows of a batch that are this process's own."""
    return np.split(batch, jax.process_count())[jax.process_index()]


def work(folder: Path) -> None:
    """Train on all devices there are, and write what came out."""
    mesh, key = jax.make_mesh((len(jax.devices()),), ("data",)), jax.random.key(1)
    digits = ebmx.data.load("digits").train
    batches = map(rows_here, ebmx.data.batches(digits, BATCH, key=key))
    trainer, state = trained()
    options: dict[str, Any] = {"key": key, "progress": False, "mesh": mesh}
    state, _ = fit(trainer, state, batches, num_steps=STEPS, log_every=STEPS, **options)
    buffer = state.negatives_state.positions
    facts = {
        "buffer_bytes": [part.data.nbytes for part in buffer.addressable_shards],
        "collectives": collectives(trainer, state, next(batches), mesh, key),
    }
    everywhere = jax.sharding.NamedSharding(buffer.sharding.mesh, jax.sharding.PartitionSpec())
    whole = jax.jit(lambda a: a, out_shardings=everywhere)(buffer)
    parameters = jax.tree.leaves(eqx.filter(state.energy, eqx.is_array))
    found: dict[str, Any] = {f"parameters{i}": np.asarray(a) for i, a in enumerate(parameters)}
    facts["ms"] = milliseconds(trainer, state, batches, **options)
    if jax.process_index() == 0:
        np.savez(folder / "arrays.npz", buffer=np.asarray(whole), **found)
        (folder / "facts.json").write_text(json.dumps(facts))


def milliseconds(trainer: Trainer, state: Any, batches: Any, **options: Any) -> float:
    """The time of an update, without compilation."""
    ticks: list[float] = []

    def tick(step: int, state: Any, metrics: Any) -> None:
        ticks.append(time.perf_counter())

    fit(trainer, state, batches, num_steps=TIMED, log_every=5, callbacks=[tick], **options)
    return 1e3 * float(np.median(np.diff(ticks))) / 5


def collectives(trainer: Trainer, state: Any, batch: Any, mesh: Any, key: Any) -> list[list[Any]]:
    """The collective operations of the compiled update: what, and how many bytes come out."""
    inputs = trainer, put_batch(batch, mesh), key, mesh
    text = _jitted_step.lower(inputs, shard(state, mesh)).compile().compiled.as_text()
    return [[name, size_of(shape)] for shape, name in CARRIED.findall(text)]


def size_of(shapes: str) -> int:
    """The bytes of `(f32[8,2]{1,0}, s32[])`."""
    found = re.findall(r"[a-z]+(\d+)\[([\d,]*)\]", shapes)
    return sum(int(b) // 8 * math.prod(int(d) for d in n.split(",") if d) for b, n in found)


def measure(devices: int, processes: int, folder: Path) -> dict[str, Any]:
    """The arrays and facts of a row."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--folder", str(folder), "--devices", str(devices)]
    more = ["--processes", str(processes), "--port", str(port), "--number"]
    started = [subprocess.Popen([*command, *more, str(i)]) for i in range(processes)]
    codes = [process.wait() for process in started]
    if any(codes):
        raise SystemExit(f"{devices} devices in {processes} processes have failed")
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        return {"arrays": dict(file), **json.loads((folder / "facts.json").read_text())}


def differences(found: dict[str, Any], one: dict[str, Any]) -> dict[str, float]:
    """The largest difference of parameters and of the buffer."""
    pairs = {n: float(np.abs(a - one["arrays"][n]).max()) for n, a in found["arrays"].items()}
    buffer = pairs.pop("buffer")
    return {"parameters": max(pairs.values()), "buffer": buffer}


def cost_model(widths: tuple[int, ...]) -> dict[str, float]:
    """What an update takes by the model, at the rates of this machine, and what it does take."""
    trainer, state = trained(widths)
    energy, key = state.energy, jax.random.key(1)
    digits = ebmx.data.load("digits").train
    batches = ebmx.data.batches(digits, BATCH, key=key)
    measured = milliseconds(trainer, state, batches, key=key, progress=False)
    forward = flop_of_energy(energy)
    numbers = math.prod(energy.shape)
    parameters = sum(a.size for a in jax.tree.leaves(eqx.filter(energy, eqx.is_inexact_array)))
    chain, loss = 2 * forward * CHAIN * BATCH, 3 * forward * 2 * BATCH
    noise = CHAIN * BATCH * numbers
    multiply, flop = product()
    draw, count = normals(BATCH, 784)
    times = medians({"product": multiply, "normals": draw})
    seconds = (chain + loss) * times["product"] / flop + noise * times["normals"] / count
    return {
        "mega_flop": (chain + loss) / 1e6,
        "share_of_the_chains": chain / (chain + loss),
        "normal_numbers": noise,
        "limit_ms": 1e3 * seconds,
        "measured_ms": measured,
        "measured_over_limit": measured / (1e3 * seconds),
        "parameters": parameters,
        "all_reduce_bytes": 4 * parameters,
        "buffer_bytes": 4 * CAPACITY * numbers,
    }


def show(figures: dict[str, dict[str, float]]) -> None:
    """A table with a row for each name."""
    columns = list(next(iter(figures.values())))
    print(" " * 20 + "".join(f"{column:>17s}" for column in columns))
    for name, row in figures.items():
        print(f"{name:20s}" + "".join(f"{row[column]:17.4g}" for column in columns))
    print()


def main() -> int:
    """Print the figures; 1 if a promise is broken."""
    parser = arguments(__doc__)
    parser.add_argument("--folder", type=Path, help="train and write here, for the processes")
    for name in ("--devices", "--processes", "--number", "--port"):
        parser.add_argument(name, type=int, default=1, help="of such a process")
    parser.add_argument("--rows", type=int, default=len(ROWS), help="so many of the table")
    parser.add_argument("--networks", type=int, default=len(WIDTHS), help="of the cost model")
    options = parser.parse_args()
    if options.folder is not None:
        jax.config.update("jax_num_cpu_devices", options.devices)
        if options.processes > 1:
            address = f"127.0.0.1:{options.port}"
            jax.distributed.initialize(address, options.processes, options.number)
        work(options.folder)
        return 0
    models = {str(widths): cost_model(widths) for widths in WIDTHS[: options.networks]}
    model = models["(16, 32)"]
    rows: dict[str, dict[str, Any]] = {}
    kinds: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory(prefix="scaling-") as scratch:
        one: dict[str, Any] = {}
        for i, (name, devices, processes) in enumerate(ROWS[: options.rows]):
            found = measure(devices, processes, Path(scratch) / str(i))
            one = one or found
            carried = found["collectives"]
            kinds[name] = {kind: sum(b for n, b in carried if n == kind) for kind, _ in carried}
            rows[name] = {
                **differences(found, one),
                "buffer_bytes": max(found["buffer_bytes"]),
                "all_reduce_bytes": kinds[name].get("all-reduce", 0),
                "all_gather_bytes": kinds[name].get("all-gather", 0),
                "ms": found["ms"],
            }
    show(rows)
    show(models)
    paper = {
        f"{name}, {gpus}": estimate(plan, gpus) for name, plan in plans().items() for gpus in LINK
    }
    show(paper)
    several = {name: row for name, row in rows.items() if name != "1"}
    sizes = {name: devices * processes for name, devices, processes in ROWS}
    promises = {
        "parameters and buffer differ by at most 1e-5": all(
            max(row["parameters"], row["buffer"]) <= 1e-5 for row in rows.values()
        ),
        "the buffer of a device falls as 1 / devices": all(
            row["buffer_bytes"] * sizes[name] == model["buffer_bytes"] for name, row in rows.items()
        ),
        "nothing but sums and the hashes of chains is exchanged": all(
            kinds[name].keys() <= {"all-reduce", "all-gather"}
            and kinds[name].get("all-gather", 0) <= 4 * BATCH
            for name in several
        ),
        "the sums are those of the gradient and a few numbers": all(
            0 <= row["all_reduce_bytes"] - model["all_reduce_bytes"] <= 200
            for row in several.values()
        ),
    }
    for name, kept in promises.items():
        print(f"{'kept  ' if kept else 'BROKEN'} {name}")
    write(options.json, {"rows": rows, "model": models, "paper": paper, "promises": promises})
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
