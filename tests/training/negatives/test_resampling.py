"""Chains drawn by their weights: when, as even as can be, without bias, and none of weight zero."""

import functools

import jax
import jax.numpy as jnp
import moves
import numpy as np
import pytest
import scipy.special
from helpers import assert_mean
from hypothesis import given
from hypothesis import strategies as st
from moves import affine, values
from weighted_chains import NOWHERE, WIDE, X, population, step, weighted

from ebmx.training import Jarzynski
from ebmx.training.negatives._jarzynski import Populations, systematic


@functools.partial(jax.jit, static_argnums=1)
def drawn(weights, num, key):
    return systematic(weights, num, key=key)


@given(
    seed=st.integers(0, 2**31 - 1),
    num_weights=st.sampled_from([3, 50]),
    num=st.sampled_from([7, 64]),
    alpha=st.sampled_from([0.1, 1.0, 50.0]),
)
def test_each_comes_as_often_as_its_weight_says(seed, num_weights, num, alpha):
    weights = np.random.default_rng(seed).dirichlet(np.full(num_weights, alpha))
    index = drawn(jnp.asarray(weights, jnp.float32), num, jax.random.key(seed))
    assert index.shape == (num,)
    counts = np.bincount(index, minlength=num_weights)
    assert counts.shape == (num_weights,)
    assert np.all(counts >= np.floor(num * weights - 1e-4))
    assert np.all(counts <= np.ceil(num * weights + 1e-4))


def test_draws_are_unbiased(getkey):
    weights = np.array([0.05, 0.4, 0.0, 0.33, 0.22])
    draw = jax.jit(jax.vmap(lambda key: systematic(jnp.asarray(weights), 4, key=key)))
    index = np.asarray(draw(jax.random.split(getkey(), 4000)))
    counts = (index[:, :, None] == np.arange(5)).sum(1)
    assert_mean(counts, 4 * weights)
    assert counts[:, 2].sum() == 0


@pytest.mark.parametrize("u", [0.0, 1 - 2**-24])
@pytest.mark.parametrize("total", [1 - 1e-4, 1 + 1e-4])
def test_no_weight_is_never_drawn_however_numbers_round(u, total, monkeypatch):
    monkeypatch.setattr(
        "jax.random.uniform", lambda key, shape, dtype: jnp.full(shape, u, jnp.float32)
    )
    weights = jnp.array([0.0, 0.5, 0.0, 0.5, 0.0]) * total
    index = systematic(weights, 6, key=jax.random.key(0))
    counts = np.bincount(index, minlength=5)
    np.testing.assert_array_equal(counts[[0, 2, 4]], 0)
    assert abs(int(counts[1]) - 3) <= 1


def test_chains_are_resampled_below_the_threshold_and_not_above(getkey):
    state, key = population([0.0, 0.0, 0.0, -9.0, -9.0, -9.0, -9.0, -9.0]), getkey()
    share = float(state.training.effective_fraction)
    np.testing.assert_allclose(share, 3 / 8, rtol=0.01)
    _, above = step(WIDE, state, key, resample_below=share - 0.01)
    np.testing.assert_array_equal(above.positions, X)
    np.testing.assert_allclose(above.log_weights, state.training.log_weights, atol=1e-6)
    _, below = step(WIDE, state, key, resample_below=share + 0.01)
    np.testing.assert_array_equal(below.log_weights, 0)
    np.testing.assert_allclose(below.effective_fraction, 1)
    kept = (np.asarray(below.positions)[:, None] == np.asarray(X)[:3]).all(-1).sum(0)
    assert sorted(kept) == [2, 3, 3]
    np.testing.assert_allclose(below.last_energies, values(WIDE, below.positions), rtol=1e-6)
    for chains in (above, below):
        np.testing.assert_allclose(chains.log_z, state.training.log_z, rtol=1e-5)
    assert (int(above.resamplings), int(below.resamplings)) == (2, 3)


@pytest.mark.parametrize("num", [5, 40])
def test_negatives_can_be_drawn_by_weight(num, getkey):
    state = population([0.0, 1.0, -9.0, -np.inf, 0.5, 0.0, -np.inf, 0.2])
    out, chains = step(WIDE, state, getkey(), num_negatives=num, resample_below=0.0)
    assert out.x.shape == (num, 2)
    found = (np.asarray(out.x)[:, None] == np.asarray(X)).all(-1)
    assert np.all(found.sum(1) == 1)
    expected = num * scipy.special.softmax(np.asarray(chains.log_weights, np.float64))
    assert np.all(np.abs(found.sum(0) - expected) < 1 + 1e-5)
    assert found[:, [3, 6]].sum() == 0


def test_energies_go_with_the_positions_that_are_drawn(getkey):
    # energies that are not finite do not replace them
    _, chains = step(NOWHERE, population([3.0, 2.0] + [0.0] * 6), getkey(), resample_below=1.0)
    assert len(np.unique(chains.positions)) < 16
    np.testing.assert_array_equal(chains.log_weights, 0)
    np.testing.assert_allclose(chains.last_energies, values(WIDE, chains.positions), rtol=1e-6)


def test_each_population_is_drawn_by_its_own_weights(getkey):
    light = [0.0] * 3 + [-np.inf] * 5
    for first, second in ((light, np.zeros(8)), (np.zeros(8), light), (light, light[::-1])):
        state = Populations(weighted(first), weighted(second, x=-X), jnp.array(0.0))
        negatives = Jarzynski(affine(), 1, 8, 8, resample_below=0.9)
        _, after, _ = moves.step(negatives, WIDE, X, state, getkey())
        for chains, before in ((after.training, state.training), (after.held_out, state.held_out)):
            uneven = np.any(np.isinf(before.log_weights))
            assert int(chains.resamplings) == 2 + uneven
            np.testing.assert_allclose(chains.log_z, before.log_z, rtol=1e-5)
            np.testing.assert_allclose(chains.log_weights, np.zeros(8), atol=1e-6)
            found = np.asarray(chains.positions)[:, None] == np.asarray(before.positions)
            counts = found.all(-1).sum(0)
            want = 8 * scipy.special.softmax(np.asarray(before.log_weights, np.float64))
            assert np.all(np.abs(counts - want) < 1)
