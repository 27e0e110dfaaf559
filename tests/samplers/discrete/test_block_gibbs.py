"""Block Gibbs sampling of a small machine, whose transition matrix is a sum over hidden states."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import ebmx
from ebmx.energies import BernoulliRBM, Gaussian
from ebmx.samplers import BlockGibbs, run

WEIGHT = np.array([[1.2, -0.7], [-0.5, 0.9], [0.4, 1.1]])
VISIBLE_BIAS, HIDDEN_BIAS = np.array([-1.0, 0.8, -0.6]), np.array([1.4, -1.1])
ENERGY = BernoulliRBM(WEIGHT, VISIBLE_BIAS, HIDDEN_BIAS)
STATES = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
NUM = 6_000


def bernoulli(states, logits):
    """The probability of each row of `states` given each row of `logits`."""
    p = 1 / (1 + np.exp(-logits[:, None]))
    return np.prod(np.where(states[None] == 1, p, 1 - p), axis=-1)


def transition_matrix():
    hidden = np.array(list(itertools.product([0.0, 1.0], repeat=2)))
    up = bernoulli(hidden, STATES @ WEIGHT + HIDDEN_BIAS)
    return up @ bernoulli(STATES, hidden @ WEIGHT.T + VISIBLE_BIAS)


def test_transitions_have_the_probabilities_of_all_states(getkey):
    start = jnp.asarray(np.repeat(STATES, NUM, axis=0), float)
    x, info = run(ENERGY, BlockGibbs(), start, num_steps=1, key=getkey())
    index = np.asarray(x).astype(int) @ [4, 2, 1]
    counts = np.stack([np.bincount(row, minlength=8) for row in index.reshape(8, NUM)])
    p = transition_matrix()
    assert np.all(np.abs(counts / NUM - p) < 5 * np.sqrt(p * (1 - p) / NUM))
    np.testing.assert_allclose(info.energy, ebmx.energy(ENERGY, x), rtol=1e-5)
    assert info.grad_norm is None
    np.testing.assert_array_equal(info.acceptance, 1.0)
    assert not np.any(info.divergent)
    assert x.dtype == start.dtype


def test_the_density_of_the_visible_units_is_stationary_and_in_balance():
    p = np.exp(-np.asarray(ebmx.energy(ENERGY, STATES.astype(np.float32)), float))
    flow = p[:, None] * transition_matrix()
    np.testing.assert_allclose(flow, flow.T, rtol=1e-5)


def test_other_energies_are_refused(getkey):
    with pytest.raises(ValueError, match="energy=Gaussian: BlockGibbs samples a BernoulliRBM only"):
        run(Gaussian(jnp.zeros(3), 1.0), BlockGibbs(), jnp.zeros((1, 3)), num_steps=1, key=getkey())
