"""The restricted Boltzmann machine against all its states, one by one in NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import ebmx
from ebmx.energies import BernoulliRBM

SIZES = [(3, 5), (5, 3), (4, 4), (1, 2)]


def parts(visible, hidden, scale=1.0):
    rng = np.random.default_rng(visible + 100 * hidden)
    shapes = (visible, hidden), (visible,), (hidden,)
    return [(scale * rng.normal(size=shape)).astype(np.float32) for shape in shapes]


def states(num):
    return np.array(list(itertools.product([0.0, 1.0], repeat=num)))


def joint(weight, visible_bias, hidden_bias):
    """`exp(-E(x, h))` for all visible states by all hidden ones."""
    x, h = (states(size) for size in weight.shape)
    log = x @ weight.astype(float) @ h.T + (x @ visible_bias)[:, None] + (h @ hidden_bias)[None]
    return x, np.exp(log)


@pytest.mark.parametrize(("visible", "hidden"), SIZES)
def test_normaliser_and_moments_are_sums_over_all_states(visible, hidden):
    energy = BernoulliRBM(*parts(visible, hidden))
    x, table = joint(*parts(visible, hidden))
    marginal = table.sum(1)
    np.testing.assert_allclose(
        ebmx.energy(energy, x.astype(np.float32)), -np.log(marginal), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(energy.log_z, np.log(marginal.sum()), rtol=1e-6)
    mean = marginal @ x / marginal.sum()
    np.testing.assert_allclose(energy.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(energy.variance, mean * (1 - mean), rtol=1e-4)


@pytest.mark.parametrize(("visible", "hidden"), [(11, 12), (12, 11)])
def test_more_states_than_one_chunk(visible, hidden):
    energy = BernoulliRBM(*parts(visible, hidden, 0.5))
    x, table = joint(*parts(visible, hidden, 0.5))
    marginal = table.sum(1)
    np.testing.assert_allclose(energy.log_z, np.log(marginal.sum()), rtol=1e-6)
    np.testing.assert_allclose(energy.mean, marginal @ x / marginal.sum(), rtol=1e-4)


@pytest.mark.parametrize(("visible", "hidden"), [(3, 5), (3, 2)])
def test_exact_samples_have_the_probabilities_of_the_states(visible, hidden, getkey):
    energy = BernoulliRBM(*parts(visible, hidden))
    keys = jax.random.split(getkey(), 20_000)
    draws = np.asarray(jax.jit(jax.vmap(lambda key: energy.sample(key=key)))(keys))
    assert set(np.unique(draws)) == {0.0, 1.0}
    x, table = joint(*parts(visible, hidden))
    expected = table.sum(1) / table.sum()
    counts = np.bincount((draws @ [4, 2, 1]).astype(int), minlength=8)
    assert np.array_equal(x @ [4, 2, 1], np.arange(8))
    assert scipy.stats.chisquare(counts, len(draws) * expected).pvalue > 1e-4


@pytest.mark.slow
def test_twenty_hidden_units_and_an_image_of_visible_ones(getkey):
    # 2^784 states cannot be summed, but hidden units without weights can
    weight, visible_bias, hidden_bias = parts(784, 20, 0.3)
    weight[:, 3:] = 0.0
    energy = BernoulliRBM(weight, visible_bias, hidden_bias)
    rest = np.logaddexp(0.0, hidden_bias[3:]).sum()
    h = states(3)
    log = h @ hidden_bias[:3] + np.logaddexp(0.0, visible_bias + h @ weight[:, :3].T).sum(1)
    np.testing.assert_allclose(energy.log_z, np.logaddexp.reduce(log) + rest, rtol=1e-6)
    p = np.exp(log - np.logaddexp.reduce(log))
    mean = p @ (1 / (1 + np.exp(-(visible_bias + h @ weight[:, :3].T))))
    np.testing.assert_allclose(energy.mean, mean, atol=1e-4)
    x = energy.sample(key=getkey())
    assert abs(float(np.mean(x - mean))) < 5 * 0.5 / np.sqrt(784)


def test_more_than_22_units_on_both_sides_are_refused():
    energy = BernoulliRBM(*parts(23, 24))
    assert np.isfinite(energy(jnp.ones(23)))
    for call in (lambda: energy.log_z, lambda: energy.mean, lambda: energy.variance):
        with pytest.raises(ValueError, match=r"weight\.shape=\(23, 24\): .*22 units"):
            call()


def test_the_normaliser_has_the_gradient_of_maximum_likelihood():
    # d log Z / d b = mean
    weight, visible_bias, hidden_bias = parts(3, 2)
    slope = jax.grad(lambda b: BernoulliRBM(weight, b, hidden_bias).log_z)(visible_bias)
    mean = BernoulliRBM(weight, visible_bias, hidden_bias).mean
    np.testing.assert_allclose(slope, mean, rtol=1e-5)
