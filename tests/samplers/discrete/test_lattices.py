"""Chains on lattices against sums over all of their states."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from discrete import all_bits, all_one_hot, probabilities
from helpers import assert_mean

import ebmx
from ebmx.energies import Ising, Potts
from ebmx.samplers import DMALA, DULA, BlockGibbs, Gibbs, GibbsWithGradients, run

ISING = Ising((4, 4), 0.3, 0.05)
POTTS = Potts((3, 3), 3, 0.5, np.array([0.1, 0.0, -0.1]))
CHAINS = 2_000
SAMPLERS = {
    "gibbs": (Gibbs(), 800),
    "sweep": (Gibbs(sweep=True), 40),
    "blocks": (BlockGibbs(), 40),
    "gwg": (GibbsWithGradients(), 250),
    "dmala": (DMALA(0.3), 200),
    "categories-gibbs": (Gibbs(categorical=True, sweep=True), 40),
    "categories-gwg": (GibbsWithGradients(categorical=True), 150),
    "categories-dmala": (DMALA(0.8, categorical=True), 100),
}


def statistics(energies, x):
    """Energy, its square, its distribution, and sums over sites and pairs of neighbours."""
    x = np.asarray(x, np.float64)
    x = 2 * x - 1 if x.ndim == 3 else x
    bonds = sum((x * np.roll(x, 1, axis)).sum((1, 2)) for axis in (1, 2))
    sites = x.sum((1, 2))
    energies = np.asarray(energies, np.float64)
    levels = energies[:, None] < np.array([-8.0, -5.0, -3.0, -1.0])[None]
    columns = [energies, energies**2, levels, sites, sites**2, bonds]
    return np.concatenate([np.reshape(column, (len(x), -1)) for column in columns], axis=1)


@eqx.filter_jit
def moved(energy, sampler, x, num_steps, key):
    return run(energy, sampler, x, num_steps=num_steps, key=key)


@pytest.fixture(scope="module")
def truth():
    def known(energy, states):
        energies = ebmx.energy(energy, states)
        return probabilities(energies) @ statistics(energies, states)

    return known(ISING, all_bits(4, 4)), known(POTTS, all_one_hot(3, 3, 3))


@pytest.mark.medium
@pytest.mark.parametrize("name", SAMPLERS)
def test_moments_and_energies_are_those_of_all_states(name, truth, getkey):
    """From one state that is far from typical, with a new chain for each sample."""
    sampler, num_steps = SAMPLERS[name]
    of_categories = name.startswith("categories")
    energy = POTTS if of_categories else ISING
    start = np.zeros((CHAINS, *energy.shape), np.float32)
    start = np.eye(3, dtype=np.float32)[np.zeros((CHAINS, 3, 3), int)] if of_categories else start
    x, info = moved(energy, sampler, start, num_steps, getkey())
    assert_mean(statistics(info.energy, x), truth[int(of_categories)], 4.0)
    if sampler.reports_acceptance:
        assert 0.3 < float(jnp.mean(info.acceptance)) < 0.99


@pytest.mark.medium
def test_without_the_test_of_metropolis_long_steps_are_biased(truth, getkey):
    """What `DMALA` corrects; short steps are nearer to the truth."""
    start = np.zeros((CHAINS, 4, 4), np.float32)
    errors = []
    for step_size, num_steps in ((0.6, 100), (0.15, 1_000)):
        x, _ = moved(ISING, DULA(step_size), start, num_steps, getkey())
        energies = np.asarray(ebmx.energy(ISING, x), np.float64)
        error = energies.std() / np.sqrt(CHAINS)
        errors.append((energies.mean() - truth[0][0]) / error)
    assert abs(errors[0]) > 10 > 5 > abs(errors[1])
