"""A bracket of the likelihood of the test data."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from ..._types import EnergyFn, Key
from ...data import Dataset
from ...energies import Box, Uniform
from ...energies import energy as energies_of
from ...evaluation import annealed_importance_sampling, fit_bernoulli, fit_gaussian
from ...samplers import Annealed
from ...samplers._langevin import AbstractLangevin
from .._run import Run
from ._chains import _CHAINS
from ._section import Section, warnings_as_remarks


def likelihood_section(
    run: Run,
    energy: EnergyFn,
    dataset: Dataset,
    samples: np.ndarray,
    key: Key,
    *,
    num_temperatures: int = 1000,
) -> Section:
    """A bracket of the log likelihood of the test data at the temperature of the chains."""
    sampler, plain = run.sampler, cast(Any, energy)
    bounds = None if sampler.is_discrete else run.bounds
    if isinstance(sampler, Annealed):
        sampler = sampler.at(jnp.asarray(run.num_chain_steps or 0))  # where its chains end
    # Langevin chains without rejection sample exp(-E/T) with T = noise_scale² / step_size
    warm = isinstance(sampler, AbstractLangevin)
    temperature = float(sampler.effective_temperature) if warm else 1.0
    tempered, base = plain / temperature, cast(Any, fit_gaussian(dataset.train))
    options: dict[str, Any] = {"num_temperatures": num_temperatures}
    if dataset.binarise is not None:
        # probabilities in place of densities, by the moves of the chains of the run
        tempered, base, options["sampler"] = plain, fit_bernoulli(dataset.train), sampler
    if bounds is not None:
        low, high = (np.full(dataset.shape, b) for b in bounds)
        tempered, base = Box(tempered, low, high), Uniform(low, high)
    keys = jax.random.split(key)
    remarks: list[str] = []
    with warnings_as_remarks(remarks):
        under = annealed_importance_sampling(tempered, base, key=keys[0], **options)
        options["samples"] = jnp.asarray(samples[:_CHAINS])
        over = annealed_importance_sampling(tempered, base, key=keys[1], **options)
    mean = -float(np.mean(np.asarray(energies_of(tempered, jnp.asarray(dataset.test)))))
    facts = {
        "temperature": temperature,
        "log Z, from below": under.log_z,
        "log Z, from above": over.log_z,
        "standard error": max(under.standard_error, over.standard_error),
        "log likelihood, at most": mean - under.log_z,
        "log likelihood, at least": mean - over.log_z,
        "log Jacobian": dataset.log_jacobian,
    }
    if over.log_z < under.log_z - 3 * facts["standard error"]:
        text = "The bounds have crossed: the samples do not follow this density, so the bound from "
        remarks.append(f"{text}above does not hold.")
    if bounds is not None:
        remarks.append("The density is that on the box of the chains' bounds.")
    return Section("likelihood", "Likelihood", facts, _LIKELIHOOD, remarks=remarks)


_LIKELIHOOD = {
    "temperature": "T of the density exp(-E/T) that the chains of the run sample.",
    "log Z, from below": "annealed importance sampling, a lower bound in the mean, in nats.",
    "log Z, from above": "the same from the samples back: an upper bound if they are exact.",
    "standard error": "the larger of the two, in nats; the gap between the two is more reliable.",
    "log likelihood, at most": "of the test data in the mean, in nats, by the lower log Z.",
    "log likelihood, at least": "the same by the upper log Z.",
    "log Jacobian": "add it to these, which are on the scale of the model, for the units of the "
    "file, in nats.",
}
