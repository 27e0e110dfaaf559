"""The networks against NumPy and SciPy, and the numbers that their docstrings promise."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import points
from reference import (
    ACTIVATIONS,
    assert_initial_numbers_differ,
    filled,
    numpy_convolution,
    numpy_dense,
)

import ebmx
from ebmx.energies import MLP, ConvNet, ResNet, deep, mnist
from ebmx.energies.networks._activations import resolve_activation

KEY = jax.random.key(0)
FACTORIES = {"mnist": mnist, "deep": deep}


NAMES = {
    "silu": lambda x: x / (1 + np.exp(-x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "gelu": lambda x: x * scipy.stats.norm.cdf(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
}


def test_activations_have_the_names_of_the_field():
    x = np.linspace(-3, 3, 13)
    values = jax.jit(lambda x: [resolve_activation(name)(x) for name in NAMES])(x)
    for got, function in zip(values, NAMES.values(), strict=True):
        np.testing.assert_allclose(got, function(x), atol=2e-3)
    assert resolve_activation(np.sin) is np.sin


@pytest.mark.parametrize("activation", ["silu", "tanh"])
def test_mlp_is_that_of_numpy(activation):
    energy = filled(lambda key: MLP((3, 2), (7, 5), activation=activation, key=key))
    x = np.asarray(points(4, (3, 2)))
    truth = [numpy_dense(energy.layers, ACTIVATIONS[activation], np.ravel(one))[0] for one in x]
    np.testing.assert_allclose(ebmx.energy(energy, x), truth, rtol=1e-4, atol=1e-6)
    assert [layer.weight.shape for layer in energy.layers] == [(7, 6), (5, 7), (1, 5)]


def test_mlp_without_hidden_layers_is_linear():
    energy = filled(lambda key: MLP((3,), (), key=key))
    slope = -ebmx.score(energy, points(4, (3,)))
    np.testing.assert_allclose(slope, np.repeat(energy.layers[0].weight, 4, 0), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda key: MLP((2,), (3, 0), key=key), "hidden_dims"),
        (lambda key: MLP((0,), (3,), key=key), "shape"),
        (lambda key: ConvNet((8, 8, 1), (2, 0), key=key), "channels"),
        (lambda key: ConvNet((8, 8, 1), (2,), hidden_dims=(-1,), key=key), "hidden_dims"),
        (lambda key: ConvNet((8, 8, 0), (2,), key=key), "shape"),
        (lambda key: ConvNet((8, 8, 1), (2,), strides=(1, 2), key=key), "strides"),
        (lambda key: ConvNet((2, 2, 1), (2,), kernel_sizes=3, paddings=0, key=key), "shape"),
        (lambda key: ResNet((8, 8, 1), (2, 0), key=key), "channels"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_name(make, name):
    with pytest.raises(ValueError, match=name):
        eqx.filter_eval_shape(make, jax.random.key(0))


def test_initial_numbers_are_independent():
    @eqx.filter_jit
    def made(key):
        convnet = ConvNet((4, 4, 2), (2, 2), hidden_dims=(2,), key=key)
        return convnet, ResNet((4, 4, 2), (2,), blocks_per_stage=2, key=key)

    for energy in made(jax.random.key(1)):
        assert_initial_numbers_differ(energy)


@pytest.mark.parametrize("head", ["flatten", "sum"])
def test_convnet_is_that_of_scipy(head):
    options = {"kernel_sizes": (3, 2), "strides": (2, 1), "paddings": (1, 0), "hidden_dims": (5,)}
    options |= {"activation": "tanh", "head": head}
    energy = filled(lambda key: ConvNet((9, 7, 2), (3, 4), **options, key=key))
    x = points(3, (9, 7, 2))
    truth = []
    for image in np.asarray(x, np.float64):
        for convolution in energy.convolutions:
            image = np.tanh(numpy_convolution(convolution, image))
        features = image.reshape(-1) if head == "flatten" else image.sum((0, 1))
        truth.append(numpy_dense(energy.layers, np.tanh, features)[0])
    np.testing.assert_allclose(ebmx.energy(energy, x), truth, rtol=1e-4, atol=1e-5)


def test_convnet_defaults_to_half_the_kernel_as_padding():
    default = filled(lambda key: ConvNet((8, 8, 1), (2,), kernel_sizes=5, key=key))
    options = {"kernel_sizes": 5, "strides": 2, "paddings": 2}
    explicit = filled(lambda key: ConvNet((8, 8, 1), (2,), **options, key=key))
    assert eqx.tree_equal(default, explicit)
    assert default.layers[0].weight.shape == (64, 2 * 4 * 4)


@pytest.mark.parametrize("name", FACTORIES)
def test_factories_have_as_many_parameters_as_documented(name):
    made = eqx.filter_eval_shape(lambda key: FACTORIES[name](key=key), jax.random.key(0))
    energy = made[0] if isinstance(made, tuple) else made  # and not the state of a norm
    stated = re.search(r"([\d,]+) parameters", FACTORIES[name].__doc__).group(1)
    leaves = jax.tree.leaves(energy)
    truth = sum(leaf.size for leaf in leaves if isinstance(leaf, jax.ShapeDtypeStruct))
    assert int(stated.replace(",", "")) == truth


KINDS = {
    "mlp": lambda **options: MLP((4, 3, 2), (5,), **options),
    "convnet": lambda **options: ConvNet((4, 3, 2), (3,), hidden_dims=(5,), **options),
    "resnet": lambda **options: ResNet((4, 3, 2), (4,), **options),
}


@pytest.mark.parametrize("name", KINDS)
def test_an_energy_is_the_only_feature_of_a_network_with_one(name):
    energy = filled(lambda key: KINDS[name](key=key))
    feature = filled(lambda key: KINDS[name](out_size=1, key=key))
    parts = jax.tree.leaves(energy), jax.tree.leaves(feature)
    for one, other in zip(*parts, strict=True):
        np.testing.assert_array_equal(one, other)
    x = points(3, (4, 3, 2))
    outputs = jax.jit(jax.vmap(feature))(x)
    assert outputs.shape == (3, 1)
    np.testing.assert_allclose(ebmx.energy(energy, x), outputs[:, 0], rtol=1e-6)
    features = eqx.filter_eval_shape(lambda key: KINDS[name](out_size=7, key=key), KEY)
    out = eqx.filter_eval_shape(lambda network, x: network(x), features, x[0])
    assert out.shape == (features.out_size,) == (7,)


def test_mnist_gives_one_energy_an_image():
    energy = eqx.filter_eval_shape(lambda key: mnist(key=key), jax.random.key(0))
    out = eqx.filter_eval_shape(lambda energy, x: energy(x), energy, jnp.zeros((28, 28, 1)))
    assert (out.shape, out.dtype) == ((), jnp.float32)
    assert energy.shape == (28, 28, 1)
