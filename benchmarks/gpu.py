"""What do training and sampling cost on an accelerator, beside JAX by hand and PyTorch?

Milliseconds of an update of PCD or of a step of all chains, minimum and median; the columns take
turns in one process. `ratio` is the median of ebmx over that by hand (`_gpu_by_hand.py`), `share`
the arithmetic of convolutions and products over what a large matrix product of the row's precision
does in that time. `MB` is what the program takes by XLA's account; `peak MB` is the largest amount
that JAX has had in use on the device so far, of all rows up to this one and of the large products
at the start, if the device says so.
`compile s` is the time to trace and compile. PyTorch and torchebm take part if they are installed,
and leave out rows that begin late. In each row the chains by hand and those of ebmx must have moved
equally far.

On a CPU it runs in a small form, with narrow networks and short chains, without `torch.compile`,
torchebm and two of the rows in half precision. Its figures say nothing about the full form.
"""

import importlib.util
import math
import statistics
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, medians, product, spread, times, write
from _counts import flop_of_energy
from _gpu_programs import hand_written, ours
from _gpu_work import Program, Work, double_well, works

LIBRARIES = ("torch", "torch.compile", "torchebm")
LIBRARY_SECONDS = 150  # rows that begin later leave them out
NOT_SMALL = ("pcd-uva-bfloat16", "chain-unet-bfloat16")  # long to compile, and slow on a CPU


def check_distances(programs: Mapping[str, Program], last: Mapping[str, Any], name: str) -> None:
    """Check that the mean squares of how far both moved agree, within 5 % and chance."""
    means, errors = [], []
    for column in ("ebmx", "by hand"):
        distances = (np.asarray(last[column]) - programs[column].start) ** 2
        distances = distances.reshape(len(distances), -1).mean(1)
        means.append(float(distances.mean()))
        errors.append(float(distances.std()) / math.sqrt(len(distances)))
    allowed = 0.05 * max(means) + 4 * math.hypot(*errors)
    assert abs(means[0] - means[1]) <= allowed, f"{name}: mean squared distances {means} differ"


def flop(work: Work, energy: Any) -> float | None:
    """Arithmetic of convolutions and matrix products in an update, or in a step."""
    if energy is double_well:
        return None
    # the gradient of the loss is that in parameters and in outputs, of data and negatives
    losses = 6 * work.num_chains if work.num_updates else 0
    return flop_of_energy(energy) * (2 * work.num_gradients + losses)


def row_of(
    work: Work, rates: Mapping[str, float], repeats: int, columns: tuple[str, ...]
) -> dict[str, Any]:
    """The figures of a row, with the reasons why a library takes no part."""
    energy = work.energy()
    programs, failures = {"ebmx": ours(work, energy)}, {}
    jax.block_until_ready(programs["ebmx"].run())
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    programs["by hand"] = hand_written(work, energy)
    jax.block_until_ready(programs["by hand"].run())
    if columns:
        from _gpu_torch import libraries

        for name, build in libraries(work).items():
            if name in columns:
                try:
                    program = build()
                    program.run()
                    programs[name] = program
                except Exception as error:
                    failures[name] = f"{type(error).__name__}: {error}"
    whole = times({name: program.run for name, program in programs.items()}, repeats)
    seconds = {name: [t / programs[name].count for t in values] for name, values in whole.items()}
    check_distances(programs, {name: p.run() for name, p in programs.items()}, work.name)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    arithmetic, mine = flop(work, energy), programs["ebmx"]
    share = arithmetic and arithmetic / median["ebmx"] / rates[work.dtype]
    return {
        "unit": work.unit,
        "chains": work.num_chains,
        "num_steps": work.chain.num_steps,
        "ms": {name: 1e3 * value for name, value in median.items()},
        "min_ms": {name: 1e3 * min(values) for name, values in seconds.items()},
        "spread": max(spread(seconds["ebmx"]), spread(seconds["by hand"])),
        "ratio": median["ebmx"] / median["by hand"],
        "share": share,
        "program_bytes": mine.memory,
        "peak_bytes": peak,
        "compile_s": mine.compile_seconds,
        "compile_by_hand_s": programs["by hand"].compile_seconds,
        "failures": failures,
    }


TITLES = (
    ("row", 22), ("chains×steps", 13), ("of", 7), ("ebmx", 17), ("by hand", 17), ("ratio", 6),
    *((name, max(8, len(name) + 1)) for name in LIBRARIES),
    ("share", 7), ("MB", 8), ("peak MB", 8), ("compile s", 10),
)  # fmt: skip


def line(cells: Mapping[str, str]) -> str:
    """A line of the table."""
    first = f"{cells['row']:{TITLES[0][1]}s}"
    return first + "".join(f"{cells[title]:>{width}s}" for title, width in TITLES[1:])


def cells(name: str, row: Mapping[str, Any]) -> dict[str, str]:
    """The figures of a row as they are printed."""
    ms, least = row["ms"], row["min_ms"]

    def or_dash(value: float | None, form: str, factor: float = 1) -> str:
        return "-" if value is None else format(factor * value, form)

    found = {
        "row": name,
        "chains×steps": f"{row['chains']}×{row['num_steps']}",
        "of": row["unit"],
        "ratio": f"{row['ratio']:.2f}",
        "share": or_dash(row["share"], ".1%"),
        "MB": or_dash(row["program_bytes"], ".1f", 1e-6),
        "peak MB": or_dash(row["peak_bytes"], ".0f", 1e-6),
        "compile s": or_dash(row["compile_s"], ".1f"),
    }
    for column in ("ebmx", "by hand"):
        found[column] = f"{least[column]:.3g} {ms[column]:.3g}"
    return found | {library: or_dash(ms.get(library), ".3g") for library in LIBRARIES}


def products() -> dict[str, float]:
    """FLOP/s of a large matrix product in each precision."""
    size = 1024 if jax.default_backend() == "cpu" else 8192
    dtypes = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    pairs = {name: product(size, dtype) for name, dtype in dtypes.items()}
    times = medians({name: multiply for name, (multiply, _) in pairs.items()})
    return {name: count / times[name] for name, (_, count) in pairs.items()}


def versions() -> dict[str, str]:
    """The device, and what takes part beside JAX."""
    found = {"device": f"{jax.devices()[0].device_kind} ({jax.default_backend()})"}
    if importlib.util.find_spec("torch"):
        from _gpu_torch import DEVICE, torch

        found["torch"] = f"{torch.__version__} on {DEVICE}"
    return found


def main() -> None:
    parser = arguments(__doc__)
    names = [work.name for work in works(small=False)]
    parser.add_argument("--rows", nargs="+", choices=names, help="these rows alone")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--small", action="store_true", help="the form for a CPU")
    form.add_argument("--full", action="store_true", help="the form for an accelerator")
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)  # it counts the time to compile
    begin = time.perf_counter()
    small = options.small or (jax.default_backend() == "cpu" and not options.full)
    facts = versions() | {"form": "small" if small else "full"}
    print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    rates = products()
    print(", ".join(f"{name} {rate / 1e12:.3g} TFLOP/s" for name, rate in rates.items()), "\n")
    print(line({title: title for title, _ in TITLES}), flush=True)
    rows = {}
    chosen = options.rows or [name for name in names if not (small and name in NOT_SMALL)]
    for work in [work for work in works(small) if work.name in chosen]:
        columns = LIBRARIES[:1] if small else LIBRARIES
        elsewhere = jax.default_backend() == "gpu" and "cuda" not in facts.get("torch", "")
        if "torch" not in facts or elsewhere or time.perf_counter() - begin > LIBRARY_SECONDS:
            columns = ()
        row = rows[work.name] = row_of(work, rates, 5 if small else 7, columns)
        print(line(cells(work.name, row)), flush=True)
        for library, reason in row["failures"].items():
            print(f"  {library}: {reason}")
    print(f"{time.perf_counter() - begin:.0f} s")
    write(options.json, facts | {"product_flops": rates, "rows": rows})


if __name__ == "__main__":
    main()
