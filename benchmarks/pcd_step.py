"""How close is a step of persistent contrastive divergence to the limit of the machine?

The network of the UvA tutorial, 60 Langevin steps, 128 chains, 8192 in the buffer. The limit is the
arithmetic of the chain's gradients at the rate of a large matrix product, plus its noise at the
rate of normal numbers, both measured in the same process.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from _common import arguments, medians, normals, product, write

import ebmx
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, contrastive_loss

STEPS, BATCH, CAPACITY = 60, 128, 8192


def flop_of_gradient() -> float:
    """Multiplications and additions of E and ∇E of one image."""
    convolutions = [(16, 25, 16), (8, 144, 32), (4, 288, 64), (2, 576, 64)]
    forward = sum(2 * side**2 * taps * width for side, taps, width in convolutions)
    return 2 * (forward + 2 * (256 * 64 + 64))


def main() -> None:
    options = arguments(__doc__).parse_args()
    key = jax.random.key(0)
    energy = ebmx.energies.uva_mnist(key=key)
    sampler = Langevin(20.0, noise_scale=0.005, grad_clip=0.03, bounds=(-1, 1))
    optim = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-4, b1=0.0))
    loss = eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.1))
    trainer = Trainer(optim, PCD(sampler, STEPS, CAPACITY, 0.05), loss, data_noise=0.005)
    batch = jax.random.uniform(key, (BATCH, 28, 28, 1), minval=-1)
    holder = [trainer.init(energy, key=key)]
    holder = [jax.tree.map(lambda a: jnp.array(a) if eqx.is_array(a) else a, holder[0])]
    step = eqx.filter_jit(lambda args, state: args[0].step(state, args[1], key=key),
                          donate="all-except-first")  # fmt: skip

    def update():
        holder[0], metrics = step((trainer, batch), holder[0])
        return holder[0], metrics

    multiply, flop = product()
    draw, count = normals(BATCH, 784)
    times = medians({"update": update, "product": multiply, "normals": draw})
    limit = (
        STEPS * BATCH * flop_of_gradient() * times["product"] / flop
        + STEPS * BATCH * 784 * times["normals"] / count
    )
    figures = {
        "update_ms": 1e3 * times["update"],
        "limit_ms": 1e3 * limit,
        "ratio": times["update"] / limit,
        "product_gflops": flop / times["product"] / 1e9,
        "normal_ns": 1e9 * times["normals"] / count,
        "update_ms_at_500_gflops": 1e3 * times["update"] * (flop / times["product"] / 5e11),
    }
    for name, value in figures.items():
        print(f"{name:26s}{value:10.2f}")
    write(options.json, figures)


if __name__ == "__main__":
    main()
