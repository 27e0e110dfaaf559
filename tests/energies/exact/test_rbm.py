"""The restricted Boltzmann machine against all its states, one by one in NumPy."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from reference import answers, exact_samples

from ebmx.energies import BernoulliRBM

# fewer visible units, fewer hidden ones, and more states than one chunk of the sum
SIZES = [(3, 5), (3, 2), (11, 12), (12, 11)]


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
    x, table = joint(*parts(visible, hidden, 2 / np.sqrt(hidden)))
    marginal = table.sum(1)
    with jax.enable_x64(True):
        energy = BernoulliRBM(*parts(visible, hidden, 2 / np.sqrt(hidden)))
        got, log_z, mean, variance = answers(energy, x)
    np.testing.assert_allclose(got, -np.log(marginal), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(log_z, np.log(marginal.sum()), rtol=1e-7)
    truth = marginal @ x / marginal.sum()
    np.testing.assert_allclose(mean, truth, rtol=1e-6)
    np.testing.assert_allclose(variance, truth * (1 - truth), rtol=1e-6)


@pytest.mark.parametrize(("visible", "hidden"), SIZES[:2])
def test_exact_samples_have_the_probabilities_of_the_states(visible, hidden):
    energy = BernoulliRBM(*parts(visible, hidden))
    keys = jax.random.split(jax.random.key(1), 20_000)
    draws = np.asarray(exact_samples(energy, keys))
    assert set(np.unique(draws)) == {0.0, 1.0}
    x, table = joint(*parts(visible, hidden))
    expected = table.sum(1) / table.sum()
    counts = np.bincount((draws @ [4, 2, 1]).astype(int), minlength=8)
    assert np.array_equal(x @ [4, 2, 1], np.arange(8))
    assert scipy.stats.chisquare(counts, len(draws) * expected).pvalue > 1e-4


@pytest.mark.medium
def test_hidden_units_are_summed_where_states_of_visible_ones_cannot_be(getkey):
    # 2^64 states cannot be summed, but hidden units without weights can
    weight, visible_bias, hidden_bias = parts(64, 14, 0.3)
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
    assert abs(float(np.mean(x - mean))) < 5 * 0.5 / np.sqrt(64)


def test_more_than_22_units_on_both_sides_are_refused():
    energy = BernoulliRBM(*parts(23, 24))
    assert np.isfinite(energy(jnp.ones(23)))
    for call in (lambda: energy.log_z, lambda: energy.mean, lambda: energy.variance):
        with pytest.raises(ValueError, match=r"weight\.shape=\(23, 24\): .*22 units"):
            call()


def test_the_normaliser_has_the_gradients_of_maximum_likelihood():
    # d log Z / d b = E[x], d log Z / d c = E[h], d log Z / d W = E[x hᵀ]
    numbers = parts(3, 2)
    _, table = joint(*numbers)
    x, h, p = states(3), states(2), table / table.sum()
    slopes = eqx.filter_jit(eqx.filter_grad(lambda energy: energy.log_z))(BernoulliRBM(*numbers))
    np.testing.assert_allclose(slopes.visible_bias, p.sum(1) @ x, rtol=1e-5)
    np.testing.assert_allclose(slopes.hidden_bias, p.sum(0) @ h, rtol=1e-5)
    np.testing.assert_allclose(slopes.weight, x.T @ p @ h, rtol=1e-5)


@pytest.mark.medium
def test_examples_may_have_a_shape():
    weight, visible_bias, hidden_bias = parts(6, 3)
    flat = BernoulliRBM(weight, visible_bias, hidden_bias)
    images = BernoulliRBM(weight, visible_bias.reshape(2, 3, 1), hidden_bias)
    assert images.shape == (2, 3, 1)
    x = states(6).astype(np.float32)
    found = jax.vmap(images)(x.reshape(-1, 2, 3, 1))
    np.testing.assert_allclose(found, jax.vmap(flat)(x), rtol=1e-6)
    np.testing.assert_allclose(images.log_z, flat.log_z, rtol=1e-6)
    np.testing.assert_allclose(images.mean.reshape(-1), flat.mean, rtol=1e-5)
    key = jax.random.key(2)
    np.testing.assert_array_equal(images.sample(key=key).reshape(-1), flat.sample(key=key))


@pytest.mark.parametrize("bias", [np.zeros((2, 2)), np.zeros(()), np.zeros((3, 3))])
def test_a_visible_bias_of_another_size_is_refused(bias):
    with pytest.raises(ValueError, match=r"^visible_bias\.shape=.*give \(6,\), or 6 entries"):
        BernoulliRBM(np.ones((6, 2)), bias, np.zeros(2))
