"""How close to the limit of the machine are training and sampling of images?

The limit is the arithmetic at the rate of a large matrix product, plus the noise at the rate of
normal numbers, both measured in the same process, in turn with the work:

- an update of persistent contrastive divergence, 60 Langevin steps, 128 chains, 8192 in the buffer,
  with the network of the UvA tutorial, and with 3×3 convolutions 16-32-64 of strides 2, 2, 1;
- a Langevin step of 64 chains of 32×32×3 with a residual network 32-64-128; the same network on
  `eqx.nn.Conv2d`, which is `lax.conv`, stands beside it.

Last come the seconds to trace and compile a whole update, and its memory by XLA's own account over
that of the buffer and of what the layers of both batches return, before and after activations.
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
from _counts import flop_of_energy, outputs

import ebmx
from ebmx.energies import ConvNet, Convolution, ResNet
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, contrastive_loss

STEPS, BATCH, CAPACITY = 60, 128, 8192
RESNET_BATCH, RESNET_STEPS = 64, 6
SAMPLER = Langevin(20.0, noise_scale=0.005, grad_clip=0.03, bounds=(-1, 1))
KEY = jax.random.key(0)


class EquinoxConvolution(eqx.Module):
    """`eqx.nn.Conv2d` with the weights of a `Convolution`, on a channels-last image."""

    layer: eqx.nn.Conv2d

    def __init__(self, like: Convolution):
        _, size, channels, out_channels = like.weight.shape
        layer = eqx.nn.Conv2d(channels, out_channels, size, like.stride, like.padding, key=KEY)
        parts = jnp.transpose(like.weight, (3, 2, 0, 1)), like.bias[:, None, None]
        self.layer = eqx.tree_at(lambda c: (c.weight, c.bias), layer, parts)

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.moveaxis(self.layer(jnp.moveaxis(x, -1, 0)), 0, -1)


def on_equinox(energy: Any) -> Any:
    """The same energy on `eqx.nn.Conv2d`."""

    def is_convolution(node: Any) -> bool:
        return isinstance(node, Convolution)

    def replace(node: Any) -> Any:
        return EquinoxConvolution(node) if is_convolution(node) else node

    return jax.tree.map(replace, energy, is_leaf=is_convolution)


def training_of(energy: Any, batch_size: int) -> tuple[Any, tuple, Any]:
    """An update of PCD, to be compiled and donated as `fit` does, and what it takes."""
    optim = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-4, b1=0.0))
    loss = eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.1))
    trainer = Trainer(optim, PCD(SAMPLER, STEPS, CAPACITY, 0.05), loss, data_noise=0.005)
    batch = jax.random.uniform(KEY, (batch_size, *energy.shape), minval=-1)
    state = trainer.init(energy, key=KEY)
    step = eqx.filter_jit(lambda args, state: args[0].step(state, args[1], key=KEY),
                          donate="all-except-first")  # fmt: skip
    return step, (trainer, batch), state


def compiled(energy: Any, batch_size: int) -> dict[str, float]:
    """Seconds to trace and compile an update, and the memory it takes over what it must."""
    step, inputs, state = training_of(energy, batch_size)
    begin = time.perf_counter()
    program = step.lower(inputs, state).compile().compiled
    seconds = time.perf_counter() - begin
    buffer = 4 * CAPACITY * math.prod(energy.shape)
    needed = buffer + 2 * 4 * outputs(energy) * 2 * batch_size
    used = buffer + program.memory_analysis().temp_size_in_bytes
    return {"update_compile_s": seconds, "memory_ratio": used / needed}


def update_of(energy: Any) -> Callable[[], Any]:
    """An update that goes on from call to call."""
    step, inputs, state = training_of(energy, BATCH)
    holder = [jax.tree.map(lambda a: jnp.array(a) if eqx.is_array(a) else a, state)]

    def update():
        holder[0], metrics = step(inputs, holder[0])
        return holder[0], metrics

    return update


def chain_of(energy: Any) -> Callable[[], Any]:
    """A few Langevin steps of images."""
    x = jax.random.uniform(KEY, (RESNET_BATCH, *energy.shape), minval=-1)
    return lambda: ebmx.run(energy, SAMPLER, x, num_steps=RESNET_STEPS, key=KEY)


def seconds_to_compile(function: Callable[[], Any]) -> float:
    """The first call without the work of a second one."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        jax.block_until_ready(function())
        seconds.append(time.perf_counter() - start)
    return seconds[0] - seconds[1]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="the work whose name holds this")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)  # it counts the time to compile
    kernels, paddings = (5, 3, 3, 3), (4, 1, 1, 1)
    uva = ConvNet((28, 28, 1), (16, 32, 64, 64), kernel_sizes=kernels, paddings=paddings, key=KEY)
    small = ConvNet((28, 28, 1), (16, 32, 64), strides=(2, 2, 1), key=KEY)
    resnet = ResNet((32, 32, 3), (32, 64, 128), key=KEY)
    steps = {"uva": STEPS * BATCH, "16-32-64": STEPS * BATCH, "resnet": RESNET_STEPS * RESNET_BATCH}
    energies = {"uva": uva, "16-32-64": small, "resnet": resnet}
    work = {
        "uva": update_of(uva),
        "16-32-64": update_of(small),
        "resnet": chain_of(resnet),
        "resnet on eqx.nn.Conv2d": chain_of(on_equinox(resnet)),
    }
    work = {name: function for name, function in work.items() if options.only in name}
    compile_seconds = {name: seconds_to_compile(function) for name, function in work.items()}
    multiply, flop = product()
    draw, count = normals(BATCH, 784)
    seconds = times(work | {"product": multiply, "normals": draw}, options.repeats)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    figures: dict[str, dict[str, float]] = {}
    for name, energy in energies.items():
        if name not in work:
            continue
        one = 2 * flop_of_energy(energy) * median["product"] / flop
        one += math.prod(energy.shape) * median["normals"] / count
        figures[name] = {
            "ms": 1e3 * median[name],
            "least_ms": 1e3 * min(seconds[name]),
            "limit_ms": 1e3 * one * steps[name],
            "ratio": median[name] / (one * steps[name]),
            "compile_s": compile_seconds[name],
        }
        print(
            f"{name:12s}"
            + "".join(f"{key:>12s} {value:.2f}" for key, value in figures[name].items())
        )
    rates = {
        "product_gflops": flop / median["product"] / 1e9,
        "normal_ns": 1e9 * median["normals"] / count,
    }
    if "resnet" in work:
        rates["eqx.nn.Conv2d_over_ours"] = median["resnet on eqx.nn.Conv2d"] / median["resnet"]
    for name, value in rates.items():
        print(f"{name:26s}{value:10.2f}")
    whole = {
        name: compiled(energies[name], batch)
        for name, batch in {"uva": BATCH, "resnet": RESNET_BATCH}.items()
        if name in work
    }
    for name, row in whole.items():
        print(f"{name:12s}" + "".join(f"{key:>18s} {value:.2f}" for key, value in row.items()))
    write(options.json, {"work": figures, "whole": whole, **rates})


if __name__ == "__main__":
    main()
