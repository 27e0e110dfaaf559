"""Log Z between Gaussians by chains that forget at each temperature: all of it is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian
from ebmx.evaluation import (
    adaptive_smc,
    annealed_importance_sampling,
)
from ebmx.samplers import AbstractSampler, StepInfo

SIZE, LAST = 3, 25.0
BASE, ENERGY = Gaussian(jnp.zeros(SIZE)), Gaussian(jnp.zeros(SIZE), 1 / LAST)
TRUTH = SIZE / 2 * np.log(2 * np.pi / LAST)
SCHEDULE = np.linspace(0, 1, 31) ** 2


def precision(beta):
    return 1 + (LAST - 1) * beta


class Exact(AbstractSampler):
    """An independent sample of the Gaussian at the temperature of the energy."""

    is_invariant = True

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        x = jax.random.normal(key, x.shape) / jnp.sqrt(precision(energy.beta))
        zero = jnp.zeros(())
        return x, state, StepInfo(zero, zero, zero + 0.5, jnp.zeros((), bool))


def moments(betas, way):
    """Mean and variance of the log weights of chains that go up (1) or down (-1)."""
    steps = (LAST - 1) * np.diff(betas)
    at = precision(betas[:-1] if way > 0 else betas[1:])
    return -way * np.sum(steps * SIZE / 2 / at), np.sum(steps**2 * SIZE / 2 / at**2)


@pytest.mark.parametrize("way", [1, -1])
def test_the_weights_of_annealed_chains(way):
    num, rng = 2000, np.random.default_rng(0)
    options = {"schedule": SCHEDULE, "sampler": Exact(), "key": jax.random.key(0)}
    if way > 0:
        found = annealed_importance_sampling(ENERGY, BASE, num_chains=num, **options)
    else:
        x = jnp.asarray(rng.normal(size=(num, SIZE)) / np.sqrt(LAST), float)
        found = annealed_importance_sampling(ENERGY, BASE, samples=x, **options)
    mean, variance = moments(SCHEDULE, way)
    assert abs(found.log_weights.mean() - mean) < 5 * np.sqrt(variance / num)
    # squared deviations of about normal numbers have twice the square of the variance
    assert abs(found.log_weights.var() / variance - 1) < 5 * np.sqrt(2.5 / num)
    assert abs(found.log_z - TRUTH) < 5 * found.standard_error < 0.1
    want = np.exp(-variance)
    assert found.effective_sample_size / num == pytest.approx(want, abs=0.1)
    np.testing.assert_allclose(found.acceptance, 0.5)
    # forwards the ends are samples of the energy, backwards of the first temperature above zero
    last = precision(SCHEDULE[-1] if way > 0 else SCHEDULE[1])
    squares = np.asarray(found.x) ** 2 * last
    assert abs(squares.mean() - 1) < 5 * np.sqrt(2 / squares.size)


@pytest.mark.medium
def test_islands_step_by_the_fraction_of_effective_particles():
    options = {"num_particles": 2000, "num_islands": 4, "target_ess": 0.7, "num_steps": 1}
    found = adaptive_smc(ENERGY, BASE, sampler=Exact(), key=jax.random.key(1), **options)
    at = precision(found.schedule)
    assert found.schedule[0] == 0
    assert found.schedule[-1] == 1
    assert len(found.acceptance) == len(found.schedule) - 1
    size = (at[:-1] * (2 * at[1:] - at[:-1]) / at[1:] ** 2) ** (SIZE / 2)
    np.testing.assert_allclose(size[:-1], 0.7, atol=0.06)
    assert size[-1] > 0.65
    # each stage adds the relative variance of a mean of weights
    variance = np.sum(1 / size - 1) / 2000
    assert abs(found.log_z - TRUTH) < 5 * np.sqrt(variance / 4)
    assert np.all(np.abs(found.log_weights + BASE.log_z - TRUTH) < 5 * np.sqrt(variance))
    assert found.x.shape == (8000, SIZE)
    squares = np.asarray(found.x) ** 2 * LAST
    assert abs(squares.mean() - 1) < 5 * np.sqrt(2 / squares.size)


def test_temperatures_that_are_planned_make_for_the_lowest_variance():
    options = {"num_chains": 2000, "num_temperatures": 30, "sampler": Exact()}
    found = annealed_importance_sampling(ENERGY, BASE, key=jax.random.key(2), **options)
    best = precision(0.0) * LAST ** np.linspace(0, 1, 31)
    _, lowest = moments((best - 1) / (LAST - 1), 1)
    _, variance = moments(found.schedule, 1)
    _, uniform = moments(np.linspace(0, 1, 31), 1)
    assert variance < 1.15 * lowest < 0.5 * uniform
    assert abs(found.log_z - TRUTH) < 5 * found.standard_error
