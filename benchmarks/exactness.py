"""Are the samplers exact?

Every adjusted sampler on targets with known moments: the largest deviation of a mean or variance
from the truth, in standard errors of the chains, which come from the spread of the chains' own
means. Chains start at exact samples. Beyond 4 standard errors a cell fails, and so does the script.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, write

import ebmx
from ebmx import energies, samplers
from ebmx._types import EnergyFn
from ebmx.energies import Gaussian, GaussianMixture
from ebmx.energies._base import AbstractAnalyticEnergy

CHAINS = 256


class Target(NamedTuple):
    """An energy, what is known of it, and exact samples for the chains to start from.

    A chain of `MALA` that starts far in a light tail stays there for ever: its steps overshoot.
    """

    energy: EnergyFn
    mean: np.ndarray
    variance: np.ndarray
    draw: Callable[[jax.Array], jax.Array]


def analytic(energy: energies.AbstractExactEnergy) -> Target:
    def draw(key):
        return jax.vmap(lambda key: energy.sample(key=key))(jax.random.split(key, CHAINS))

    return Target(energy, np.asarray(energy.mean), np.asarray(energy.variance), draw)


def by_quadrature(energy: EnergyFn, low: float, high: float, dim: int) -> Target:
    """Samples from a grid, each moved within its cell, and moments unless the energy knows them."""
    axis, width = np.linspace(low, high, 4001 if dim == 1 else 801, retstep=True)
    grid = np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), -1).reshape(-1, dim)
    log_p = -np.asarray(jax.vmap(energy)(jnp.asarray(grid, jnp.float32)), np.float64)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()

    def draw(key):
        random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        cells = grid[random.choice(len(grid), CHAINS, p=p)]
        return jnp.asarray(cells + random.uniform(-0.5, 0.5, cells.shape) * width, jnp.float32)

    if isinstance(energy, AbstractAnalyticEnergy):
        return Target(energy, np.asarray(energy.mean), np.asarray(energy.variance), draw)
    mean = p @ grid
    return Target(energy, mean, p @ (grid - mean) ** 2, draw)


def targets() -> dict[str, Target]:
    key = jax.random.key(7)
    mlp = energies.MLP((2,), (32, 32), key=key)
    rotation = jnp.linalg.qr(jax.random.normal(key, (4, 4)))[0]
    covariance = rotation @ jnp.diag(jnp.array([0.01, 1.0, 10.0, 100.0])) @ rotation.T
    modes, weights = jnp.array([[-1.5, 0.0], [1.5, 0.5]]), jnp.array([0.3, 0.7])
    ring = energies.Ring(1.5, 0.5)
    return {
        "gaussian": analytic(Gaussian(jnp.arange(3.0))),
        "gaussian, condition 100": analytic(Gaussian(jnp.zeros(2), jnp.array([0.1, 10.0]))),
        "gaussian, condition 10⁴": analytic(Gaussian(jnp.zeros(4), covariance)),
        "mixture": analytic(GaussianMixture(modes, 0.8, weights)),
        "banana": analytic(energies.Banana(1.0, 0.5)),
        "funnel": analytic(energies.Funnel(3, 0.8)),
        "ring": by_quadrature(ring, -6, 6, 2),
        "double well": by_quadrature(energies.DoubleWell((2,), 1.0), -5, 5, 2),
        "student t": analytic(energies.StudentT((2,), 9.0)),
        "comb": analytic(GaussianMixture(jnp.arange(-2.0, 3.0)[:, None], 0.25)),
        "quartic": by_quadrature(lambda x: x[0] ** 4 / 4 - x[0], -6, 6, 1),
        "sine": by_quadrature(lambda x: x[0] ** 2 / 2 + jnp.sin(3 * x[0]), -9, 9, 1),
        "product": by_quadrature(lambda x: ring(x) + 0.5 * jnp.sum((x - 0.7) ** 2), -6, 6, 2),
        "MLP": by_quadrature(lambda x: 3 * mlp(x) + 0.5 * jnp.sum(x**2), -8, 8, 2),
    }


def prior_of(target: Target, _: Any) -> samplers.AbstractSampler:
    """Slices of ellipses of a Gaussian that is twice as wide as the target."""
    return samplers.EllipticalSlice(Gaussian(target.mean, 4 * target.variance))


def ensemble_of(target: Target, _: Any) -> samplers.AbstractSampler:
    """Walkers that start as far apart as the target is wide."""
    spread = np.sqrt(target.variance)
    return samplers.StretchMove(max(6, 2 * target.mean.size), spread)


def fits(name: str, dim: int) -> bool:
    """Whether the sampler takes this many coordinates."""
    if name.startswith("cycle"):
        return dim == 2
    return dim > 1 or not name.startswith("adjusted MCLMC")


def sampler_table() -> dict[str, Any]:
    """Samplers to tune, or functions that make one of a target and a tuned MALA."""
    wide = Gaussian(jnp.zeros(2), 4.0)
    return {
        "MALA": samplers.MALA(0.5),
        "HMC": samplers.HMC(0.3, 7),
        "NUTS": samplers.NUTS(0.3, max_num_doublings=6),
        "Barker": samplers.Barker(0.8),
        "replica exchange": lambda _, tuned: samplers.ReplicaExchange(
            tuned, jnp.array([1.0, 2, 4, 8]), scale_step=True
        ),
        "cycle with jumps": lambda _, tuned: samplers.Cycle((tuned, samplers.Independence(wide))),
        "preconditioned": samplers.PreconditionedMALA(0.5),
        "GHMC": samplers.GHMC(0.3),
        "adjusted MCLMC": samplers.AdjustedMCLMC(0.3, 5),
        "jittered": samplers.JitteredHMC(0.3, 2.0),
        "elliptical slice": prior_of,
        "stretch move": ensemble_of,
    }


def deviation(target: Target, sampler, num_samples: int, key) -> tuple[float, float]:
    """The largest deviation in standard errors, and the mean acceptance."""
    energy, mean, variance, draw = target
    start_key, tune_key, sample_key = jax.random.split(key, 3)
    made_of_mala = not isinstance(sampler, samplers.AbstractSampler)
    base = samplers.MALA(0.5) if made_of_mala else sampler
    tuned, _ = samplers.warmup(energy, base, draw(tune_key), num_steps=400, key=tune_key)
    drawn = ebmx.sample(
        energy,
        sampler(target, tuned) if made_of_mala else tuned,
        draw(start_key),
        num_warmup=500,
        num_samples=num_samples,
        thin=2,
        save=samplers.Moments(),
        key=sample_key,
    )
    means = np.asarray(drawn.values.mean, np.float64)
    # the second moment about the true mean: its expectation is the variance, with no bias of ours
    seconds = np.asarray(drawn.values.square, np.float64) / num_samples + (means - mean) ** 2
    z = [
        (chains.mean(0) - truth) / (chains.std(0, ddof=1) / np.sqrt(CHAINS))
        for chains, truth in ((means, mean), (seconds, variance))
    ]
    return float(np.abs(np.concatenate(z)).max()), float(drawn.info.acceptance.mean())


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--num-samples", type=int, default=2000)
    parser.add_argument("--only", default="", help="the targets whose name holds this")
    parser.add_argument("--sampler", default="", help="those whose name holds this")
    options = parser.parse_args()
    names = "".join(f"{name:>18s}" for name in sampler_table() if options.sampler in name)
    print(f"{'largest |z| (acceptance)':26s}{names}")
    cells: dict[str, dict[str, float]] = {}
    for name, target in targets().items():
        if options.only in name:
            print(f"{name:26s}", end="", flush=True)
            cells[name] = row(target, options.num_samples, options.sampler)
    every = [z for one in cells.values() for z in one.values()]
    worst = float(np.max(every))
    print(f"{len(every)} cells, the largest deviation is {worst:.2f} standard errors")
    write(options.json, {"largest_z": cells, "worst": worst})
    if not worst <= 4:
        raise SystemExit("a sampler is not exact")


def row(target: Target, num_samples: int, wanted: str) -> dict[str, float]:
    """Print and return the deviation of each sampler whose name holds this."""
    found = {}
    for number, (name, sampler) in enumerate(sampler_table().items()):
        if wanted not in name:
            continue
        if not fits(name, target.mean.size):
            print(f"{'–':>18s}", end="")
            continue
        z, acceptance = deviation(target, sampler, num_samples, jax.random.key(number))
        print(f"{z:11.2f} ({acceptance:.2f})", end="", flush=True)
        found[name] = z
    print()
    return found


if __name__ == "__main__":
    main()
