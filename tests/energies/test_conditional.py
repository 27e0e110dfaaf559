"""Energies under labels and conditions: alone, one for each example, and one for each chain."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import conditional, points
from reference import ACTIVATIONS, assert_initial_numbers_differ, filled, numpy_dense

import ebmx
from ebmx.energies import (
    MLP,
    AbstractConditionalEnergy,
    Conditional,
    Gaussian,
    Marginal,
    ResNet,
)
from ebmx.samplers import MALA, Langevin, run, sample
from ebmx.samplers._run import PerChain

silu = ACTIVATIONS["silu"]
X = points(4, (2,))
LABELS = np.array([2, 0, 1, 0])
REALS = np.array([[0.5, -1.0], [2.0, 0.0], [-1.0, 1.0], [0.0, 0.3]], np.float32)
KINDS = {
    "labels-projection": ({"num_labels": 3}, LABELS),
    "labels-embedding": ({"num_labels": 3, "head": "embedding"}, LABELS),
    "reals-projection": ({"condition_dim": 2}, REALS),
    "reals-embedding": ({"condition_dim": 2, "head": "embedding"}, REALS),
}
each_kind = pytest.mark.parametrize(("options", "y"), KINDS.values(), ids=KINDS)


def numpy_conditional(energy, x, y):
    """The energy of one example under one condition."""
    features = silu(numpy_dense(energy.network.layers, silu, x))
    if energy.num_labels is None:
        condition = numpy_dense(energy.embedding, silu, y)
    else:
        condition = np.asarray(energy.embedding, np.float64)[y]
    if energy.head == "embedding":
        return numpy_dense(energy.layers, silu, np.concatenate([features, silu(condition)]))[0]
    own = numpy_dense(energy.layers, silu, features)[0]
    return own + condition[:-1] @ features + condition[-1]


def make(**options):
    return filled(lambda key: conditional(key, **options))


@eqx.filter_jit
def in_all_ways(energy, x, y):
    """Energies and gradients of examples under conditions of their own, then of the first one's."""
    each, first = energy.at_each(y), energy.at(y[0])
    assert each.shape == first.shape == energy.shape
    own = jax.vmap(jax.value_and_grad(energy))(x, y)
    return own, (ebmx.energy(each, x), -ebmx.score(each, x)), (jax.vmap(first)(x), first(x[0]))


@each_kind
def test_energies_under_conditions_are_those_of_numpy(options, y):
    energy = make(**options)
    (values, slopes), each, (first, alone) = in_all_ways(energy, X, y)
    truth = [numpy_conditional(energy, *pair) for pair in zip(np.asarray(X), y, strict=True)]
    np.testing.assert_allclose(values, truth, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(each[0], values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(each[1], slopes, rtol=1e-5, atol=1e-6)
    truth = [numpy_conditional(energy, x, y[0]) for x in np.asarray(X)]
    np.testing.assert_allclose(first, truth, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alone, truth[0], rtol=1e-4, atol=1e-5)


def test_initial_numbers_are_independent():
    # the embedding has the scale of features that add up to one, and no key is used twice
    @eqx.filter_jit
    def made(key):
        energy = Conditional(MLP((2,), (), out_size=16, key=key), num_labels=500, key=key)
        reals = [conditional(key, condition_dim=4, head=h) for h in ("projection", "embedding")]
        return energy.embedding, [(e.network.layers, e.embedding, e.layers) for e in reals]

    embedding, reals = made(jax.random.key(3))
    assert embedding.shape == (500, 17)
    np.testing.assert_allclose(np.std(embedding), 0.25, rtol=0.05)
    for parts in reals:
        assert_initial_numbers_differ(parts)


def test_conditions_on_the_features_of_a_residual_network():
    def build(key):
        network = ResNet((4, 3, 1), (2,), out_size=5, key=key)
        return Conditional(network, num_labels=2, key=key)

    energy = eqx.filter_eval_shape(build, jax.random.key(0))
    assert energy.shape == (4, 3, 1)
    assert energy.embedding.shape == (2, 6)
    out = eqx.filter_eval_shape(lambda energy, x: energy(x, 1), energy, jnp.ones((4, 3, 1)))
    assert out.shape == ()


class Springs(AbstractConditionalEnergy):
    """A Gaussian around `y`, narrower in the second coordinate."""

    shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    condition_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    num_labels: int | None = eqx.field(static=True, default=None)

    def __call__(self, x, y):
        return 0.5 * jnp.sum((x - y) ** 2 * jnp.array([1.0, 4.0]))


def test_each_chain_runs_under_its_condition(getkey):
    energy, sampler, keys = Springs(), Langevin(0.1), jax.random.split(getkey(), 4)
    together, info = run(energy.at_each(REALS), sampler, X, num_steps=3, key=keys)
    for i in (0, 3):
        alone, one = run(energy.at(REALS[i]), sampler, X, num_steps=3, key=keys)
        np.testing.assert_allclose(together[i], alone[i], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(info.energy[i], one.energy[i], rtol=1e-5, atol=1e-6)
        assert not np.allclose(np.delete(alone - together, i, 0), 0, atol=1e-3)


@pytest.mark.medium
def test_samples_of_each_chain_are_those_of_its_condition(getkey):
    conditions = np.repeat(REALS, 300, axis=0)
    start = jnp.zeros((1_200, 2))
    draws = sample(
        Springs().at_each(conditions), MALA(0.3), start, num_warmup=30, num_samples=2, key=getkey()
    )
    of_condition = np.asarray(draws.values[:, -1]).reshape(4, 300, 2)
    errors = np.array([1.0, 0.5]) / np.sqrt(300)
    assert np.all(np.abs(of_condition.mean(1) - REALS) < 5 * errors)
    np.testing.assert_allclose(of_condition.var(1).mean(0), [1.0, 0.25], rtol=0.2)


@pytest.mark.medium
def test_chains_have_conditions_and_samplers_of_their_own(getkey):
    energy, keys = Springs(), jax.random.split(getkey(), 4)
    steps = jnp.array([0.05, 0.1, 0.2, 0.4])
    own = PerChain(eqx.filter_vmap(Langevin)(steps))
    draw = {"num_warmup": 1, "num_samples": 2, "key": keys}
    together, _ = run(energy.at_each(REALS), own, X, num_steps=2, key=keys)
    samples = sample(energy.at_each(REALS), own, X, **draw)
    for i in (0, 3):
        rows, alone = slice(i, i + 1), Langevin(steps[i])
        one, _ = run(energy.at(REALS[i]), alone, X[rows], num_steps=2, key=keys[rows])
        np.testing.assert_allclose(together[rows], one, rtol=1e-5, atol=1e-6)
        want = sample(energy.at(REALS[i]), alone, X[rows], **draw | {"key": keys[rows]})
        np.testing.assert_allclose(samples.values[rows], want.values, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"y\.shape=\(3, 2\): there are 4 examples"):
        run(energy.at_each(REALS[:3]), own, X, num_steps=2, key=keys)
    with pytest.raises(ValueError, match=r"x\.shape=\(3, 2\): the sampler was tuned for other"):
        run(energy.at_each(REALS[:3]), own, X[:3], num_steps=2, key=keys[:3])


def test_a_traced_label_out_of_range_is_nan():
    energy = make()

    @jax.jit
    def values(y):
        return jnp.stack([energy.at(label)(X[0]) for label in y]), ebmx.energy(energy.at_each(y), X)

    for got in values(np.array([-1, 0, 2, 3])):
        np.testing.assert_array_equal(np.isnan(got), [True, False, False, True])


def test_labels_of_any_whole_numbers_are_taken():
    energy = make()
    for y in (2, np.uint8(2), np.int64(2), jnp.asarray(2, jnp.int16)):
        assert int(energy.at(y).y) == 2


def test_training_leaves_conditions_alone():
    energy = make(condition_dim=2).at(REALS[0])
    slope = eqx.filter_jit(eqx.filter_grad(lambda energy: energy(X[0])))(energy)
    np.testing.assert_array_equal(slope.y, np.zeros(2))
    assert float(jnp.max(jnp.abs(slope.energy.embedding[0].weight))) > 1e-4


def test_the_marginal_sums_over_labels():
    energy = make()
    marginal = Marginal(energy)
    single = [[numpy_conditional(energy, x, y) for y in range(3)] for x in np.asarray(X)]
    np.testing.assert_allclose(
        ebmx.energy(marginal, X), -np.log(np.exp(-np.array(single)).sum(1)), rtol=1e-4, atol=1e-5
    )
    assert (marginal.shape, marginal.num_labels) == ((2,), 3)
    with pytest.raises(ValueError, match=r"energy=\w+: give a conditional energy with labels"):
        Marginal(make(condition_dim=2))
    with pytest.raises(ValueError, match="energy=Gaussian: give a conditional energy"):
        Marginal(Gaussian(np.zeros(2)))
