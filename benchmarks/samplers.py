"""What does a step of a sampler cost, beside raw BlackJAX and beside its parts?

MALA and HMC against BlackJAX's kernels under `vmap` and `scan`; Langevin against one gradient and
one draw of noise. All in one process, in turn. Ratios count: below 1, our loop is faster.
"""

from collections.abc import Callable
from typing import Any

import blackjax
import jax
import jax.numpy as jnp
from _common import arguments, medians, write

import ebmx
from ebmx.energies import MLP
from ebmx.samplers import HMC, MALA, Langevin, Last

LEAPFROGS = 5


def cases() -> dict[str, tuple[Any, jax.Array, int]]:
    """For each name: an energy, positions, and how many steps to time."""
    key = jax.random.key(0)

    def double_well(x):
        return jnp.sum((x**2 - 1) ** 2)

    return {
        "double well 128×2": (double_well, jax.random.normal(key, (128, 2)), 4000),
        "double well 4096×32": (double_well, jax.random.normal(key, (4096, 32)), 60),
        "MLP 128×784": (MLP((784,), (256, 128), key=key), jax.random.normal(key, (128, 784)), 60),
    }


def raw(kernel: Callable, init: Callable, energy: Any, num_steps: int, **parameters: Any):
    """BlackJAX's kernel under vmap and scan, keeping nothing."""

    @jax.jit
    def go(x, key):
        def log_density(x):
            return -energy(x)

        def step(states, key):
            keys = jax.random.split(key, x.shape[0])
            one = lambda key, state: kernel(key, state, log_density, **parameters)[0]  # noqa: E731
            return jax.vmap(one)(keys, states), None

        states = jax.vmap(lambda x: init(x, log_density))(x)
        return jax.lax.scan(step, states, jax.random.split(key, num_steps))[0].position

    return go


def parts(energy: Any, num_steps: int):
    """The loops of a gradient alone and of noise alone."""

    @jax.jit
    def gradients(x):
        step = lambda _, x: x - 1e-3 * jax.vmap(jax.grad(energy))(x)  # noqa: E731
        return jax.lax.fori_loop(0, num_steps, step, x)

    @jax.jit
    def noise(x, key):
        def step(i, x):
            return x + 1e-3 * jax.random.normal(jax.random.fold_in(key, i), x.shape)

        return jax.lax.fori_loop(0, num_steps, step, x)

    return gradients, noise


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="the cases whose name holds this")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    chosen = {name: case for name, case in cases().items() if options.only in name}
    for name, (energy, x, num_steps) in chosen.items():
        key, h = jax.random.key(1), 0.05
        masses = jnp.ones(x.shape[1])
        gradients, noise = parts(energy, num_steps)
        raw_mala = raw(blackjax.mala.build_kernel(), blackjax.mala.init, energy, num_steps,
                       step_size=h**2 / 2)  # fmt: skip
        raw_hmc = raw(blackjax.hmc.build_kernel(), blackjax.hmc.init, energy, num_steps,
                      step_size=h, inverse_mass_matrix=masses,
                      num_integration_steps=LEAPFROGS)  # fmt: skip

        def ours(sampler, energy=energy, x=x, num_steps=num_steps, key=key):
            return lambda: (
                ebmx.sample(
                    energy,
                    sampler,
                    x,
                    num_samples=1,
                    thin=num_steps,
                    save=Last(),
                    throw=False,
                    key=key,
                ).x
            )

        times = medians(
            {
                "Langevin": ours(Langevin(h**2)),
                "gradient": lambda f=gradients, x=x: f(x),
                "noise": lambda f=noise, x=x, key=key: f(x, key),
                "MALA": ours(MALA(h**2)),
                "raw MALA": lambda f=raw_mala, x=x, key=key: f(x, key),
                "HMC": ours(HMC(h, LEAPFROGS)),
                "raw HMC": lambda f=raw_hmc, x=x, key=key: f(x, key),
            },
            repeats=options.repeats,
        )
        row = {f"{part}_us": 1e6 * seconds / num_steps for part, seconds in times.items()}
        row["langevin_over_parts"] = times["Langevin"] / (times["gradient"] + times["noise"])
        row["mala_over_raw"] = times["MALA"] / times["raw MALA"]
        row["hmc_over_raw"] = times["HMC"] / times["raw HMC"]
        figures[name] = row
        print(f"{name}: " + ", ".join(f"{part} {value:.2f}" for part, value in row.items()))
    write(options.json, figures)


if __name__ == "__main__":
    main()
