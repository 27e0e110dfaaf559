"""The likelihood by an energy over noise levels, and how well its levels fit together."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._types import Key
from ...data import Dataset
from ...energies import exact_samples, log_density
from ...evaluation import annealed_importance_sampling, probability_flow_log_density
from ...plotting._levels import samples_by_level
from ...samplers import Ancestral, sample_levels
from .._draw import CORRECTIONS
from .._run import Run, is_image, with_noise
from ._chains import _CHAINS
from ._features import in_chunks, levels_of
from ._section import Section, warnings_as_remarks

_FEW = 256
"""How many examples the probability flow takes, which costs hundreds of gradients each."""
_EXACT = 16
"""Up to how many coordinates its divergence is exact."""
_MOST_NUMBERS, _LEAST, _MOST = 2**18, 256, 8192
"""How many numbers and examples the noisy data of a level have, which are repeated if fewer."""
_SHOWN_LEVELS = 6


def level_likelihood_section(
    energy: Any,
    dataset: Dataset,
    samples: np.ndarray,
    key: Key,
    *,
    both_sides: bool = False,
    num_temperatures: int = 1000,
) -> Section:
    """The log likelihood of the test data by one pass, by the flow, and less `log Z`."""
    flow_key, under_key, over_key = jax.random.split(key, 3)
    train, test = (
        with_noise(energy, x, seed=i) for i, x in enumerate((dataset.train[:4096], dataset.test))
    )
    one_pass = in_chunks(lambda x: log_density(energy, x), test)
    size, few = math.prod(dataset.shape), jnp.asarray(test[:_FEW])
    num_probes = None if size <= _EXACT else 1
    flow = probability_flow_log_density(energy, few, num_probes=num_probes, key=flow_key)
    apart = np.asarray(flow) - one_pass[:_FEW]
    options: dict[str, Any] = {"num_temperatures": num_temperatures}
    remarks: list[str] = []
    with warnings_as_remarks(remarks):
        found = annealed_importance_sampling(energy, num_chains=_CHAINS, key=under_key, **options)
    facts = {
        "training data": float(in_chunks(lambda x: log_density(energy, x), train).mean()),
        "test data": float(one_pass.mean()),
        "flow, less one pass": float(apart.mean()),
        "its standard error": float(apart.std() / math.sqrt(len(apart))),
        "log Z": found.log_z,
        "standard error of log Z": found.standard_error,
        "test data, less log Z": float(one_pass.mean()) - found.log_z,
    }
    if both_sides:
        options["samples"] = jnp.asarray(samples[:_CHAINS])
        with warnings_as_remarks(remarks):
            over = annealed_importance_sampling(energy, key=over_key, **options)
        facts["log Z, from above"] = over.log_z
    values, sigma = levels_of(dataset.train), float(energy.levels.sigma[0])
    text = f"Log densities of the data with noise of {sigma:.3g}, the lowest level, in nats and in "
    remarks.insert(0, f"{text}the units of the model.")
    if values is not None:
        known = log_known(dataset.test, test, values, sigma)
        bits = lambda log_z: float((known - one_pass + log_z).mean() / size / math.log(2))  # noqa: E731
        facts |= {"bits per dimension": bits(0.0), "the same, less log Z": bits(found.log_z)}
        text = f"The data take {len(values)} values. The bits are an upper bound of those of these "
        text += "discrete data: Gaussian noise of the lowest level dequantises them, and each "
        text += "number is decoded by itself, by Bayes' rule with equal values before."
        remarks.append(text)
    return Section("likelihood", "Likelihood", facts, _LIKELIHOOD, remarks=remarks)


def log_known(x: np.ndarray, noisy: np.ndarray, values: np.ndarray, sigma: float) -> np.ndarray:
    """`log q(noisy | x) - log P(x | noisy)` of each example, in nats.

    `q` is the noise, and `P` of each number is proportional to `q` over the values of the data.
    `-log p(noisy)` and this are an upper bound of `-log P(x)` in the mean; Kingma et al. (2021),
    "Variational diffusion models".
    """
    squares = lambda x: (noisy.astype(np.float64) - x) ** 2 / (2 * sigma**2)  # noqa: E731
    own = squares(x)
    others = np.log(sum(np.exp(own - squares(value)) for value in values))
    each = -own - math.log(sigma) - 0.5 * math.log(2 * math.pi) + others
    return each.reshape(len(x), -1).sum(1)


def levels_section(run: Run, energy: Any, dataset: Dataset, key: Key) -> Section:
    """The scores of each level, and whether it is told from the next higher one."""
    noise_key, sample_key = jax.random.split(key)
    size = min(max(_MOST_NUMBERS // math.prod(dataset.shape), _LEAST), _MOST)
    x = jnp.asarray(np.resize(dataset.test, (size, *dataset.shape)))
    sigma = energy.levels.sigma.astype(x.dtype)
    num = sigma.size
    rows = []
    for k in range(num):
        near = sigma[jnp.array([max(k - 1, 0), k, min(k + 1, num - 1)])]
        noise = jax.random.normal(jax.random.fold_in(noise_key, k), x.shape, x.dtype)
        rows.append([np.asarray(a, np.float64) for a in _at_level(energy, x, noise, near)])
    facts: dict[str, Any] = {}
    for k in reversed(range(num)):
        errors, values = rows[k]
        row = {"σ": float(sigma[k]), "score error": float(errors.mean())}
        if k + 1 < num:
            # log p_k / p_(k+1), where the noise is of level k and where it is of the next one
            ours, theirs = values[:, 2] - values[:, 1], rows[k + 1][1][:, 1] - rows[k + 1][1][:, 0]
            row["accuracy"] = float((np.mean(ours > 0) + np.mean(theirs < 0)) / 2)
            row["log Z step"] = log_z_step(ours, theirs)
        facts[f"level {k}"] = row
    figures = {}
    if is_image(dataset.shape) or len(dataset.shape) == 1:
        figures["levels"] = _picture(run, energy, dataset, sample_key)
    steps = [row["log Z step"] for row in facts.values() if "log Z step" in row]
    text = f"The steps of log Z sum to {sum(steps):.3f} nats at the lowest level, if the shapes of "
    remarks = [f"{text}the densities are right: an error of the normaliser that the test data see."]
    return Section("levels", "Noise levels", facts, _LEVELS, figures, remarks)


@eqx.filter_jit
def _at_level(energy: Any, x: jax.Array, noise: jax.Array, sigma: jax.Array) -> Any:
    """The score errors of noisy examples, and their energies at the levels below, own and above."""

    def one(pair: tuple[jax.Array, jax.Array]) -> Any:
        x, noise = pair
        noisy = x + sigma[1] * noise
        gradient = jax.grad(energy)(noisy, sigma[1])
        error = 0.5 * jnp.mean((sigma[1] * gradient - noise) ** 2)
        return error, jnp.stack([energy(noisy, s) for s in sigma])

    return jax.lax.map(one, (x, noise), batch_size=256)


def log_z_step(ours: np.ndarray, theirs: np.ndarray) -> float:
    """`log Z_k - log Z_(k+1)` from log ratios of the densities at examples of the two levels.

    With it the probabilities of the levels are right in the mean. Bennett (1976), "Efficient
    estimation of free energy differences from Monte Carlo data".
    """
    # at the least ratio all examples are taken for this level, at the largest for the next one
    low, high = (float(f([f(ours), f(theirs)])) for f in (np.min, np.max))
    for _ in range(60):
        step = (low + high) / 2
        mistaken = [1 / (1 + np.exp(np.clip(a, -500, 500))) for a in (ours - step, step - theirs)]
        # a larger step takes examples from this level
        low, high = (low, step) if mistaken[0].mean() > mistaken[1].mean() else (step, high)
    return (low + high) / 2


def _picture(run: Run, energy: Any, dataset: Dataset, key: Key) -> Any:
    """Samples and noisy data of some levels, from the highest to the lowest."""
    sigma = np.asarray(energy.levels.sigma)
    shown = sigma[np.unique(np.linspace(0, len(sigma) - 1, _SHOWN_LEVELS).round().astype(int))]
    shown = shown[::-1]
    num = 8 if is_image(dataset.shape) else min(500, len(dataset.test))
    options: dict[str, Any] = {"predictor": Ancestral(), "corrector": run.sampler}
    options |= {"num_steps": CORRECTIONS, "key": key}
    samples = [np.asarray(exact_samples(energy.top, num, key=key))]
    for level in shown[1:]:
        # as many levels each time, so that one program serves all
        path = np.geomspace(level, sigma[-1], len(sigma))
        samples.append(np.asarray(sample_levels(energy, num, sigma=path, **options).x))
    noise = np.random.default_rng(0).normal(size=(len(shown), num, *dataset.shape))
    data = [
        dataset.test[:num] + s * e[: len(dataset.test)] for s, e in zip(shown, noise, strict=True)
    ]
    return samples_by_level(shown.tolist(), samples, data)


_LIKELIHOOD = {
    "training data": "the mean log density of training data, in nats, from one pass.",
    "test data": "the same of the test data: much lower if the training data are memorised.",
    "flow, less one pass": "how much higher the probability flow, which has no normaliser, has "
    f"{_FEW} of the test data in the mean: 0 if both are right.",
    "its standard error": "of that mean over examples and random directions, in nats.",
    "log Z": "of the lowest level by annealing down the levels, in nats: 0 if it is normalised.",
    "standard error of log Z": "of the annealing, in nats; too small if few chains have weight.",
    "test data, less log Z": "the mean log density of the test data with this normaliser.",
    "log Z, from above": "by annealing from the samples back: an upper bound if they are exact.",
    "bits per dimension": "of the discrete test data, an upper bound from one pass.",
    "the same, less log Z": "the bits per dimension with the normaliser by annealing.",
}
_LEVELS = {
    "σ": "the standard deviation of the noise.",
    "score error": "½|σ∂E/∂x - ε|²/d, mean over the test data with noise ε: ½ where the noise "
    "cannot be seen, 0 where it is known; compare runs on the same data.",
    "accuracy": "how often the level is told from the next higher one by the two energies.",
    "log Z step": "log Z of this level less that of the next higher one, in nats, from the noisy "
    "test data of both: 0 if the energies are normalised.",
}
