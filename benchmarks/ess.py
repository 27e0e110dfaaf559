"""How many independent samples does a sampler make in a second, and with a gradient?

Samplers tuned by `warmup` on some targets: the least bulk effective sample size of a coordinate,
over the time of the compiled call and over the gradients taken, and a bar chart of both.
"""

import time
from pathlib import Path

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, write

import ebmx
from ebmx import energies, samplers
from ebmx.energies._base import AbstractAnalyticEnergy
from ebmx.samplers import HMC, MALA, NUTS, Barker, Langevin, UnderdampedLangevin

CHAINS = 64


def targets() -> dict[str, AbstractAnalyticEnergy]:
    return {
        "gaussian 32": energies.Gaussian(jnp.zeros(32)),
        "gaussian 32, condition 100": energies.Gaussian(jnp.zeros(32), jnp.logspace(-1.0, 1.0, 32)),
        "banana": energies.Banana(1.0, 0.5),
        "funnel 3": energies.Funnel(3, 1.0),
        "ring": energies.Ring(1.5, 0.5),
        "double well 8": energies.DoubleWell((8,), 1.0),
    }


def sampler_table() -> dict[str, samplers.AbstractSampler]:
    return {
        "Langevin": Langevin(0.1),
        "underdamped": UnderdampedLangevin(0.15),
        "MALA": MALA(0.5),
        "Barker": Barker(0.8),
        "HMC": HMC(0.3, 7),
        "NUTS": NUTS(0.3, max_num_doublings=6),
    }


def measure(
    energy: AbstractAnalyticEnergy, sampler: samplers.AbstractSampler, num_samples: int, key
) -> dict:
    start = energy.mean + jnp.sqrt(energy.variance) * jax.random.normal(
        key, (CHAINS, *energy.shape)
    )
    if sampler.reports_acceptance:
        sampler, start = samplers.warmup(energy, sampler, start, num_steps=400, key=key)

    def draw():
        return jax.block_until_ready(
            ebmx.sample(
                energy,
                sampler,
                start,
                num_warmup=200,
                num_samples=num_samples,
                throw=False,
                key=key,
            )
        )

    draw()
    begin = time.perf_counter()
    samples = draw()
    seconds = time.perf_counter() - begin
    ess = float(np.min(np.asarray(blackjax.ess_bulk(samples.values))))
    steps = CHAINS * (num_samples + 200)
    row = {"ess": ess, "ess_per_second": ess / seconds, "seconds": seconds}
    gradients = {HMC: 7, NUTS: None}.get(type(sampler), 1)
    if gradients is not None:  # NUTS chooses its own
        row["ess_per_1000_gradients"] = 1000 * ess / (steps * gradients)
    return row


TITLES = {
    "ess_per_second": "effective samples in a second",
    "ess_per_1000_gradients": "effective samples in 1000 gradients, which NUTS does not count",
}


def plot(path: Path, figures: dict[str, dict[str, dict]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained", dpi=110)
    axes = figure.subplots(2, 1)
    names = list(next(iter(figures.values())))
    width = 0.8 / len(names)
    for axis, (quantity, title) in zip(axes, TITLES.items(), strict=True):
        for number, name in enumerate(names):
            heights = [row[name].get(quantity, np.nan) for row in figures.values()]
            place = np.arange(len(figures)) + (number - (len(names) - 1) / 2) * width
            axis.bar(place, heights, 0.9 * width, label=name, zorder=2)
        axis.set_xticks(np.arange(len(figures)), [name.replace(", ", ",\n") for name in figures])
        axis.set_yscale("log")
        axis.set_ylabel(quantity.replace("_", " ").replace("ess", "ESS"))
        axis.set_title(f"{title}, {CHAINS} chains")
        axis.grid(axis="y", color="0.9", zorder=0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(names), frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--num-samples", type=int, default=1000)
    parser.add_argument("--only", default="", help="the targets whose name holds this")
    parser.add_argument("--sampler", default="", help="those whose name holds this")
    parser.add_argument("--plot", type=Path, help="write the bar charts to this picture")
    options = parser.parse_args()
    figures: dict[str, dict[str, dict]] = {}
    chosen = {name: energy for name, energy in targets().items() if options.only in name}
    for target, energy in chosen.items():
        figures[target] = {}
        for name, sampler in sampler_table().items():
            if options.sampler not in name:
                continue
            row = measure(energy, sampler, options.num_samples, jax.random.key(0))
            figures[target][name] = row
            words = "  ".join(f"{key} {value:.3g}" for key, value in row.items())
            words = words if np.isfinite(row["ess"]) else "a chain left the finite numbers"
            print(f"{target:28s}{name:14s}{words}", flush=True)
    if options.plot:
        plot(options.plot, figures)
    write(options.json, figures)


if __name__ == "__main__":
    main()
