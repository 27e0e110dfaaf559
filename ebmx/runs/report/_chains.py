"""Where the chains of a run go, and how likely its density makes the test data."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._types import EnergyFn, Key
from ...data import Dataset
from ...energies import Box, Uniform
from ...energies import energy as energies_of
from ...evaluation import annealed_importance_sampling, drift, fit_gaussian, reverse_annealed_importance_sampling
from ...plotting import chain_strip, chain_traces
from ...samplers import AbstractLangevin, sample
from ...config._build import build_noise, build_sampler
from ...config._schema import RunConfig
from ._features import Judge
from ._section import Section, warnings_as_remarks

_CHAINS = 128
_TIMES = (0, 1, 4, 16, 64, 256)


def long_run_section(
    config: RunConfig, energy: EnergyFn, dataset: Dataset, judge: Judge, num_steps: int, key: Key
) -> Section:
    """Where long chains go that start at the test data, and what short ones make of noise."""
    sampler, bounds = build_sampler(config.sampler), config.sampler.bounds
    start = jnp.asarray(dataset.test[:_CHAINS])
    facts: dict[str, Any] = {"steps": num_steps}
    figures: dict[str, Any] = {}
    remarks: list[str] = []
    try:
        with warnings_as_remarks(remarks):
            found = drift(
                energy, sampler, start, num_steps=num_steps, features=judge.features, bounds=bounds,
                key=jax.random.fold_in(key, 0),
            )  # fmt: skip
        first, last = found.energies[0], found.energies[-1]
        facts["energy at the start"] = float(first.mean())
        facts["energy at the end"] = float(last.mean())
        facts["drift"] = float((last.mean() - first.mean()) / first.std())
        facts["distance"] = float(found.distances[-1])
        traces = {"energy, nats": found.energies.T, "distance of features": found.distances}
        if bounds is not None:
            facts["saturation at the start"] = float(found.saturation[0])
            facts["saturation at the end"] = float(found.saturation[-1])
            traces["share at a bound"] = found.saturation
        title = "Chains that start at the test data"
        figures["drift"] = chain_traces(traces, steps=found.steps, title=title)
    except FloatingPointError as error:
        remarks.append(f"The chains did not stay finite: {error}.")
    if dataset.test.ndim == 4 and dataset.shape[-1] in (1, 3):
        figures["chain"] = _strip(config, energy, dataset, jax.random.fold_in(key, 1))
    return Section("long_run", "Long chains", facts, _LONG_RUN, figures, remarks)


def likelihood_section(
    config: RunConfig,
    energy: EnergyFn,
    dataset: Dataset,
    samples: np.ndarray,
    key: Key,
    *,
    num_temperatures: int = 1000,
) -> Section:
    """A bracket of the log likelihood of the test data at the temperature of the chains."""
    sampler = build_sampler(config.sampler)
    warm = isinstance(sampler, AbstractLangevin)
    temperature = float(sampler.effective_temperature) if warm else 1.0
    plain: Any = energy
    tempered: Any = plain / temperature
    base: Any = fit_gaussian(dataset.train)
    bounds = config.sampler.bounds
    if bounds is not None:
        low, high = (np.full(dataset.shape, b) for b in bounds)
        tempered, base = Box(tempered, low, high), Uniform(low, high)
    keys = jax.random.split(key)
    remarks: list[str] = []
    with warnings_as_remarks(remarks):
        under = annealed_importance_sampling(
            tempered, base, num_temperatures=num_temperatures, key=keys[0]
        )
        over = reverse_annealed_importance_sampling(
            tempered,
            base,
            jnp.asarray(samples[:_CHAINS]),
            num_temperatures=num_temperatures,
            key=keys[1],
        )
    mean = -float(np.mean(np.asarray(energies_of(tempered, jnp.asarray(dataset.test)))))
    facts = {
        "temperature": temperature,
        "log Z, from below": under.log_z,
        "log Z, from above": over.log_z,
        "standard error": max(under.standard_error, over.standard_error),
        "log likelihood, at most": mean - under.log_z,
        "log likelihood, at least": mean - over.log_z,
    }
    if over.log_z < under.log_z - 3 * facts["standard error"]:
        text = (
            "The bounds have crossed: the samples are not those of this density, so that the one "
            "from above is none."
        )
        remarks.append(text)
    if bounds is not None:
        remarks.append("The density is that on the box of the chains' bounds.")
    return Section("likelihood", "Likelihood", facts, _LIKELIHOOD, remarks=remarks)


def _strip(config: RunConfig, energy: EnergyFn, dataset: Dataset, key: Key) -> Any:
    """Chains from noise after 0, 1, 4, … steps."""
    noise = build_noise(config.sampler)
    start_key, key = jax.random.split(key)
    draw = jax.vmap(lambda key: noise.sample(dataset.shape, key=key))
    start = draw(jax.random.split(start_key, 8))
    walk = sample(
        energy, build_sampler(config.sampler), start, num_samples=_TIMES[-1], throw=False, key=key
    )
    x = np.concatenate([np.asarray(start)[:, None], np.asarray(walk.values)], 1)
    return chain_strip(x[:, list(_TIMES)].swapaxes(0, 1), _TIMES, title="Chains from noise")


_LONG_RUN = {
    "steps": "how many steps the chains took, on the averaged energy with the sampler of the run.",
    "energy at the start": "the mean energy of the test data where the chains began, in nats.",
    "energy at the end": "that of the chains at the end: the same, if the data are where the "
    "model's density is.",
    "drift": "the change of the mean energy, in standard deviations of the test data's energies.",
    "distance": "the Fréchet distance of the chains' features from where they began.",
    "saturation at the start": "the share of numbers at a bound, in the test data.",
    "saturation at the end": "that of the chains at the end: far more than at the start, if they "
    "walk off to saturated images.",
}


_LIKELIHOOD = {
    "temperature": "T of the density exp(-E/T) that the chains of the run sample.",
    "log Z, from below": "annealed importance sampling, a lower bound in the mean, in nats.",
    "log Z, from above": "the same backwards from the samples: an upper bound in the mean as far "
    "as they are samples of the density.",
    "standard error": "the larger one of both, in nats; the gap between both says more.",
    "log likelihood, at most": "of the test data in the mean, in nats, by the lower log Z.",
    "log likelihood, at least": "the same by the upper log Z.",
}
