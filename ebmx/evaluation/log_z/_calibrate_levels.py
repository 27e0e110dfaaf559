"""The constants of an energy over noise levels, by annealing."""

import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ..._types import Key
from ...energies import AbstractNoiseConditionalEnergy, Calibrated
from ...samplers import AbstractSampler
from ._annealed_importance import anneal, check_numbers
from ._annealing_schedule import plan
from ._choose_path import path_of, sampler_for
from ._estimate import estimate, warn_of_weights


def calibrate_levels(
    energy: AbstractNoiseConditionalEnergy,
    *,
    num_chains: int = 256,
    num_temperatures: int = 1000,
    sampler: AbstractSampler | None = None,
    num_steps: int = 1,
    key: Key,
) -> Calibrated:
    """An energy over noise levels with its `log Z` at each level added.

    Training leaves errors in the constants, which add up from level to level, and with many
    dimensions they come to nats. Chains that are annealed down the levels estimate `log Z` at
    each, as `annealed_importance_sampling(energy)` does at the lowest; with it the energy is
    `-log p` again, up to the error of the estimate. Scores, samples and differences within a level
    are as before. A product or a guided energy becomes a normalised one.

    Neal (2001), "Annealed importance sampling".

    Args:
        energy: a noise-conditional energy without classes, such as `energy.at_label(label)`.
        num_chains: as for `annealed_importance_sampling`, and so are the other arguments.

    Returns:
        `Calibrated(energy, log_z)`, an energy over the same levels that is normalised.

    Raises:
        ValueError: if the energy is not noise-conditional or has classes, or a number is out of its
            range.

    Warns:
        ConvergenceWarning: if a few chains have all the weight.
    """
    fix = "give an energy over noise levels, such as NoiseConditional"
    ok = isinstance(energy, AbstractNoiseConditionalEnergy)
    _checks.require(ok, "energy", type(energy).__name__, fix)
    path = path_of(energy, None)
    check_numbers(num_chains, num_temperatures, num_steps)
    sampler = sampler_for(path, sampler)
    plan_key, walk_key = jax.random.split(key)
    route = plan(path, sampler, num_temperatures, None, num_steps, key=plan_key)
    log_weights, x, acceptance, so_far = anneal(
        path, sampler, route, None, num_chains, num_steps, walk_key
    )
    found = estimate(path.log_z, log_weights, x, acceptance, route.betas, sign=1)
    warn_of_weights(found, covered=True)
    # at the highest level the energy differs from the known density by a constant, if at all
    top, highest = energy.top, energy.at(energy.levels.sigma[-1])
    constant = float(top(top.mean) - highest(top.mean))
    log_z = float(path.log_z) + np.concatenate([[constant], np.asarray(so_far, np.float64)])
    # the path has equal steps in the logarithm of the level
    logs = np.log(np.asarray(energy.levels.sigma, np.float64))
    betas = (logs[-1] - logs) / (logs[-1] - logs[0])
    return Calibrated(energy, jnp.asarray(np.interp(betas, np.asarray(route.betas), log_z)))
