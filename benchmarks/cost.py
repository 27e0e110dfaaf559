"""Does cost grow as it should?

The time of a loop of chains against the number of steps, of chains and of dimensions, and that of
making a replay buffer against its capacity: the exponent of a power law, which should be 1, after
the overhead has been taken off, which is the time of the smallest call. That of drawing from a
buffer and writing to it should not depend on its capacity: its exponent is 0. First of all comes
the memory that a million steps of one chain add, in MiB.
"""

import resource
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, medians, write

import ebmx
from ebmx.samplers import Langevin, Moments
from ebmx.training import PCD, ReplayBuffer
from ebmx.training.negatives._buffer import Chains

KEY = jax.random.key(0)
CHAINS, STEPS, SIZE, DRAWN = 256, 200, 32, 128
REPEATS = 7
SAMPLER = Langevin(0.01)


def double_well(x: jax.Array) -> jax.Array:
    return jnp.sum((x**2 - 1) ** 2)


def loop(chains: int = CHAINS, steps: int = STEPS, size: int = SIZE) -> Callable[[], Any]:
    """Steps of chains, whose moments are kept."""
    x = jnp.zeros((chains, size))

    def go() -> Any:
        return ebmx.sample(
            double_well, SAMPLER, x, num_samples=steps, save=Moments(), throw=False, key=KEY
        ).x

    return go


def new_buffer(capacity: int) -> Callable[[], Any]:
    """A buffer of images, filled with noise."""
    negatives = PCD(Langevin(20.0, noise_scale=0.005, bounds=(-1, 1)), 1, capacity, 0.05)
    make = jax.jit(lambda key: negatives.init((28, 28, 1), key=key))
    return lambda: make(KEY)


def exchange(capacity: int, inner: int = 50) -> Callable[[], Any]:
    """Draws from a buffer and writes to it, in a loop that donates it."""
    buffers = [ReplayBuffer(jnp.zeros((capacity, 784)), jnp.zeros(capacity, jnp.int32))]

    def once(buffer: ReplayBuffer, key: jax.Array) -> ReplayBuffer:
        drawn = buffer.draw(DRAWN, key=key)
        return buffer.write(Chains(drawn.x + 1, drawn.index, drawn.ages + 1))

    step, keys = jax.jit(once, donate_argnums=0), list(jax.random.split(KEY, inner))

    def go() -> Any:
        for key in keys:
            buffers[0] = step(buffers[0], key)
        return buffers[0]

    return go


def exponent(times: dict[int, float], overhead: float) -> float:
    """The slope in a log-log plot of the time above the overhead."""
    above = np.array(list(times.values())) - overhead
    assert (above > 0).all(), "the overhead is not below all times: take an idle machine"
    return float(np.polyfit(np.log(list(times)), np.log(above), 1)[0])


def seconds(work: Callable[[int], Callable], sizes: tuple[int, ...]) -> dict[int, float]:
    """The medians of the times, in turn."""
    times = medians({str(size): work(size) for size in sizes}, REPEATS)
    return {int(size): value for size, value in times.items()}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--part", type=float, default=1.0, help="of steps, chains, dimensions, …")
    options = parser.parse_args()
    # first, since a high-water mark does not fall; and not that of compiling
    for steps in (10, 20, 30):
        loop(chains=1, steps=steps)()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    number = int(options.part * 1_000_000)
    jax.block_until_ready(loop(chains=1, steps=number)())
    unit = 1024**2 if sys.platform == "darwin" else 1024
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit
    figures: dict[str, Any] = {"num_steps": number, "steps_added_mib": added}
    print(f"{f'{number} steps':26s}{added:.1f} MiB more")
    # the smallest is the overhead; the others span a factor of 8
    questions: dict[str, tuple[Callable[[int], Callable], tuple[int, ...]]] = {
        "steps": (lambda n: loop(steps=n), (1, 500, 1000, 2000, 4000)),
        "chains": (lambda n: loop(chains=n), (1, 4096, 8192, 16384, 32768)),
        "dimensions": (lambda n: loop(size=n), (1, 512, 1024, 2048, 4096)),
        "capacity": (new_buffer, (8, 16384, 32768, 65536, 131072)),
    }
    for name, (work, sizes) in questions.items():
        sizes = sizes[0], *(int(options.part * size) for size in sizes[1:])
        times = seconds(work, sizes)
        overhead = times.pop(sizes[0])
        figures[name] = {"exponent": exponent(times, overhead), "seconds": times}
        print(f"{name:26s}exponent {figures[name]['exponent']:.3f}", flush=True)
    times = seconds(exchange, (2048, 8192, 32768))  # not less than are drawn
    figures["exchange, capacity"] = {"exponent": exponent(times, 0.0), "seconds": times}
    print(f"{'exchange, capacity':26s}exponent {exponent(times, 0.0):.3f}")
    write(options.json, figures)


if __name__ == "__main__":
    main()
