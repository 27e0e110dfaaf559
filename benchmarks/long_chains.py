"""Are time and memory of a loop what they should be?

Time against the number of steps and of chains (the exponent of a power law should be 1), and the
memory that a million steps of one chain add.
"""

import resource

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, medians, write

import ebmx
from ebmx.energies import Gaussian
from ebmx.samplers import Langevin, Moments

ENERGY = Gaussian(jnp.zeros(32))


def chain(chains: int, steps: int):
    x = jnp.zeros((chains, 32))
    key = jax.random.key(0)
    return lambda: (
        ebmx.sample(
            ENERGY, Langevin(0.1), x, num_samples=steps, save=Moments(), throw=False, key=key
        ).x
    )


def exponent(times: dict[int, float]) -> float:
    """The slope in a log-log plot."""
    return float(np.polyfit(np.log(list(times)), np.log(list(times.values())), 1)[0])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--part", type=float, default=1.0, help="of the steps")
    options = parser.parse_args()
    steps = [int(options.part * num) for num in (1000, 2000, 4000, 8000)]
    chains = (1024, 2048, 4096, 8192)
    by_steps = medians({str(n): chain(256, n) for n in steps})
    by_chains = medians({str(n): chain(n, max(1, int(options.part * 100))) for n in chains})
    chain(1, 10)()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    jax.block_until_ready(chain(1, 1_000_000)())
    figures = {
        "exponent_of_steps": exponent({int(n): t for n, t in by_steps.items()}),
        "exponent_of_chains": exponent({int(n): t for n, t in by_chains.items()}),
        "seconds_by_steps": by_steps,
        "seconds_by_chains": by_chains,
        "million_steps_added_mib": (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        ) / 1024,
    }  # fmt: skip
    for name, value in figures.items():
        print(f"{name:26s}{value}")
    write(options.json, figures)


if __name__ == "__main__":
    main()
