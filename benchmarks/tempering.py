"""Does replica exchange find the weights of modes that no local chain can leave?

Eight modes of unlike weights on a circle, neighbours 20 standard deviations apart. All chains start
in the lightest mode. The largest error of the share of time in a mode, with replica exchange and
without, and what the ladder did. The target is an error of at most 0.02.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, write

import ebmx
from ebmx.energies import GaussianMixture
from ebmx.samplers import MALA, AbstractSampler, AbstractSave, ReplicaExchange, StepInfo

MODES, APART, CHAINS = 8, 20.0, 256
TARGET = 0.02


def mixture() -> GaussianMixture:
    angles = 2 * jnp.pi * jnp.arange(MODES) / MODES
    radius = APART / 2 / np.sin(np.pi / MODES)
    means = radius * jnp.stack([jnp.cos(angles), jnp.sin(angles)], 1)
    return GaussianMixture(means, 1.0, jnp.arange(1.0, MODES + 1))


class Visits(AbstractSave[jax.Array]):
    """Counts the samples nearest to each mode."""

    means: jax.Array

    def init(self, x: jax.Array) -> jax.Array:
        return jnp.zeros(MODES, jnp.int32)

    def update(self, carry: jax.Array, x: jax.Array, info: StepInfo) -> tuple[jax.Array, None]:
        nearest = jnp.argmin(jnp.sum((self.means - x[None]) ** 2, 1))
        return carry.at[nearest].add(1), None

    def final(self, carry: jax.Array, stacked: Any) -> jax.Array:
        return carry


def measure(energy: GaussianMixture, sampler: AbstractSampler, num_samples: int):
    """The largest error of the shares of the modes, and the samples."""
    start = jnp.broadcast_to(energy.means[:1], (CHAINS, 2))
    samples = ebmx.sample(
        energy,
        sampler,
        start,
        num_warmup=num_samples // 5,
        num_samples=num_samples,
        save=Visits(energy.means),
        key=jax.random.key(0),
    )
    visits = np.asarray(samples.values).sum(0)
    errors = visits / visits.sum() - np.exp(np.asarray(energy.log_weights, np.float64))
    return float(np.abs(errors).max()), samples


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--num-samples", type=int, default=10_000)
    options = parser.parse_args()
    energy, ladder = mixture(), 2.0 ** jnp.arange(8)
    exchange = ReplicaExchange(MALA(1.5), ladder, scale_step=True)
    alone, _ = measure(energy, MALA(1.5), options.num_samples)
    error, samples = measure(energy, exchange, options.num_samples)
    rates = np.asarray(samples.state.swap_rates).mean(0)
    trips = np.asarray(samples.state.round_trips)
    print(f"{'largest error of a weight':30s}{error:8.4f}   target {TARGET}")
    print(f"{'without exchange':30s}{alone:8.4f}")
    for low, high, rate in zip(ladder[:-1], ladder[1:], rates, strict=True):
        print(f"{f'swaps of {low:.0f} and {high:.0f}':30s}{rate:8.2f}")
    print(f"{'round trips of a chain':30s}{trips.mean():8.1f}   fewest {trips.min()}")
    figures = {"largest_error": error, "without_exchange": alone, "swap_rates": rates.tolist()}
    write(options.json, {**figures, "round_trips": float(trips.mean()), "target": TARGET})
    if not error <= TARGET:
        raise SystemExit("the weights of the modes are not right")


if __name__ == "__main__":
    main()
