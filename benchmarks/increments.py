"""What does a standard increment of a chain cost?

Nanoseconds for each number, drawn in a scan as a chain draws it. The loops of ebmx make their keys
such that the numbers are computed where they are used; "normal, plain key" is without that.
"""

import jax
import jax.numpy as jnp
from _common import arguments, medians, write

from ebmx._threefry import fuse
from ebmx.samplers._increments import INCREMENTS

ROWS, COLUMNS, STEPS = 128, 784, 20


def in_scan(increments, keys):
    @jax.jit
    def draw(keys):
        def step(total, key):
            each = jax.random.split(key, ROWS)
            noise = jax.vmap(lambda key: increments((COLUMNS,), jnp.float32, key=key))(each)
            return total + noise, None

        return jax.lax.scan(step, jnp.zeros((ROWS, COLUMNS)), keys)[0]

    return lambda: draw(keys)


def main() -> None:
    options = arguments(__doc__).parse_args()
    plain = jax.random.split(jax.random.key(0), STEPS)
    functions = {name: in_scan(kind, fuse(plain)) for name, kind in INCREMENTS.items()}
    times = medians(
        {"normal, plain key": in_scan(INCREMENTS["normal"], plain)} | functions, repeats=15
    )
    figures = {name: 1e9 * seconds / (ROWS * COLUMNS * STEPS) for name, seconds in times.items()}
    for name, value in figures.items():
        print(f"{name:20s}{value:8.2f} ns")
    write(options.json, {"nanoseconds": figures})


if __name__ == "__main__":
    main()
