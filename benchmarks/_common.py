"""What the benchmarks share: interleaved medians, and the machine's own rates."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ebmx._compilation_cache import keep_compiled
from ebmx._threefry import fuse

SPREAD = 0.2
"""A measurement whose times are spread by more of their median is repeated."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with `--json`; the script's docstring says what it is for.

    What JAX compiles is kept for the next script.
    """
    keep_compiled()
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=raw)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


def write(path: Path | None, figures: Mapping[str, Any]) -> None:
    """Write figures, and what they were measured on."""
    if path is not None:
        machine = {"jax": jax.__version__, "python": platform.python_version()}
        path.write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")


def medians(functions: Mapping[str, Callable[[], Any]], repeats: int = 7) -> dict[str, float]:
    """Median seconds of each function, measured by `times`."""
    found = times(functions, repeats)
    return {name: statistics.median(values) for name, values in found.items()}


def times(
    functions: Mapping[str, Callable[[], Any]],
    repeats: int = 7,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of the functions, called in turn; the first call of each is not counted.

    If those of one of them are spread by more than a fifth, all are measured once more, and the
    steadier measurement counts.
    """
    for function in functions.values():
        jax.block_until_ready(function())
    found = _in_turn(functions, repeats, clock)
    if _largest_spread(found) > SPREAD:
        found = min(found, _in_turn(functions, repeats, clock), key=_largest_spread)
    return found


def _in_turn(
    functions: Mapping[str, Callable[[], Any]], repeats: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = clock()
            jax.block_until_ready(function())
            found[name].append(clock() - start)
    return found


def _largest_spread(found: Mapping[str, list[float]]) -> float:
    return max(map(spread, found.values()))


def spread(values: Sequence[float]) -> float:
    """The range over the median."""
    return (max(values) - min(values)) / statistics.median(values)


def product(size: int = 2048, dtype: Any = jnp.float32) -> tuple[Callable[[], jax.Array], float]:
    """A large matrix product, and its FLOP."""
    a = jnp.ones((size, size), dtype)
    multiply = jax.jit(lambda a: a @ a)
    return lambda: multiply(a), 2.0 * size**3


def normals(rows: int, columns: int, steps: int = 20) -> tuple[Callable[[], jax.Array], int]:
    """Normal numbers added up in a scan, as fast as they come, and how many there are."""

    @jax.jit
    def draw(keys):
        def step(total, key):
            return total + jax.random.normal(key, (rows, columns)), None

        return jax.lax.scan(step, jnp.zeros((rows, columns)), keys)[0]

    keys = fuse(jax.random.split(jax.random.key(0), steps))
    return lambda: draw(keys), rows * columns * steps
