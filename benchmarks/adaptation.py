"""Does each chain find a step size of its own, on densities whose scales differ 100 to 1?

Chains of MALA, each on a Gaussian of its own width, from 0.1 to 10, all with the same step size at
first: tuned by `warmup(per_chain=True)` in 2,000 steps, and by persistent contrastive divergence,
where the step sizes live in the buffer and the energy widens threefold in 1,000 updates. The share
of chains whose acceptance ends within 0.05 of 0.574; the target is 0.9.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, write

from ebmx.samplers import MALA, AbstractSampler, run, warmup
from ebmx.training import PCD, Examples, ReplayBuffer, StepSizeAdaptation

CHAINS, DIM = 256, 4
NEAR, TARGET = 0.05, 0.9
FAR = 1e6
ACCEPTANCE = 0.574


def energy(x: jax.Array, factor: jax.Array | float = 1.0) -> jax.Array:
    """The first coordinate is nearly flat, and says how wide the others are."""
    width = factor * 10 ** (x[0] / FAR)
    return 0.5 * jnp.sum((x[1:] / width) ** 2)


def start() -> jax.Array:
    place = jnp.linspace(-1.0, 1.0, CHAINS)[:, None]
    return jnp.concatenate([FAR * place, jnp.tile(10**place, (1, DIM))], 1)


def by_warmup() -> tuple[AbstractSampler, jax.Array, Callable]:
    key = jax.random.key(0)
    return *warmup(energy, MALA(1.0), start(), num_steps=2_000, per_chain=True, key=key), energy


def by_persistent_chains() -> tuple[AbstractSampler, jax.Array, Callable]:
    """Updates of ten steps each."""
    adaptation, num_updates = StepSizeAdaptation(target=ACCEPTANCE), 1_000
    negatives = PCD(MALA(1.0), 10, capacity=CHAINS, reinit_prob=0.0, adaptation=adaptation)
    buffer = ReplayBuffer(start(), jnp.zeros(CHAINS, jnp.int32), jnp.zeros(CHAINS))

    @jax.jit
    def update(buffer, keys):
        def step(buffer, inputs):
            factor, key = inputs
            batch = Examples(jnp.zeros((CHAINS, DIM + 1)))
            _, buffer, _ = negatives.step(lambda x: energy(x, factor), batch, buffer, key=key)
            return buffer, None

        return jax.lax.scan(step, buffer, (jnp.linspace(1.0, 3.0, num_updates), keys))[0]

    buffer = update(buffer, jax.random.split(jax.random.key(0), num_updates))
    assert buffer.log_scales is not None
    tuned = adaptation.scale(MALA(1.0), buffer.log_scales)
    return tuned, buffer.positions, lambda x: energy(x, 3.0)


def main() -> None:
    options = arguments(__doc__).parse_args()
    figures: dict[str, dict[str, float]] = {}
    for name, tune in {"warmup": by_warmup, "PCD": by_persistent_chains}.items():
        tuned, x, target = tune()
        _, info = run(target, tuned, x, num_steps=4_000, key=jax.random.key(1))
        acceptance = np.asarray(info.acceptance, np.float64)
        share = float(np.mean(np.abs(acceptance - ACCEPTANCE) < NEAR))
        figures[name] = {"share": share, "mean": acceptance.mean(), "deviation": acceptance.std()}
        words = "  ".join(f"{key} {value:.3f}" for key, value in figures[name].items())
        print(f"{name:10s}{words}   target {TARGET}", flush=True)
    write(options.json, figures)
    if not all(row["share"] >= TARGET for row in figures.values()):
        raise SystemExit("too many chains are far from the acceptance")


if __name__ == "__main__":
    main()
