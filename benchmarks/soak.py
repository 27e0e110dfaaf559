"""Does a long training grow? 20,000 updates of a small model, and the memory of the process.

The memory is that in use (the resident set, after the garbage of Python is collected), looked at
after each twentieth of the updates; the first quarter is warm-up. Compilations by XLA are counted,
so an update that is compiled anew would be seen too.
"""

import gc
import resource
import sys
import time
from typing import Any

import jax
import numpy as np
import optax
from _common import arguments, write

import ebmx
from ebmx.energies import ConvNet
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, fit

KEY = jax.random.key(0)


class Compilations:
    """Counts how often XLA compiles."""

    def __init__(self) -> None:
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_: Any) -> None:
        del duration_secs
        self.count += event == "/jax/core/compile/backend_compile_duration"


def resident() -> float:
    """Megabytes in use now."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def main() -> int:
    """Print the figures; 1 if a promise is broken."""
    parser = arguments(__doc__)
    parser.add_argument("--updates", type=int, default=20_000, help="how many")
    options = parser.parse_args()
    sampler = Langevin(2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
    trainer = Trainer(optax.adam(1e-3, b1=0.0), PCD(sampler, 5, 2048, 0.05), data_noise=0.03)
    state = trainer.init(ConvNet((8, 8, 1), (8, 8), hidden_dims=(8,), key=KEY), key=KEY)
    batches = ebmx.data.batches(ebmx.data.load("digits").train, 32, key=KEY)
    compilations, memory, compiled = Compilations(), [], []

    def look(step: int, state: Any, metrics: Any) -> None:
        memory.append(resident())
        compiled.append(compilations.count)

    begin = time.perf_counter()
    state, history = fit(
        trainer,
        state,
        batches,
        num_steps=options.updates,
        key=KEY,
        log_every=options.updates // 20,
        callbacks=[look],
        progress=False,
    )
    seconds = time.perf_counter() - begin
    warm, rest = memory[4], memory[5:]
    figures = {
        "updates": options.updates,
        "seconds": seconds,
        "megabytes_after_warm_up": warm,
        "megabytes_at_most_after": max(rest),
        "growth_percent": 100 * (max(rest) / warm - 1),
        "compilations_after_the_first_part": compiled[-1] - compiled[0],
        "skipped": int(state.skipped),
        "dead_chains": int(np.sum(history["dead_chains"])),
    }
    for name, value in figures.items():
        print(f"{name:36s}{value:12.2f}" if isinstance(value, float) else f"{name:36s}{value:12d}")
    promises = {
        "memory grows by at most 2 % after the warm-up": figures["growth_percent"] <= 2,
        "nothing is compiled after the first part": compiled[-1] == compiled[0],
    }
    for name, kept in promises.items():
        print(f"{'kept  ' if kept else 'BROKEN'} {name}")
    write(options.json, {"soak": figures, "megabytes": memory, "promises": promises})
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
