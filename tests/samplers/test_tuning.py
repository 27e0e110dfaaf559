"""The arithmetic of the warm-up, with samplers whose moves and acceptances are told."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.samplers import HMC, AbstractSampler, StepInfo, warmup
from ebmx.samplers._run import PerChain

NUM_STEPS, START, TARGET = 60, 0.3, 0.7
FIRST = np.random.default_rng(0).normal(size=(5, 2)) + np.array([3.0, -200.0])
FALL = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
"""How fast the acceptance of each chain falls with the step size."""


def flat(x):
    return 0.0 * jnp.sum(x)


def told_step(x, state, step_size):
    """Goes on by a number that grows, and accepts by the step size and where the chain began."""
    count, fall = state
    acceptance = jnp.exp(-fall * step_size)
    # a step whose acceptance is not known counts as a rejection
    acceptance = jnp.where(count == 7, jnp.nan, acceptance)
    one = jnp.ones(())
    new = x + jnp.stack([jnp.sin(count), 0.1 * count])
    return new, (count + 1, fall), StepInfo(one, one, acceptance, one > 2)


def told_state(x):
    return jnp.zeros(()), jnp.asarray(FALL, float)[jnp.argmin(jnp.abs(x[0] - FIRST[:, 0]))]


class Told(AbstractSampler):
    step_size: jax.Array = eqx.field(converter=jnp.asarray)

    def init(self, energy, x, *, key):
        return told_state(x)

    def step(self, energy, x, state, *, key):
        return told_step(x, state, self.step_size)


class ToldWithMasses(HMC):
    """Like `Told`, with masses to be found; without them a step of the size of one."""

    def init(self, energy, x, *, key):
        return jnp.zeros(()), jnp.ones(()) * (1.0 if self.inverse_mass_matrix is None else 3.0)

    def step(self, energy, x, state, *, key):
        return told_step(x, state, self.step_size)


def path(first, num_steps):
    """The positions after each step, `(steps, chains, 2)`."""
    count = np.arange(num_steps)[:, None]
    moves = np.concatenate([np.sin(count), 0.1 * count], 1)
    return first + np.cumsum(moves, 0)[:, None]


def dual_averaging(start, falls, num_steps, target):
    """Algorithm 5 of Hoffman and Gelman (2014) with `κ = 0.75` and `t₀ = 10`, twice.

    First `γ = 0.05` and `μ = log(10 ε)`, then from the middle on `γ = 0.5` about what was found.
    """
    log_mean, log_step = np.log(start), np.log(start)
    centre, gamma, error, count = np.log(10 * start), 0.05, 0.0, 0
    for i in range(num_steps):
        acceptance = 0.0 if i == 7 else np.mean(np.exp(-falls * np.exp(log_step)))
        count += 1
        error += (target - acceptance - error) / (count + 10)
        log_step = centre - np.sqrt(count) / gamma * error
        log_mean += count**-0.75 * (log_step - log_mean)
        if i + 1 == num_steps // 2:
            centre, gamma, error, count, log_step = log_mean, 0.5, 0.0, 0, log_mean
    return np.exp(log_mean)


@pytest.mark.parametrize("per_chain", [False, True])
def test_step_sizes_follow_dual_averaging(per_chain, getkey):
    x = jnp.asarray(FIRST, float)
    options = {"num_steps": NUM_STEPS, "target_acceptance": TARGET, "per_chain": per_chain}
    tuned, new = warmup(flat, Told(START), x, key=getkey(), **options)
    np.testing.assert_allclose(new, path(FIRST, NUM_STEPS)[-1], rtol=1e-5)
    if per_chain:
        assert isinstance(tuned, PerChain)
        want = [dual_averaging(START, fall, NUM_STEPS, TARGET) for fall in FALL]
        np.testing.assert_allclose(tuned.sampler.step_size, want, rtol=1e-4)
    else:
        want = dual_averaging(START, FALL, NUM_STEPS, TARGET)
        np.testing.assert_allclose(tuned.step_size, want, rtol=1e-4)


@pytest.mark.parametrize("per_chain", [False, True])
def test_masses_are_the_shrunken_variances_of_late_steps(per_chain, getkey):
    x = jnp.asarray(FIRST, float)
    options = {"num_steps": NUM_STEPS, "per_chain": per_chain}
    tuned, new = warmup(flat, ToldWithMasses(START, 3), x, key=getkey(), **options)
    tuned = tuned.sampler if per_chain else tuned
    half = NUM_STEPS // 2
    first, second = path(FIRST, half), path(path(FIRST, half)[-1], half)
    np.testing.assert_allclose(new, second[-1], rtol=1e-5)
    late = first[half // 2 :].reshape(-1, 2)
    # towards a thousandth with the weight of five samples, as Stan has it
    variance = (len(late) * late.var(0) + 5 * 1e-3) / (len(late) + 5)
    masses = np.asarray(tuned.inverse_mass_matrix)
    np.testing.assert_allclose(masses.reshape(-1, 2)[0], variance, rtol=1e-4)
    # the second search begins where the first ended, with the masses, and meets 0.8
    found = dual_averaging(START, np.ones(1), half, 0.8)
    want = dual_averaging(found, np.full(1, 3.0), half, 0.8)
    np.testing.assert_allclose(
        tuned.step_size, np.broadcast_to(want, tuned.step_size.shape), rtol=1e-4
    )
    assert tuned.num_integration_steps == 3


def test_an_acceptance_of_one_gradient_a_step_is_met_if_none_is_given(getkey):
    x = jnp.asarray(FIRST, float)
    tuned, _ = warmup(flat, Told(START), x, num_steps=NUM_STEPS, key=getkey())
    want = dual_averaging(START, FALL, NUM_STEPS, 0.574)
    np.testing.assert_allclose(tuned.step_size, want, rtol=1e-4)
