"""Chains drawn by their weights: as even as can be, without bias, and none of weight zero."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_mean
from hypothesis import given
from hypothesis import strategies as st

from ebmx.training.negatives._jarzynski import systematic


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
