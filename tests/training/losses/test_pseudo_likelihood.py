"""Losses on single sites, against sums over all states of tables of energies."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_mean
from tables import Table, one_hot, states

from ebmx.energies import BernoulliRBM
from ebmx.training import (
    DiscreteNeighbours,
    Examples,
    FlippedTwice,
    energy_discrepancy_loss,
    minimum_probability_flow_loss,
    pseudo_likelihood_loss,
    ratio_matching_loss,
)

SITES = {"bits": (2, 2, 2), "six bits": (2,) * 6, "categories": (3, 3)}
each = pytest.mark.parametrize("name", SITES)


def conditionals(p):
    """For each site `p(xᵢ | x₋ᵢ)` of all states, with the axis of the site as it is."""
    return [p / p.sum(i, keepdims=True) for i in range(p.ndim)]


def pseudo_likelihood(data, model):
    return sum(-np.sum(data * np.log(c)) for c in conditionals(model))


def ratio_matching(data, model):
    total = 0.0
    for i, c in enumerate(conditionals(model)):
        c, p = np.moveaxis(c, i, -1), np.moveaxis(data, i, -1)
        scores = ((np.eye(c.shape[-1]) - c[..., None, :]) ** 2).sum(-1) / 2
        total += np.sum(p * scores)
    return total


LOSSES = {
    "pseudo-likelihood": (pseudo_likelihood_loss, pseudo_likelihood),
    "ratio matching": (ratio_matching_loss, ratio_matching),
}
by_loss = pytest.mark.parametrize("loss", LOSSES)


def categorical_of(name):
    return name == "categories"


def random_table(name, seed):
    return np.random.default_rng(seed).normal(size=SITES[name])


def probabilities(table):
    p = np.exp(-table.astype(np.float64))
    return p / p.sum()


def weighted(name, p):
    """All states, with their probabilities as weights: means over them are exact."""
    x = states(SITES[name], categorical_of(name))
    return Examples(x, None, jnp.asarray(np.log(p).reshape(-1), jnp.float32))


def loss_of(name, loss):
    function = LOSSES[loss][0] if loss in LOSSES else loss
    options = {} if function is minimum_probability_flow_loss else {
        "categorical": categorical_of(name)
    }  # fmt: skip
    return eqx.Partial(function, **options)


@eqx.filter_jit
def value_of(loss, source, table, examples, key):
    negatives, _, _ = source.step(None, examples, None, key=key)
    return loss(Table(table, source.categorical), examples, negatives)[0]


@eqx.filter_jit
def gradient_of(loss, source, table, examples, key):
    return jax.grad(lambda t: value_of(loss, source, t, examples, key))(table)


@each
@by_loss
def test_values_are_those_of_sums_over_all_states(name, loss, getkey):
    data, table = probabilities(random_table(name, 0)), random_table(name, 1)
    source = DiscreteNeighbours(categorical=categorical_of(name))
    arguments = jnp.asarray(table, jnp.float32), weighted(name, data), getkey()
    found = value_of(loss_of(name, loss), source, *arguments)
    want = LOSSES[loss][1](data, probabilities(table))
    np.testing.assert_allclose(found, want, rtol=1e-5)


@each
@pytest.mark.parametrize("loss", [*LOSSES, minimum_probability_flow_loss])
def test_the_gradient_is_zero_at_the_truth_alone(name, loss, getkey):
    table = jnp.asarray(random_table(name, 2), jnp.float32)
    examples = weighted(name, probabilities(np.asarray(table)))
    source = DiscreteNeighbours(categorical=categorical_of(name))
    at_truth = gradient_of(loss_of(name, loss), source, table, examples, getkey())
    np.testing.assert_allclose(at_truth, 0.0, atol=2e-6)
    beside = gradient_of(loss_of(name, loss), source, 0.9 * table, examples, getkey())
    assert np.max(np.abs(beside)) > 1e-3


def trained(name, loss, source, table, learning_rate, num_steps, key):
    """The table after training on all states by their probabilities, from zero."""
    examples, optim = weighted(name, probabilities(table)), optax.adam(learning_rate)

    @jax.jit
    def train(key):
        def step(carry, key):
            now, state = carry
            value = lambda t: value_of(loss, source, t, examples, key)  # noqa: E731
            updates, state = optim.update(jax.grad(value)(now), state)
            return (optax.apply_updates(now, updates), state), None

        start = jnp.zeros(table.shape)
        keys = jax.random.split(key, num_steps)
        return jax.lax.scan(step, (start, optim.init(start)), keys)[0][0]

    return probabilities(np.asarray(train(key)))


@pytest.mark.parametrize("name", ["bits", "categories"])
@by_loss
def test_training_recovers_the_distribution(name, loss, getkey):
    table = 0.7 * random_table(name, 3)
    source = DiscreteNeighbours(categorical=categorical_of(name))
    found = trained(name, loss_of(name, loss), source, table, 0.03, 2000, getkey())
    np.testing.assert_allclose(found, probabilities(table), atol=1e-3)


@pytest.mark.medium
@pytest.mark.parametrize("name", ["bits", "categories"])
def test_energy_discrepancy_recovers_the_distribution(name, getkey):
    table = 0.7 * random_table(name, 4)
    source = FlippedTwice(0.3, 256, categorical=categorical_of(name))
    loss = eqx.Partial(energy_discrepancy_loss, stabilise=jnp.asarray(0.0))
    found = trained(name, loss, source, table, 0.01, 1000, getkey())
    np.testing.assert_allclose(found, probabilities(table), atol=0.02)
    assert np.max(np.abs(probabilities(table) - 1 / table.size)) > 0.05


@each
@by_loss
def test_random_sites_are_right_in_the_mean(name, loss, getkey):
    data, table = probabilities(random_table(name, 5)), random_table(name, 6)
    source = DiscreteNeighbours(1, categorical=categorical_of(name))
    examples, table = weighted(name, data), jnp.asarray(table, jnp.float32)
    one = lambda key: value_of(loss_of(name, loss), source, table, examples, key)  # noqa: E731
    values = jax.jit(jax.vmap(one))(jax.random.split(getkey(), 2000))
    assert np.std(values) > 1e-3
    assert_mean(values, LOSSES[loss][1](data, probabilities(np.asarray(table))), 4.0)


@by_loss
def test_as_many_sites_as_there_are_is_exact(loss, getkey):
    table = jnp.asarray(random_table("bits", 7), jnp.float32)
    examples = Examples(states((2, 2, 2), False))
    every, all_of_them = (
        value_of(loss_of("bits", loss), DiscreteNeighbours(num), table, examples, getkey())
        for num in (None, 3)
    )
    np.testing.assert_allclose(every, all_of_them, rtol=1e-6)


@by_loss
def test_two_categories_are_a_bit(loss, getkey):
    table = jnp.asarray(random_table("bits", 8), jnp.float32)
    bits = states((2, 2, 2), False)
    one, other = (
        value_of(
            eqx.Partial(LOSSES[loss][0], categorical=categorical),
            DiscreteNeighbours(categorical=categorical),
            table,
            Examples(one_hot(bits, 2) if categorical else bits),
            getkey(),
        )
        for categorical in (False, True)
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_the_pseudo_likelihood_of_a_machine_is_that_of_its_units(getkey):
    rng = np.random.default_rng(0)
    weight, visible, hidden = rng.normal(size=(6, 2)), rng.normal(size=(2, 3)), rng.normal(size=2)
    x = rng.integers(0, 2, (5, 2, 3)).astype(np.float32)

    def free_energy(x):
        return (
            -x.reshape(-1) @ visible.reshape(-1)
            - np.log1p(np.exp(hidden + x.reshape(-1) @ weight)).sum()
        )

    want = 0.0
    for one in x:
        for site in np.ndindex(2, 3):
            other = one.copy()
            other[site] = 1 - other[site]
            want += np.log1p(np.exp(free_energy(one) - free_energy(other))) / 5
    examples = Examples(jnp.asarray(x))
    negatives, _, _ = DiscreteNeighbours().step(None, examples, None, key=getkey())
    machine = BernoulliRBM(weight, visible, hidden)
    found, metrics = eqx.filter_jit(pseudo_likelihood_loss)(machine, examples, negatives)
    np.testing.assert_allclose(found, want, rtol=1e-5)
    assert metrics == {}


@by_loss
def test_neighbours_that_are_no_whole_sites_are_refused(loss):
    x = one_hot(states((3, 3), True).argmax(-1), 3)
    few, many = Examples(jnp.concatenate([x] * 3)), Examples(x[:-1])
    function = LOSSES[loss][0]
    with pytest.raises(ValueError, match=r"negatives\.shape=\(27, 2, 3\): give 2 for each site"):
        function(jnp.sum, Examples(x), few, categorical=True)
    with pytest.raises(ValueError, match=r"negatives\.shape=\(8,\): give a multiple of the 9"):
        function(jnp.sum, Examples(x), many)
