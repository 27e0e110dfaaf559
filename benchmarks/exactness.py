"""Are the samplers exact?

Every adjusted sampler on targets with known moments: the largest deviation of a mean or variance
from the truth, in standard errors of the chains, which come from the spread of the chains' own
means. Chains start at exact samples where there are any, and elsewhere after a warm-up. Beyond 4
standard errors a cell fails, and so does the script.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, write

import ebmx
from ebmx import energies, samplers
from ebmx.energies import Gaussian, GaussianMixture

CHAINS = 256


def moments_by_quadrature(energy, low: float, high: float, dim: int) -> tuple:
    """Mean and variance of each coordinate on a grid, in float64."""
    axis = jnp.linspace(low, high, 4001 if dim == 1 else 801)
    grid = np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), -1).reshape(-1, dim)
    log_p = -np.asarray(jax.vmap(energy)(jnp.asarray(grid, jnp.float32)), np.float64)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = p @ grid
    return mean, p @ (grid - mean) ** 2


def quadrature_target(energy, low: float, high: float, dim: int) -> tuple:
    return energy, *moments_by_quadrature(energy, low, high, dim)


def targets() -> dict[str, tuple]:
    """For each name: energy, mean and variance."""
    key = jax.random.key(7)
    mlp = energies.MLP((2,), (32, 32), key=key)
    rotation = jnp.linalg.qr(jax.random.normal(key, (4, 4)))[0]
    comb = GaussianMixture(jnp.arange(-2.0, 3.0)[:, None], 0.25)
    analytic = {
        "gaussian": Gaussian(jnp.arange(3.0)),
        "gaussian, condition 100": Gaussian(jnp.zeros(2), jnp.array([0.1, 10.0])),
        "gaussian, condition 10⁴": Gaussian(
            jnp.zeros(4), rotation @ jnp.diag(jnp.array([0.01, 1.0, 10.0, 100.0])) @ rotation.T
        ),
        "mixture": GaussianMixture(
            jnp.array([[-1.5, 0.0], [1.5, 0.5]]), 0.8, jnp.array([0.3, 0.7])
        ),
        "banana": energies.Banana(1.0, 0.5),
        "funnel": energies.Funnel(3, 0.8),
        "ring": energies.Ring(1.5, 0.5),
        "double well": energies.DoubleWell((2,), 1.0),
        "student t": energies.StudentT((2,), 9.0),
        "comb": comb,
    }
    table = {name: (e, np.asarray(e.mean), np.asarray(e.variance)) for name, e in analytic.items()}
    return table | {
        "quartic": quadrature_target(lambda x: x[0] ** 4 / 4 - x[0], -6, 6, 1),
        "sine": quadrature_target(lambda x: x[0] ** 2 / 2 + jnp.sin(3 * x[0]), -9, 9, 1),
        "product": quadrature_target(
            lambda x: analytic["ring"](x) + 0.5 * jnp.sum((x - 0.7) ** 2), -6, 6, 2
        ),
        "MLP": quadrature_target(lambda x: 3 * mlp(x) + 0.5 * jnp.sum(x**2), -8, 8, 2),
    }


def sampler_table() -> dict[str, Any]:
    """Samplers to tune, or functions that make one of a tuned MALA."""
    wide = Gaussian(jnp.zeros(2), 4.0)
    return {
        "MALA": samplers.MALA(0.5),
        "HMC": samplers.HMC(0.3, 7),
        "NUTS": samplers.NUTS(0.3, max_num_doublings=6),
        "Barker": samplers.Barker(0.8),
        "replica exchange": lambda tuned: samplers.ReplicaExchange(
            tuned, jnp.array([1.0, 2, 4, 8]), scale_step=True
        ),
        "cycle with jumps": lambda tuned: samplers.Cycle((tuned, samplers.Independence(wide))),
    }


def deviation(energy, sampler, mean: np.ndarray, variance: np.ndarray, num_samples: int, key):
    """The largest deviation in standard errors, and the mean acceptance."""
    start_key, tune_key, sample_key = jax.random.split(key, 3)
    start = jnp.asarray(mean, jnp.float32) + jax.random.normal(start_key, (CHAINS, len(mean)))
    made_of_mala = not isinstance(sampler, samplers.AbstractSampler)
    base = samplers.MALA(0.5) if made_of_mala else sampler
    tuned, start = samplers.warmup(energy, base, start, num_steps=400, key=tune_key)
    if isinstance(energy, energies.AbstractExactEnergy):
        keys = jax.random.split(start_key, CHAINS)
        start = jax.vmap(lambda key: energy.sample(key=key))(keys)
    drawn = ebmx.sample(
        energy,
        sampler(tuned) if made_of_mala else tuned,
        start,
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
    options = parser.parse_args()
    table = sampler_table()
    print(f"{'largest |z| (acceptance)':26s}" + "".join(f"{name:>18s}" for name in table))
    cells: dict[str, dict[str, float]] = {}
    for target, (energy, mean, variance) in targets().items():
        row, line = {}, f"{target:26s}"
        for number, (name, sampler) in enumerate(table.items()):
            if name.startswith("cycle") and len(mean) != 2:
                line += f"{'–':>18s}"
                continue
            key = jax.random.key(number)
            z, acceptance = deviation(energy, sampler, mean, variance, options.num_samples, key)
            row[name] = z
            line += f"{z:11.2f} ({acceptance:.2f})"
        print(line, flush=True)
        cells[target] = row
    worst = max(z for row in cells.values() for z in row.values())
    count = sum(len(row) for row in cells.values())
    print(f"{count} cells, the largest deviation is {worst:.2f} standard errors")
    write(options.json, {"largest_z": cells, "worst": worst})
    if worst > 4:
        raise SystemExit("a sampler is not exact")


if __name__ == "__main__":
    main()
