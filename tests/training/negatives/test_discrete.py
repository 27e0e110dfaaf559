"""Negatives of discrete data: which neighbours there are, and how likely each change is."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import one_hot, states

from ebmx.training import DiscreteNeighbours, Examples, FlippedTwice

NUM = 20_000


@eqx.filter_jit
def step(source, examples, key):
    negatives, state, info = source.step(None, examples, None, key=key)
    assert state is None
    assert info is None
    return negatives


def bits(num=5, shape=(3, 2)):
    x = np.random.default_rng(0).integers(0, 2, (num, *shape))
    return Examples(jnp.asarray(x, float), jnp.arange(num), jnp.linspace(0.0, 1.0, num))


def categories(num=5, sites=(2, 2), values=4):
    index = np.random.default_rng(0).integers(0, values, (num, *sites))
    return Examples(one_hot(index, values), jnp.arange(num), jnp.linspace(0.0, 1.0, num))


def test_all_neighbours_of_bits_are_one_flip_away_each(getkey):
    examples = bits()
    out = step(DiscreteNeighbours(), examples, getkey())
    changed = np.asarray(out.x).reshape(6, 5, 6) != np.asarray(examples.x).reshape(1, 5, 6)
    np.testing.assert_array_equal(
        changed, np.broadcast_to(np.eye(6, dtype=bool)[:, None], (6, 5, 6))
    )
    assert set(np.unique(out.x)) == {0.0, 1.0}
    np.testing.assert_array_equal(out.y, np.tile(examples.y, 6))
    np.testing.assert_array_equal(out.log_weights, np.tile(examples.log_weights, 6))


def test_a_chosen_site_takes_all_other_categories(getkey):
    examples = categories()
    source = DiscreteNeighbours(3, categorical=True)
    out = step(source, examples, getkey())
    assert out.x.shape == (3 * 3 * 5, 2, 2, 4)
    np.testing.assert_array_equal(np.sum(out.x, -1), 1.0)
    old = np.asarray(examples.x).argmax(-1).reshape(5, 4)
    new = np.asarray(out.x).argmax(-1).reshape(3, 3, 5, 4)
    changed = new != old
    # the same site for all three values, and another site next
    np.testing.assert_array_equal(changed.sum(-1), 1)
    sites = changed.argmax(-1)
    assert np.all(sites == sites[:, :1])
    for example in range(5):
        chosen = sites[:, 0, example]
        assert len(set(chosen)) == 3
        for row, site in enumerate(chosen):
            values = {int(old[example, site]), *new[row, :, example, site].tolist()}
            assert values == {0, 1, 2, 3}


def test_random_sites_are_all_equally_likely_and_each_example_has_its_own(getkey):
    examples = Examples(jnp.zeros((NUM, 5)))
    out = step(DiscreteNeighbours(2), examples, getkey())
    flips = np.asarray(out.x).reshape(2, NUM, 5)
    np.testing.assert_array_equal(flips.sum(-1), 1)
    assert np.max(flips.sum(0)) == 1
    for row in flips:
        counts = row.sum(0)
        np.testing.assert_array_less(np.abs(counts - NUM / 5), 4.5 * np.sqrt(NUM * 4 / 25))


def kernel(sizes, probability):
    """The probability of each state to become each other one in a change."""
    index = np.asarray(states(sizes, False)).astype(int)
    same = index[:, None] == index[None]
    others = np.array(sizes) - 1
    return np.prod(np.where(same, 1 - probability, probability / others), -1)


@pytest.mark.parametrize(("sizes", "categorical"), [((2, 2, 2), False), ((3, 3), True)])
def test_two_negatives_of_an_example_have_the_probabilities_of_all_states(
    sizes, categorical, getkey
):
    """`P(a, b | x) = Σ_z K(x, z) K(z, a) K(z, b)`, where `z` is common to both."""
    every, probability = states(sizes, categorical), 0.3
    start = 5
    x = Examples(jnp.broadcast_to(every[start][None], (NUM, *every.shape[1:])))
    source = FlippedTwice(probability, 2, categorical)
    out = np.asarray(step(source, x, getkey()).x).reshape(2, NUM, *every.shape[1:])
    index = out.argmax(-1) if categorical else out.astype(int)
    flat = np.ravel_multi_index(np.moveaxis(index, -1, 0), sizes)
    num = len(every)
    counts = np.bincount(flat[0] * num + flat[1], minlength=num**2).reshape(num, num)
    k = kernel(sizes, probability)
    p = np.einsum("z,za,zb->ab", k[start], k, k)
    np.testing.assert_allclose(p.sum(), 1.0)
    assert np.all(np.abs(counts / NUM - p) < 5 * np.sqrt(p * (1 - p) / NUM) + 1e-9)


def test_changed_examples_stay_in_the_order_of_the_data(getkey):
    examples = categories(3)
    out = step(FlippedTwice(1e-6, 4, categorical=True), examples, getkey())
    np.testing.assert_array_equal(out.x, np.tile(examples.x, (4, 1, 1, 1)))
    np.testing.assert_array_equal(out.y, np.tile(examples.y, 4))


BAD = {
    "sites": (lambda: DiscreteNeighbours(0), "num_sites=0: give a Python integer of at least 1"),
    "too many": (
        lambda: DiscreteNeighbours(7).step(None, bits(), None, key=jax.random.key(0)),
        r"num_sites=7: examples of shape \(3, 2\) have 6 sites: give at most as many",
    ),
    "never": (lambda: FlippedTwice(0.0), "flip_probability=0.*: give a probability between 0 and"),
    "above": (lambda: FlippedTwice(1.5), "flip_probability=1.5: give a probability, in"),
    "negatives": (lambda: FlippedTwice(0.1, 0), "num_negatives=0: give a Python integer"),
    "one category": (
        lambda: DiscreteNeighbours(categorical=True).step(
            None, Examples(jnp.ones((2, 3, 1))), None, key=jax.random.key(0)
        ),
        r"x\.shape=\('batch', 3, 1\): categories are one-hot along the last axis",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        call()
