"""What does it cost to draw chains from the replay buffer and to write them back?

128 of 10,000 chains of 784 numbers, the buffer donated, beside a draw by permutation
(`jax.random.choice(replace=False)`) and beside a buffer that is copied.
"""

import jax
import jax.numpy as jnp
from _common import arguments, medians, write

from ebmx.training import ReplayBuffer
from ebmx.training.negatives._buffer import Chains

NUM, CAPACITY, SIZE, INNER = 128, 10_000, 784, 20


def main() -> None:
    options = arguments(__doc__).parse_args()

    def moved(buffer, chains):
        return buffer.write(Chains(chains.x + 1, chains.index, chains.ages + 1))

    def exchange(buffer, key):
        return moved(buffer, buffer.draw(NUM, key=key))

    def by_permutation(buffer, key):
        index = jax.random.choice(key, CAPACITY, (NUM,), replace=False)
        return moved(buffer, Chains(buffer.positions[index], index, buffer.ages[index]))

    steps = {
        "draw + write, donated": jax.jit(exchange, donate_argnums=0),
        "draw + write, copied": jax.jit(exchange),
        "by permutation, donated": jax.jit(by_permutation, donate_argnums=0),
    }
    start = jax.random.uniform(jax.random.key(0), (CAPACITY, SIZE))
    ages = jnp.zeros(CAPACITY, jnp.int32)
    buffers = {name: ReplayBuffer(jnp.array(start), jnp.array(ages)) for name in steps}
    keys = list(jax.random.split(jax.random.key(1), INNER))

    def repeat(name):
        def go():
            for key in keys:
                buffers[name] = steps[name](buffers[name], key)
            return buffers[name]

        return go

    times = medians({name: repeat(name) for name in steps}, repeats=15)
    figures = {name: 1e6 * seconds / INNER for name, seconds in times.items()}
    for name, value in figures.items():
        print(f"{name:26s}{value:10.1f} µs")
    write(options.json, {"microseconds": figures})


if __name__ == "__main__":
    main()
