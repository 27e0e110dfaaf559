"""What does a standard increment of a chain cost?

Nanoseconds for each number, drawn in a scan as a chain draws it.
"""

import jax
import jax.numpy as jnp
from _common import arguments, medians, write

from ebmx.samplers import binomial, normal, rademacher

ROWS, COLUMNS, STEPS = 128, 784, 20


def in_scan(increments):
    @jax.jit
    def draw(keys):
        def step(total, key):
            each = jax.random.split(key, ROWS)
            noise = jax.vmap(lambda key: increments(key, (COLUMNS,), jnp.float32))(each)
            return total + noise, None

        return jax.lax.scan(step, jnp.zeros((ROWS, COLUMNS)), keys)[0]

    keys = jax.random.split(jax.random.key(0), STEPS)
    return lambda: draw(keys)


def main() -> None:
    options = arguments(__doc__).parse_args()
    kinds = {"normal": normal, "binomial": binomial, "rademacher": rademacher}
    times = medians({name: in_scan(kind) for name, kind in kinds.items()}, repeats=15)
    figures = {name: 1e9 * seconds / (ROWS * COLUMNS * STEPS) for name, seconds in times.items()}
    for name, value in figures.items():
        print(f"{name:12s}{value:8.2f} ns")
    write(options.json, {"nanoseconds": figures})


if __name__ == "__main__":
    main()
