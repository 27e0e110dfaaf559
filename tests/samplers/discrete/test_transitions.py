"""Transition matrices of tiny spaces: sums over all examples in NumPy, against counts of chains."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from discrete import (
    all_bits,
    all_one_hot,
    assert_transitions,
    gibbs_with_gradients,
    langevin,
    metropolis,
    probabilities,
    visit,
)

import ebmx
from ebmx.energies import MLP, Function
from ebmx.samplers import DMALA, DULA, Gibbs, GibbsWithGradients, run

NUM = 4_000
A, B = np.random.default_rng(3).normal(size=(2, 6)).astype(np.float32)


def curved(x):
    """Third order, so that its gradient knows no difference of energies exactly."""
    x = x.reshape(-1)
    return A[: x.size] @ x + (B[: x.size] @ x) ** 2 + jnp.sin(2 * x[0] + x[1])


NETWORK = MLP((2, 3), (8,), key=jax.random.key(1))
SPACES = {
    "bits": (curved, all_bits(3), None),
    "image": (Function(curved, (2, 2, 1)), all_bits(2, 2, 1), None),
    "categories": (3.0 * NETWORK, all_one_hot(2, 3), 3),
}
STEP = 0.4


@eqx.filter_jit
def moved(energy, sampler, x, num_steps, key):
    return run(energy, sampler, x, num_steps=num_steps, key=key)


def answers(space):
    energy, states, num_values = SPACES[space]
    energies = ebmx.energy(energy, states)
    return probabilities(energies), -np.asarray(ebmx.score(energy, states)), states, num_values


def one_site(space):
    p, _, states, num_values = answers(space)
    num = states[0].size // (num_values or 1)
    return [visit(states, p, site, num_values) for site in range(num)]


def gibbs(space):
    return np.mean(one_site(space), axis=0)


def sweep(space):
    return np.linalg.multi_dot(one_site(space))


def informed(space):
    p, gradients, states, num_values = answers(space)
    return metropolis(gibbs_with_gradients(states, gradients, num_values), p)


def unadjusted(space):
    _, gradients, states, _ = answers(space)
    return langevin(states, gradients / 2.0, STEP)  # at temperature 2


def adjusted(space):
    p, gradients, states, _ = answers(space)
    return metropolis(langevin(states, gradients, STEP), p)


SAMPLERS = {
    "gibbs": (lambda c: Gibbs(c), gibbs),
    "sweep": (lambda c: Gibbs(c, sweep=True), sweep),
    "gwg": (lambda c: GibbsWithGradients(c), informed),
    "dula": (lambda c: DULA(STEP, 2.0, c), unadjusted),
    "dmala": (lambda c: DMALA(STEP, c), adjusted),
}
every_space = pytest.mark.parametrize("space", SPACES)
every_sampler = pytest.mark.parametrize("name", SAMPLERS)


@every_sampler
@every_space
def test_one_step_and_three_have_the_probabilities_of_the_matrix(space, name, getkey):
    energy, states, num_values = SPACES[space]
    make, matrix_of = SAMPLERS[name]
    sampler, matrix = make(num_values is not None), matrix_of(space)
    start = np.repeat(states, NUM, axis=0)
    for num_steps in (1, 3):
        x, info = moved(energy, sampler, start, jnp.asarray(num_steps), getkey())
        assert x.dtype == start.dtype
        assert_transitions(start, x, states, np.linalg.matrix_power(matrix, num_steps))
        if sampler.reports_new_energy:
            np.testing.assert_allclose(info.energy, ebmx.energy(energy, x), rtol=1e-4, atol=1e-4)
        assert not np.any(info.divergent)
    if not sampler.reports_acceptance:
        np.testing.assert_array_equal(info.acceptance, 1.0)


@every_sampler
@every_space
def test_the_density_is_stationary_if_the_sampler_says_so(space, name):
    p = answers(space)[0]
    matrix = SAMPLERS[name][1](space)
    np.testing.assert_allclose(matrix.sum(1), 1.0, rtol=1e-9)
    sampler = SAMPLERS[name][0](space == "categories")
    assert np.allclose(p @ matrix, p, rtol=1e-6) == sampler.is_invariant
    if sampler.is_invariant and name != "sweep":
        flow = p[:, None] * matrix
        np.testing.assert_allclose(flow, flow.T, rtol=1e-6, atol=1e-12)


@every_space
def test_acceptances_and_gradient_norms_are_those_of_the_proposals(space, getkey):
    energy, states, num_values = SPACES[space]
    p, gradients, _, _ = answers(space)
    q = langevin(states, gradients, STEP)
    flow = p[:, None] * q
    accepted = np.minimum(1, flow.T / flow)
    wanted = np.sum(q * accepted, 1)
    error = np.sqrt(np.maximum(np.sum(q * accepted**2, 1) - wanted**2, 0) / NUM)
    start = np.repeat(states, NUM, axis=0)
    x, info = moved(energy, DMALA(STEP, num_values is not None), start, jnp.asarray(1), getkey())
    found = np.asarray(info.acceptance, np.float64).reshape(-1, NUM)
    assert np.all(np.abs(found.mean(1) - wanted) < 5 * error + 1e-5)
    norms = np.linalg.norm(np.asarray(ebmx.score(energy, x)).reshape(len(x), -1), axis=1)
    np.testing.assert_allclose(info.grad_norm, norms, rtol=1e-3, atol=1e-4)
