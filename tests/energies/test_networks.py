"""The networks against NumPy and SciPy, and the numbers that their docstrings promise."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import ACTIVATIONS, numpy_convolution, numpy_dense

import ebmx
from ebmx.energies import MLP, ConvNet, cifar10, deep, mnist, uva_mnist

FACTORIES = {"mnist": mnist, "uva_mnist": uva_mnist, "cifar10": cifar10, "deep": deep}


@pytest.mark.parametrize("activation", ["silu", "tanh"])
def test_mlp_is_that_of_numpy(activation, getkey):
    energy = MLP((3, 2), (7, 5), activation=activation, key=getkey())
    x = jax.random.normal(getkey(), (4, 3, 2))
    truth = [
        numpy_dense(energy.network.layers, ACTIVATIONS[activation], np.ravel(one))[0] for one in x
    ]
    np.testing.assert_allclose(ebmx.energy(energy, x), truth, rtol=1e-4, atol=1e-6)
    assert [layer.weight.shape for layer in energy.network.layers] == [(7, 6), (5, 7), (1, 5)]


def test_mlp_without_hidden_layers_is_linear(getkey):
    energy = MLP((3,), (), key=getkey())
    x = jax.random.normal(getkey(), (4, 3))
    slope = -ebmx.score(energy, x)
    np.testing.assert_allclose(slope, np.repeat(energy.network.layers[0].weight, 4, 0), rtol=1e-6)


@pytest.mark.parametrize("head", ["flatten", "sum"])
def test_convnet_is_that_of_scipy(head, getkey):
    energy = ConvNet(
        (9, 7, 2),
        (3, 4),
        kernel_sizes=(3, 2),
        strides=(2, 1),
        paddings=(1, 0),
        hidden_dims=(5,),
        activation="tanh",
        head=head,
        key=getkey(),
    )
    x = jax.random.normal(getkey(), (3, 9, 7, 2))
    truth = []
    for image in np.asarray(x, np.float64):
        for convolution in energy.network.convolutions:
            image = np.tanh(numpy_convolution(convolution, image))
        features = image.reshape(-1) if head == "flatten" else image.sum((0, 1))
        truth.append(numpy_dense(energy.network.layers, np.tanh, features)[0])
    np.testing.assert_allclose(ebmx.energy(energy, x), truth, rtol=1e-4, atol=1e-5)


def test_convnet_defaults_to_half_the_kernel_as_padding(getkey):
    key = getkey()
    default = ConvNet((8, 8, 1), (2,), kernel_sizes=5, key=key)
    explicit = ConvNet((8, 8, 1), (2,), kernel_sizes=5, strides=2, paddings=2, key=key)
    assert eqx.tree_equal(default, explicit)
    assert default.network.layers[0].weight.shape == (64, 2 * 4 * 4)


@pytest.mark.parametrize("name", FACTORIES)
def test_factories_have_as_many_parameters_as_documented(name, getkey):
    made = eqx.filter_eval_shape(lambda key: FACTORIES[name](key=key), getkey())
    energy = made[0] if isinstance(made, tuple) else made  # and not the state of a norm
    stated = re.search(r"([\d,]+) parameters", FACTORIES[name].__doc__).group(1)
    leaves = jax.tree.leaves(energy)
    truth = sum(leaf.size for leaf in leaves if isinstance(leaf, jax.ShapeDtypeStruct))
    assert int(stated.replace(",", "")) == truth


def test_mnist_gives_one_energy_an_image(getkey):
    x = jax.random.uniform(getkey(), (32, 28, 28, 1), minval=-1)
    energy = mnist(key=getkey())
    values = ebmx.energy(energy, x)
    assert values.shape == (32,)
    assert values.dtype == jnp.float32
    assert len(np.unique(values)) == 32
