"""Which objective learns a density on the plane, and how well?

Each objective on four densities that are known exactly, with the same network, and for some seeds:
the divergence KL(truth ‖ model) in nats by quadrature on 400×400 points, its running `log Z` beside
that of the quadrature where it has one, and the seconds. The last density is a ring of eight modes
with weights 1:2:…:8, where the largest error of a mode's mass is reported too. `--plot` draws the
densities learnt with the first seed.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, write
from _plane_energies import FourierEnergy, energy_over_levels

import ebmx
from ebmx.energies import (
    Box,
    GaussianMixture,
    Uniform,
    exact_samples,
    plane,
)
from ebmx.samplers import MALA, Cycle, Independence, Langevin, ReplicaExchange
from ebmx.training import (
    PCD,
    AbstractNegatives,
    Jarzynski,
    Neighbours,
    NoiseSamples,
    Perturbed,
    PerturbedLevels,
    PerturbedTwice,
    QuadraturePoints,
    RandomProjections,
    TemperedPCD,
    Trainer,
    UniformNoise,
    contrastive_loss,
    denoising_score_matching_loss,
    energy_discrepancy_loss,
    minimum_probability_flow_loss,
    muon,
    negative_log_likelihood_loss,
    noise_contrastive_loss,
    noise_level_loss,
    sliced_score_matching_loss,
)

LIMIT, POINTS, CHUNK = 4.6, 400, 65_536
CORNERS = jnp.full(2, -LIMIT), jnp.full(2, LIMIT)
CENTRES = (np.arange(POINTS) + 0.5) / POINTS * 2 * LIMIT - LIMIT
PLANE = np.stack(np.meshgrid(CENTRES, CENTRES, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)
LOG_CELL = 2 * np.log(2 * LIMIT / POINTS)


MODES = "modes 1:…:8"


def modes() -> GaussianMixture:
    """Eight modes of weights 1:2:…:8 on a ring."""
    angle = np.arange(8) * np.pi / 4
    means = 2 * np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], -1)
    return GaussianMixture(means, 0.35, np.arange(1.0, 9.0))


class Objective(NamedTuple):
    """A row of the table."""

    negatives: AbstractNegatives
    loss: Callable
    updates: int
    """Two to four minutes of them, on one core."""
    batch: int
    """How many examples an update sees: many, where they are not what costs."""
    boxed: bool = False
    """Whether the energy is confined to the box."""
    learning_rate: float = 4e-3
    over_levels: bool = False
    """Whether the energy is one over noise levels, which is then taken at the lowest."""
    contrast: float = 0.0
    """The weight of noise-contrastive estimation of the lowest level beside it."""


def objectives() -> dict[str, Objective]:
    noise = UniformNoise(-LIMIT, LIMIT)
    mixing = Cycle((MALA(0.02), Independence(Uniform(*CORNERS))))
    ladder = ReplicaExchange(MALA(0.02), 4.0 ** jnp.arange(4), scale_step=True)
    langevin = Langevin(0.01, bounds=(-LIMIT, LIMIT), boundary="reflect")
    grid = QuadraturePoints(*CORNERS, 40, shifted=True)
    nce = eqx.Partial(noise_contrastive_loss, noise=noise)
    levels = eqx.Partial(noise_level_loss, num_neighbours=10, stable_targets=True)
    dsm = eqx.Partial(denoising_score_matching_loss, sigma=jnp.asarray(0.05))

    over_levels = Objective(
        PerturbedLevels(num_noisy=256),
        levels,
        6000,
        2048,
        learning_rate=3e-3,
        over_levels=True,
    )

    def chains(
        negatives: AbstractNegatives,
        updates: int,
        batch: int = 512,
        boxed: bool = True,
        learning_rate: float = 4e-3,
    ) -> Objective:
        return Objective(negatives, contrastive_loss, updates, batch, boxed, learning_rate)

    return {
        "likelihood by quadrature": Objective(grid, negative_log_likelihood_loss, 2500, 4096),
        "Jarzynski, MALA": chains(Jarzynski(MALA(0.02), 4, 1024, 4096, noise), 1000, 2048),
        "Jarzynski, MALA and jumps": chains(Jarzynski(mixing, 2, 1024, 4096, noise), 1500, 2048),
        "PCD, MALA and jumps": chains(PCD(mixing, 6, 4096, 0.0, noise), 3000, learning_rate=2e-3),
        "PCD, MALA and jumps, many chains": chains(PCD(mixing, 2, 4096, 0.0, noise), 1500, 2048),
        "PCD, tempered": chains(TemperedPCD(ladder, 4, 2048, 0.05, noise), 1000),
        "PCD, MALA": chains(PCD(MALA(0.02), 12, 4096, 0.05, noise), 1500),
        "PCD, Langevin": chains(
            PCD(langevin, 20, 4096, 0.05, noise), 1500, boxed=False, learning_rate=2e-3
        ),
        "noise-contrastive": Objective(NoiseSamples(noise, 4), nce, 3000, 1024),
        "energy discrepancy": Objective(
            PerturbedTwice(0.25, 16), energy_discrepancy_loss, 4000, 256
        ),
        "denoising": Objective(Perturbed(0.05), dsm, 8000, 512, learning_rate=2e-3),
        "sliced score matching": Objective(
            RandomProjections(), sliced_score_matching_loss, 4000, 512, learning_rate=2e-3
        ),
        "levels of noise": over_levels,
        "levels, and noise-contrastive": over_levels._replace(contrast=1.0),
        "probability flow": Objective(
            Neighbours(0.3, 4), minimum_probability_flow_loss, 4000, 1024, learning_rate=2e-3
        ),
    }


def truths() -> dict[str, Any]:
    names = ("8gaussians", "rings", "checkerboard", "2spirals")
    return {name: plane(name) for name in names} | {MODES: modes()}


def log_densities(energy: Any) -> tuple[np.ndarray, float]:
    """The model's log densities on the plane, and its `log Z`, by quadrature."""
    parts = [jnp.asarray(part) for part in np.array_split(PLANE, 10)]
    found = [np.asarray(ebmx.energy(energy, part)) for part in parts]
    values = np.concatenate(found).astype(np.float64)
    log_z = float(np.logaddexp.reduce(-values) + LOG_CELL)
    return -values - log_z, log_z


def truth_on_the_plane(truth: Any) -> np.ndarray:
    values = -np.asarray(jax.jit(jax.vmap(truth))(PLANE), np.float64)
    return values - np.logaddexp.reduce(values) - LOG_CELL


def divergence(truth: np.ndarray, model: np.ndarray) -> float:
    seen = np.isfinite(truth)
    return float(np.sum(np.exp(truth[seen] + LOG_CELL) * (truth[seen] - model[seen])))


def mass_error(truth: GaussianMixture, model: np.ndarray) -> float:
    """The largest error of the mass around a mode."""
    means = np.asarray(truth.means)
    nearest = np.argmin(((PLANE[:, None] - means[None]) ** 2).sum(-1), 1)
    masses = np.bincount(nearest, np.exp(model + LOG_CELL), 8)
    return float(np.abs(masses - np.arange(1, 9) / 36).max())


def batches(truth: Any, size: int, key: jax.Array) -> Iterator[np.ndarray]:
    number = 0
    while True:
        yield from np.asarray(
            exact_samples(truth, CHUNK, key=jax.random.fold_in(key, number))
        ).reshape(-1, size, 2)
        number += 1


def learn(name: str, truth: Any, objective: Objective, part: float, seed: int) -> dict[str, Any]:
    negatives, loss, updates, batch, boxed, learning_rate, over_levels, contrast = objective
    model_key, chain_key, data_key, fit_key = jax.random.split(jax.random.key(seed), 4)
    energy = FourierEnergy(key=model_key)
    model: Any = Box(energy, *CORNERS) if boxed else energy
    # a sharp edge takes a lower level than curves that are blurred themselves
    low = 0.003 if name == "checkerboard" else 0.01
    if over_levels:
        model = energy_over_levels(truth, low, model_key)
    beside = []
    if contrast > 0:
        noise = UniformNoise(-LIMIT, LIMIT)
        nce = eqx.Partial(noise_contrastive_loss, noise=noise)
        beside = [
            ebmx.training.Objective(
                NoiseSamples(noise), nce, weight=contrast, sigma=low, num_examples=1024
            )
        ]
    num_steps = int(updates * part)
    schedule = optax.cosine_decay_schedule(learning_rate, num_steps)
    optim = muon(schedule, adam_b1=0.9) if over_levels else optax.adam(schedule)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optim)
    trainer = Trainer(optim, negatives, loss, ema_decay=0.99, objectives=beside)
    begin = time.perf_counter()
    state, _ = ebmx.fit(
        trainer, trainer.init(model, shape=(2,), key=chain_key), batches(truth, batch, data_key),
        num_steps=num_steps, key=fit_key, progress=False,
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    learnt = state.ema.at(state.ema.levels.sigma[0]) if over_levels else state.ema
    model_density, log_z = log_densities(learnt)
    row: dict[str, Any] = {
        "kl": divergence(truth_on_the_plane(truth), model_density), "seconds": seconds,
    }  # fmt: skip
    if over_levels:
        # without any fit after the training, the energy is normalised
        row["log_z_error"] = abs(log_z)
    if isinstance(trainer.negatives, Jarzynski):
        # the chains were last weighed under the energy before the last update
        row["log_z_error"] = abs(
            float(state.negatives_state.log_z) - log_densities(state.energy)[1]
        )
    if name == MODES:
        row["mass_error"] = mass_error(truth, model_density)
    return row | {"density": model_density}


def plot(path: Path, pictures: dict[tuple[str, str], np.ndarray]) -> None:
    from matplotlib.figure import Figure

    columns = list(dict.fromkeys(name for _, name in pictures))
    rows = list(dict.fromkeys(name for name, _ in pictures))
    size = (2.2 * len(columns) + 1, 2.2 * len(rows) + 0.6)
    figure = Figure(figsize=size, layout="constrained", dpi=90)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            axis = grid[i, j]
            picture = pictures[row, column].reshape(POINTS, POINTS).T
            # one scale of colours in a column: that of the truth
            most = float(np.exp(pictures["truth", column].max()))
            axis.imshow(np.exp(picture), origin="lower", cmap="viridis", vmin=0, vmax=most)
            axis.set(xticks=[], yticks=[])
            if i == 0:
                axis.set_title(column)
            if j == 0:
                axis.set_ylabel(row, fontsize=8)
    figure.savefig(path)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--part", type=float, default=1.0, help="of the updates of each row")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--objective", default="", help="this one, or those whose name holds this")
    parser.add_argument("--density", default="", help="those whose name holds this")
    parser.add_argument("--plot", type=Path, help="write pictures of the densities to this file")
    options = parser.parse_args()
    chosen = {n: t for n, t in truths().items() if options.density in n}
    pictures = {("truth", name): truth_on_the_plane(truth) for name, truth in chosen.items()}
    table: dict[str, dict[str, Any]] = {}
    wanted, rows = options.objective, objectives()
    names = [wanted] if wanted in rows else [name for name in rows if wanted in name]
    for name in names:
        table[name] = {}
        for where, truth in chosen.items():
            found = [learn(where, truth, rows[name], options.part, s) for s in range(options.seeds)]
            pictures[name, where] = found[0].pop("density")
            for row in found:
                row.pop("density", None)
            median: Callable = lambda k, found=found: statistics.median(r[k] for r in found)  # noqa: E731
            summary = {key: median(key) for key in found[0]}
            summary["worst_kl"] = max(row["kl"] for row in found)
            table[name][where] = summary | {"seeds": found}
            words = "  ".join(f"{key} {value:.4g}" for key, value in summary.items())
            print(f"{name:33s}{where:14s}{words}", flush=True)
    if options.plot:
        plot(options.plot, pictures)
    write(options.json, {"part": options.part, "table": table})


if __name__ == "__main__":
    main()
