"""Energies over noise levels: networks, the known highest level, labels, sums and mixtures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import conditional
from noise_levels import LEVELS, labelled, noisy_mixture

import ebmx
from ebmx.energies import (
    MLP,
    ConvNet,
    FourierFeatures,
    NoiseConditional,
    NoiseLevels,
    NoiseMixture,
    ResNet,
    cosine_levels,
    geometric_levels,
)

KEY = jax.random.key(0)
COVARIANCE = np.array([[1.5, 0.4], [0.4, 0.8]])
IMAGE = (4, 4, 1)


def perceptron(head="linear", features=None, **options):
    out_size = "scalar" if head == "linear" else 2
    shape = (2,) if features is None else (2 + features.size,)
    network = MLP(shape, (8,), out_size=out_size, condition_size=6, key=KEY)
    settings = {"mean": jnp.array([0.5, -0.2]), "covariance": COVARIANCE, "head": head} | options
    return NoiseConditional(network, LEVELS, features=features, **settings, key=KEY)


ENERGIES = {
    "linear": lambda: perceptron(),
    "inner": lambda: perceptron("inner"),
    "squared": lambda: perceptron("squared"),
    "waves": lambda: perceptron(features=FourierFeatures((2,), 5, key=KEY)),
    "convnet": lambda: NoiseConditional(
        ConvNet(IMAGE, (3,), hidden_dims=(5,), condition_size=6, key=KEY), LEVELS, key=KEY
    ),
    "convnet, inner": lambda: NoiseConditional(
        ConvNet(IMAGE, (3,), out_size=16, condition_size=6, key=KEY),
        LEVELS, covariance=np.full(IMAGE, 0.5), head="inner", key=KEY,
    ),
    "resnet": lambda: NoiseConditional(
        ResNet(IMAGE, (3,), condition_size=6, key=KEY), LEVELS, covariance=np.eye(16), key=KEY
    ),
}  # fmt: skip


@pytest.fixture(params=ENERGIES)
def energy(request):
    """With weights at random: those of a new network leave the condition out."""
    made = ENERGIES[request.param]()
    arrays, rest = eqx.partition(made.network, eqx.is_inexact_array)
    leaves, tree = jax.tree.flatten(arrays)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [0.5 * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    network = eqx.combine(jax.tree.unflatten(tree, leaves), rest)
    return eqx.tree_at(lambda e: e.network, made, network)


def test_the_highest_level_is_the_known_gaussian(energy):
    high = LEVELS.sigma[-1]
    x = 5 * jax.random.normal(jax.random.key(2), (20, *energy.shape))
    top = energy.top
    expected = scipy.stats.multivariate_normal(
        np.ravel(top.mean), np.asarray(top.covariance, np.float64)
    ).logpdf(np.asarray(x).reshape(20, -1))
    np.testing.assert_allclose(-ebmx.energy(energy.at(high), x), expected, rtol=1e-4, atol=1e-3)
    low = ebmx.energy(energy.at(LEVELS.sigma[0]), x)
    assert np.abs(low + expected).max() > 0.1


def test_the_network_sees_the_level(energy):
    """Not only by its inputs: without the embedding of the level, the energy is another."""
    zeros = jax.tree.map(jnp.zeros_like, energy.embedding)
    blind = eqx.tree_at(lambda e: e.embedding, energy, zeros)
    x = jax.random.normal(jax.random.key(3), energy.shape)
    assert abs(energy.at(0.2)(x) - blind.at(0.2)(x)) > 1e-3


@pytest.mark.medium
def test_gradients_and_levels_agree_with_differences(energy):
    x = jax.random.normal(jax.random.key(4), energy.shape)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: a.astype(float) if eqx.is_inexact_array(a) else a, energy)
        x, v = x.astype(float), jnp.ones(energy.shape, float)
        at = lambda t: wide(x + t * v, 0.3 * jnp.exp(t))  # noqa: E731
        slope = jax.grad(at)(0.0)
        np.testing.assert_allclose(slope, (at(1e-5) - at(-1e-5)) / 2e-5, rtol=1e-6, atol=1e-8)


def test_a_plain_energy_at_a_level(energy):
    x = jax.random.normal(jax.random.key(5), (3, *energy.shape))
    found = ebmx.energy(energy.at(0.5), x)
    np.testing.assert_allclose(found, [energy(one, jnp.asarray(0.5)) for one in x], rtol=1e-5)
    each = ebmx.energy(energy.at_each(jnp.array([0.5, 0.5, 2.0])), x)
    np.testing.assert_allclose(each[:2], found[:2], rtol=1e-5)
    np.testing.assert_allclose(ebmx.energy(energy.at(1), x), ebmx.energy(energy.at(1.0), x))


def test_waves_have_their_mean_over_the_noise():
    features = FourierFeatures((2,), 3, 0.5, 2.0, key=KEY)
    x = jnp.array([0.3, -0.7])
    noise = 0.4 * jax.random.normal(KEY, (200_000, 2))
    expected = jax.vmap(features)(x[None] + noise).mean(0)
    np.testing.assert_allclose(features(x, 0.4), expected, atol=0.01)


def test_products_with_examples_are_in_full_precision():
    """Regression: a GPU multiplied examples by axes and by frequencies in 10 bits."""
    features = FourierFeatures((2,), 3, key=KEY)
    energy = perceptron()
    for function in (features, lambda x: energy._gaussian(x, jnp.asarray(0.1))):
        products = [
            equation.params["precision"]
            for equation in jax.make_jaxpr(function)(jnp.ones(2)).eqns
            if equation.primitive is jax.lax.dot_general_p
        ]
        assert products == [(jax.lax.Precision.HIGHEST,) * 2]


def test_levels():
    levels = geometric_levels(0.1, 10.0, 3)
    np.testing.assert_allclose(levels.sigma, [0.1, 1.0, 10.0], rtol=1e-5)
    np.testing.assert_allclose(np.exp(levels.log_prior), 1 / 3, rtol=1e-5)
    # level ⌊3 u²⌋
    tilted = geometric_levels(0.1, 10.0, 3, tilt=2.0)
    expected = np.diff(np.sqrt(np.arange(4) / 3))
    np.testing.assert_allclose(np.exp(tilted.log_prior), expected, rtol=1e-5)
    np.testing.assert_array_equal(
        levels.nearest(jnp.array([0.01, 0.2, 0.5, 4.0, 99.0])), [0, 0, 1, 2, 2]
    )
    angles = np.arctan(np.asarray(cosine_levels(0.5, 8.0, 5, scale=2.0).sigma) / 2.0)
    np.testing.assert_allclose(np.diff(angles), np.diff(angles)[0], rtol=1e-4)


BAD = {
    "level 0": (lambda: perceptron().at(0.0), r"^sigma=0.0: noise levels are finite and above 0"),
    "below the lowest": (lambda: perceptron().at(0.09), r"^sigma=0.09.*levels from 0.1 to 12"),
    "above the highest": (lambda: perceptron().at_each(jnp.array([1.0, 13.0])), r"^sigma=\[1.0"),
    "label": (lambda: labelled().at((0.5, 3.0)), r"^label=3.0: .* from 0 to 2, or -1 for none"),
    "half a label": (lambda: labelled().at((0.5, 0.5)), r"^label=0.5: labels are whole numbers"),
    "shape of a level": (lambda: perceptron().at(jnp.ones(2)), r"^y.shape=\(2,\): give"),
    "one level": (lambda: NoiseLevels([0.1]), r"^sigma.shape=\(1,\)"),
    "negative level": (lambda: NoiseLevels([-0.1, 1.0]), r"^sigma=\[-0.1"),
    "descending": (lambda: NoiseLevels([1.0, 0.1]), r"^sigma=\[1.0, 0.1.*: give ascending"),
    "weights": (lambda: NoiseLevels([0.1, 1.0], [1.0]), r"^weights.shape=\(1,\)"),
    "low above high": (lambda: geometric_levels(2.0, 1.0, 5), r"^high - low=-1.0"),
    "narrow": (
        lambda: perceptron(covariance=16.0),
        r"^levels.sigma\[-1\]=12.0.*: the data have a standard deviation of 4 .* at least 16,",
    ),
    "no variance": (lambda: perceptron(covariance=0.0), r"^covariance=0: .* above 0"),
    "no variances": (lambda: perceptron(covariance=np.zeros((2, 2))), r"^covariance=0: "),
    "covariance": (lambda: perceptron(covariance=np.ones(3)), r"^covariance.shape=\(3,\)"),
    "not a covariance": (
        lambda: perceptron(covariance=np.array([[1.0, 3.0], [3.0, 1.0]])), "positive semidefinite"
    ),
    "no condition": (
        lambda: NoiseConditional(MLP((2,), key=KEY), LEVELS, key=KEY), r"condition_size=64"
    ),
    "outputs": (
        lambda: NoiseConditional(
            MLP((2,), condition_size=4, key=KEY), LEVELS, head="inner", key=KEY
        ), r"^network.out_size='scalar': the head 'inner'"
    ),
    "head": (lambda: perceptron(head="cubic"), r"^head='cubic': give one of linear, inner"),
    "inputs": (
        lambda: NoiseConditional(
            MLP((2,), condition_size=4, key=KEY), LEVELS,
            features=FourierFeatures((2,), 5, key=KEY), key=KEY,
        ),
        r"^network.shape=\(2,\): its inputs are the example and its waves: give shape \(12,\)",
    ),
    "no classes": (lambda: perceptron().at_label(1), r"made without num_classes"),
    "class out of range": (lambda: labelled().at_label(3), r"^label=3: .* from 0 to 2"),
    "network alone": (
        lambda: ebmx.energy(MLP((2,), condition_size=4, key=KEY), jnp.zeros((1, 2))),
        r"^condition_size=4: .* NoiseConditional",
    ),
    "no condition given": (
        lambda: MLP((2,), condition_size=4, key=KEY)(jnp.zeros(2)), r"^condition.shape=None"
    ),
    "condition given": (
        lambda: MLP((2,), key=KEY)(jnp.zeros(2), jnp.zeros(3)), r"^condition.shape=\(3,\)"
    ),
    "other condition": (lambda: perceptron() + labelled(), r"^energies=NoiseConditional"),
    "no density": (lambda: perceptron() - 2.0 * perceptron(), r"^weights=.*no density"),
    "other highest level": (
        lambda: NoiseMixture(
            [noisy_mixture(), NoiseConditional(
                MLP((2,), condition_size=4, key=KEY), geometric_levels(0.1, 20.0, 5), key=KEY)]
        ),
        r"^levels.sigma\[-1\]=\[12.0.*, 20.0",
    ),
    "conditional": (
        lambda: NoiseMixture([conditional(KEY)]),
        r"^energies=list: give a tuple, each an energy over noise levels, such as",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    make, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.medium
def test_it_is_made_inside_of_a_compiled_function_where_levels_are_traced():
    def value(high, x):
        levels = NoiseLevels(jnp.array([0.1, 1.0, high]))
        network = MLP((2,), (3,), condition_size=4, key=KEY)
        return NoiseConditional(network, levels, covariance=COVARIANCE, key=KEY)(x, high)

    x = jnp.ones(2)
    exact = scipy.stats.multivariate_normal(np.zeros(2), COVARIANCE + 64 * np.eye(2)).logpdf(x)
    np.testing.assert_allclose(jax.jit(value)(jnp.asarray(8.0), x), -exact, rtol=1e-5)
