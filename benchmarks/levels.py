"""What do energies over noise levels learn: modes, a normaliser, likelihoods, samples?

`mixtures`: Gaussian mixtures in 16 and 64 dimensions with unequal weights, all known: the largest
error of a mode's mass among samples, and the mean log density of held-out data, from one pass, less
that of the truth. `digits`: a minute of the recipe `digits_levels`; the log density of unseen 8×8
digits with noise 0.15, from one pass, before and after the constants of the levels are calibrated;
after that, log Z by annealing down and up the levels, which should be 0; the Fréchet ratio of
samples of the lowest level and how well a forest tells them, rounded, from test digits.
`composition`: the product of two densities on the plane, by samples with and without a correction,
as a divergence from the exact product in bins, and that of exact samples, which is the least that
can be seen. `seeds`: how many of 20 trainings on the plane end finite. The densities on the plane
themselves are rows of `density2d.py`.
"""

import tempfile
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, write
from _images import Extractor
from digits import figures_of

import ebmx
from ebmx.config import merge, recipe
from ebmx.energies import (
    MLP,
    Calibrated,
    GaussianMixture,
    NoiseConditional,
    exact_samples,
    geometric_levels,
    log_density,
)
from ebmx.evaluation import annealed_importance_sampling
from ebmx.samplers import HMC, MALA, ProbabilityFlow, sample_levels
from ebmx.training import PerturbedLevels, Trainer, muon, noise_level_loss

NOISE = 0.15  # of the digits whose log density is measured


def train(
    energy: NoiseConditional,
    batches: Any,
    num_steps: int,
    *,
    learning_rate: float,
    key: jax.Array,
    **loss: Any,
) -> tuple[NoiseConditional, float]:
    """The averaged energy after so many updates, and the seconds.

    256 examples of a batch have noise; the others are in the means of the targets.
    """
    rate = optax.cosine_decay_schedule(learning_rate, num_steps)
    optim = optax.chain(optax.clip_by_global_norm(1.0), muon(rate, adam_b1=0.9))
    numbers = {k: jnp.asarray(v) if isinstance(v, float) else v for k, v in loss.items()}
    trainer = Trainer(
        optim, PerturbedLevels(num_noisy=256), eqx.Partial(noise_level_loss, **numbers),
        ema_decay=0.995,
    )  # fmt: skip
    init_key, fit_key = jax.random.split(key)
    state = trainer.init(energy, key=init_key)
    begin = time.perf_counter()
    state, _ = ebmx.fit(trainer, state, batches, num_steps=num_steps, key=fit_key, progress=False)
    assert int(state.skipped) == 0
    return state.ema, time.perf_counter() - begin


def mixture(size: int, num_modes: int) -> GaussianMixture:
    """Modes at random on a sphere, six standard deviations apart or more, weights 1 to 4."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(num_modes, size))
    means *= 6.0 / np.linalg.norm(means, axis=1, keepdims=True)
    return GaussianMixture(means, 0.5, rng.uniform(1.0, 4.0, num_modes))


def learn_mixture(size: int, num_modes: int, part: float, seed: int) -> dict[str, float]:
    truth = mixture(size, num_modes)
    keys = jax.random.split(jax.random.key(seed), 6)
    x = np.asarray(exact_samples(truth, 100_000, key=keys[0]))
    test = exact_samples(truth, 20_000, key=keys[1])
    network = MLP((size,), (256, 256, 256), condition_size=64, key=keys[2])
    # the lowest level is a tenth of a mode's width: the blur lowers the log density by 0.005 · size
    levels = geometric_levels(0.05, 16.0, 32, tilt=1.2)
    moments = {"mean": x.mean(0), "covariance": np.cov(x.T)}
    energy = NoiseConditional(network, levels, **moments, key=keys[3])
    energy, seconds = train(
        energy, ebmx.data.batches(x, 2048, key=keys[4]), int(12_000 * part),
        learning_rate=2e-3, key=keys[5], score_weight=float(size) / 4, stable_targets=True,
    )  # fmt: skip
    number = max(1000, int(20_000 * part))
    drawn = sample_levels(energy, number, corrector=MALA(0.3), num_steps=20, key=keys[5]).x
    means = np.asarray(truth.means)
    nearest = np.argmin(((np.asarray(drawn)[:, None] - means[None]) ** 2).sum(-1), 1)
    masses = np.bincount(nearest, minlength=num_modes) / len(drawn)
    gap = jnp.mean(log_density(energy, test) - log_density(truth, test))
    return {
        "mass_error": float(np.abs(masses - np.asarray(truth.weights)).max()),
        "log_density_gap": float(gap),
        "seconds": seconds,
    }


def mixtures(part: float, seed: int) -> dict[str, Any]:
    return {
        f"{size}-D, {num} modes": learn_mixture(size, num, part, seed)
        for size, num in ((16, 10), (64, 40))
    }


def digits(part: float, seed: int) -> dict[str, float]:
    """The recipe `digits_levels`, for its minute."""
    config = merge(recipe("digits_levels"), {"seed": seed, "seconds": 60.0 * part})
    with tempfile.TemporaryDirectory() as folder:
        report = ebmx.runs.train(config, out=folder, progress=False)
        run = ebmx.runs.open(folder)
    data, energy = run.data(), run.energy
    rng = np.random.default_rng(1)
    test = np.concatenate([data.test] * 4)
    test = (test + NOISE * rng.normal(size=test.shape)).astype(np.float32)
    assert isinstance(energy, Calibrated)
    before, after = (-float(ebmx.energy(e.at(NOISE), test).mean()) for e in (energy.energy, energy))
    noise = float(energy.levels.sigma[0])
    keys = jax.random.split(jax.random.key(seed), 4)
    chains: dict[str, Any] = {"num_chains": 128, "num_temperatures": 4000}
    lowest = energy.at(noise)
    down = annealed_importance_sampling(energy, **chains, key=keys[0])
    start = report.samples[:128]
    x, _ = ebmx.run(lowest, HMC(0.1, 5), start, num_steps=300, key=keys[1])
    up = annealed_importance_sampling(energy, samples=x, num_temperatures=4000, key=keys[2])
    # the mean of what a noisy sample may come from
    clean = report.samples - noise**2 * np.asarray(jax.vmap(jax.grad(lowest))(report.samples))
    found = figures_of(clean, data, Extractor(data))
    assert report.frechet_ratio is not None
    return {
        "log_density, before calibration": before,
        "log_density": after,
        "log_z, from below": down.log_z,
        "log_z, from above": up.log_z,
        "standard_error": down.standard_error,
        "updates": report.num_updates,
        "seconds": report.seconds,
        "ratio": found["ratio"],
        "ratio, noisy": report.frechet_ratio,
        "pixels, forest": found["pixels, forest"],
    }


def composition(part: float, seed: int) -> dict[str, float]:
    """Two bars of modes, whose product is where they cross."""
    keys = jax.random.split(jax.random.key(seed), 5)
    places = np.linspace(-3.0, 3.0, 5)
    across = np.stack([places, np.zeros(5)], 1)
    truths = [GaussianMixture(means, 0.6) for means in (across, across[:, ::-1])]

    def learn(truth: GaussianMixture, key: jax.Array) -> NoiseConditional:
        data_key, network_key, key, batch_key, train_key = jax.random.split(key, 5)
        x = np.asarray(exact_samples(truth, 50_000, key=data_key))
        network = MLP((2,), (128, 128, 128), condition_size=32, key=network_key)
        moments = {"mean": x.mean(0), "covariance": np.cov(x.T)}
        levels = geometric_levels(0.1, 12.0, 24)
        energy = NoiseConditional(network, levels, **moments, key=key)
        batches = ebmx.data.batches(x, 2048, key=batch_key)
        return train(
            energy, batches, int(6000 * part), learning_rate=3e-3, key=train_key,
            stable_targets=True, num_neighbours=10,
        )[0]  # fmt: skip

    first, second = (learn(t, k) for t, k in zip(truths, keys[:2], strict=True))
    product = first + second
    methods: dict[str, dict[str, Any]] = {
        "flow": {"predictor": ProbabilityFlow(), "sigma": np.geomspace(0.1, 12.0, 100)},
        "corrected": {"corrector": MALA(0.5), "num_steps": 40},
    }
    edges = np.linspace(-5.0, 5.0, 41)
    fine = (np.arange(400) + 0.5) / 400 * 10 - 5
    grid = np.stack(np.meshgrid(fine, fine, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)
    blurred = [GaussianMixture(t.means, np.hypot(0.6, 0.1)) for t in truths]
    exact = -np.sum([np.asarray(ebmx.energy(t, grid), np.float64) for t in blurred], 0)
    exact = np.exp(exact - exact.max())
    exact /= exact.sum()
    number, rng = max(1000, int(50_000 * part)), np.random.default_rng(0)
    drawn = {"exact samples": grid[rng.choice(len(grid), number, p=exact)]}
    for name, method in methods.items():
        drawn[name] = np.asarray(sample_levels(product, number, **method, key=keys[3]).x)
    expected, _, _ = np.histogram2d(*grid.T, bins=edges, weights=exact)
    # bins that expect few samples are one
    many = expected * number >= 5

    def pooled(bins: np.ndarray) -> np.ndarray:
        return np.append(bins[many], bins[~many].sum())

    found = {}
    for name, x in drawn.items():
        counts, _, _ = np.histogram2d(*x.T, bins=edges)
        outside = len(x) - counts.sum()
        # half a sample in each bin, so that an empty one is not infinitely wrong
        model = pooled(counts) + 0.5
        model[-1] += outside
        model, truth = model / model.sum(), pooled(expected)
        found[name] = float(np.sum(truth * np.log(truth / model)))
    return found


def seeds(part: float, seed: int) -> dict[str, float]:
    from density2d import MODES, learn, objectives, truths

    row, truth = objectives()["levels of noise"], truths()[MODES]
    found = [learn(MODES, truth, row, part / 10, seed + number)["kl"] for number in range(20)]
    return {"finite": float(np.sum(np.isfinite(found))), "worst_kl": float(np.max(found))}


QUESTIONS: dict[str, Callable[[float, int], dict[str, Any]]] = {
    "mixtures": mixtures, "digits": digits, "composition": composition, "seeds": seeds,
}  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("questions", nargs="*", default=list(QUESTIONS), choices=[*QUESTIONS, []])
    parser.add_argument("--part", type=float, default=1.0, help="of the updates and samples")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    for question in options.questions:
        rows = [QUESTIONS[question](options.part, seed) for seed in range(options.seeds)]
        for number, row in enumerate(rows):
            print(f"{question:12s} seed {number}  {row}", flush=True)
        figures[question] = rows
    write(options.json, figures)


if __name__ == "__main__":
    main()
