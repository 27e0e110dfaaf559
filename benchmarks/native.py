"""How fast is `ConvNet(native=True)`, against the same network by XLA and against the limit?

Chains and updates of the recipes `uva_mnist` and `mnist_5k`, in seconds of the processor, both ways
in turn in one process; run it on one core, `taskset -c 0`. The limit is that of `limit.py`: the
arithmetic at the rate of a large matrix product, and the noise at that of normal numbers. Needs
`pip install 'ebmx[native]'`, or a compiler that `CXX` names.
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from _common import arguments, normals, product, times, write
from _counts import flop_of_energy

import ebmx
from ebmx.energies import ConvNet
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, contrastive_loss

STEPS, CAPACITY = 20, 8192
KEY = jax.random.key(0)
UVA = {"channels": (16, 32, 64, 64), "kernel_sizes": (5, 3, 3, 3), "paddings": (4, 1, 1, 1)}
SMALL = {"channels": (16, 32), "kernel_sizes": (5, 3), "hidden_dims": (128,)}
RECIPES = {  # the network, images, steps of an update, the sampler
    "uva_mnist": (UVA, 128, 60, Langevin(20.0, noise_scale=0.005, grad_clip=0.03, bounds=(-1, 1))),
    "mnist_5k": (SMALL, 64, 20, Langevin(2.0, noise_scale=0.01, grad_clip=3.0, bounds=(-1, 1))),
}


def chain_of(energy: Any, batch_size: int, sampler: Langevin) -> Callable[[], Any]:
    x = jax.random.uniform(KEY, (batch_size, *energy.shape), minval=-1)
    return lambda: ebmx.run(energy, sampler, x, num_steps=STEPS, key=KEY)


def update_of(energy: Any, batch_size: int, steps: int, sampler: Langevin) -> Callable[[], Any]:
    """An update that goes on from call to call, donated as `fit` does."""
    negatives = PCD(sampler, steps, CAPACITY, 0.05)
    loss = eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.01))
    trainer = Trainer(optax.adam(1e-4), negatives, loss, data_noise=0.005)
    batch = jax.random.uniform(KEY, (batch_size, *energy.shape), minval=-1)
    state = trainer.init(energy, key=KEY)
    step = eqx.filter_jit(lambda args, state: args[0].step(state, args[1], key=KEY),
                          donate="all-except-first")  # fmt: skip
    holder = [jax.tree.map(lambda a: jnp.array(a) if eqx.is_array(a) else a, state)]

    def update() -> Any:
        holder[0], metrics = step((trainer, batch), holder[0])
        return metrics

    return update


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="the recipe whose name holds this")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    multiply, flop = product()
    draw, count = normals(128, 784)
    figures: dict[str, dict[str, float]] = {}
    for name, (network, batch_size, steps, sampler) in RECIPES.items():
        if options.only not in name:
            continue
        work: dict[str, Callable[[], Any]] = {"product": multiply, "normals": draw}
        plain, native = (
            ConvNet((28, 28, 1), **network, native=native, key=KEY) for native in (False, True)
        )
        for way, energy in (("XLA", plain), ("kernel", native)):
            work[f"chain {way}"] = chain_of(energy, batch_size, sampler)
            work[f"update {way}"] = update_of(energy, batch_size, steps, sampler)
        found = times(work, options.repeats, clock=time.process_time)
        median = {key: statistics.median(seconds) for key, seconds in found.items()}
        one = 2 * flop_of_energy(plain) * median["product"] / flop
        one += math.prod(plain.shape) * median["normals"] / count
        for what, num in (("chain", STEPS), ("update", steps)):
            ways = median[f"{what} XLA"], median[f"{what} kernel"]
            row = {"xla_ms": 1e3 * ways[0], "kernel_ms": 1e3 * ways[1]}
            row |= {"times_as_fast": ways[0] / ways[1]}
            row |= {"xla_over_limit": ways[0] / (one * num * batch_size)}
            row |= {"kernel_over_limit": ways[1] / (one * num * batch_size)}
            figures[f"{name} {what}"] = row
            print(f"{name} {what:8s}" + "".join(f"{k:>18s} {v:.2f}" for k, v in row.items()))
    write(options.json, {"work": figures})


if __name__ == "__main__":
    main()
