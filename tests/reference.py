"""Layers in NumPy and SciPy alone, and what energies with known answers are asked."""

import itertools

import equinox as eqx
import jax
import numpy as np
import scipy.signal
import scipy.special
import scipy.stats
from helpers import assert_mean

ACTIVATIONS = {"silu": lambda x: x / (1 + np.exp(-x)), "tanh": np.tanh}


def numpy_dense(layers, activation, x):
    for i, layer in enumerate(layers):
        x = np.asarray(layer.weight, np.float64) @ x + np.asarray(layer.bias, np.float64)
        x = activation(x) if i < len(layers) - 1 else x
    return x


def numpy_convolution(convolution, x):
    weight = np.asarray(convolution.weight, np.float64)
    pad = convolution.padding
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    maps = [
        sum(
            scipy.signal.correlate2d(x[:, :, i], weight[:, :, i, o], mode="valid")
            for i in range(weight.shape[2])
        )
        for o in range(weight.shape[3])
    ]
    full = np.stack(maps, -1) + np.asarray(convolution.bias, np.float64)
    return full[:: convolution.stride, :: convolution.stride]


def assert_independent_normals(z):
    """Check that rows `(num, d)` are independent standard normal draws.

    Each coordinate by the test of Kolmogorov and Smirnov, and means of products of coordinates and
    of their squares by 5 standard errors: a false alarm in less than one of 10,000 keys.
    """
    z = np.asarray(z, np.float64).reshape(len(z), -1)
    for column in z.T:
        assert scipy.stats.kstest(column, scipy.stats.norm.cdf).pvalue > 1e-5
    for a, b in itertools.combinations(range(z.shape[1]), 2):
        for x, y in ((z[:, a], z[:, b]), (z[:, a] ** 2 - 1, z[:, b]), (z[:, a], z[:, b] ** 2 - 1)):
            assert_mean(x * y, 0.0)
        assert_mean((z[:, a] ** 2 - 1) * (z[:, b] ** 2 - 1), 0.0, num_errors=6.0)


@eqx.filter_jit
def answers(energy, x):
    """The energies of a batch, the normaliser and the moments of an analytic energy."""
    return jax.vmap(energy)(x), energy.log_z, energy.mean, energy.variance


@eqx.filter_jit
def exact_samples(energy, keys):
    return jax.vmap(lambda key: energy.sample(key=key))(keys)


def filled(make, seed=0):
    """What `make(key)` returns, with normal numbers by NumPy in place of those of its key.

    Nothing is compiled: the numbers of a network made outside `jit` cost a program a layer.
    """
    rng = np.random.default_rng(seed)

    def one(leaf):
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        return jax.numpy.asarray(0.5 * rng.normal(size=leaf.shape), leaf.dtype)

    return jax.tree.map(one, eqx.filter_eval_shape(make, jax.random.key(0)))


def assert_initial_numbers_differ(tree):
    """Check that weights and biases of layers, uniform on `±1/√inputs`, are not the same draws."""

    def is_layer(node):
        return hasattr(node, "weight") and hasattr(node, "bias")

    layers = [n for n in jax.tree.leaves(tree, is_leaf=is_layer) if is_layer(n)]
    first = []
    for layer in layers:
        size = np.sqrt(layer.weight.size / layer.bias.size)
        first += [size * np.ravel(layer.weight)[0], size * np.ravel(layer.bias)[0]]
    gaps = np.diff(np.sort(first))
    assert len(layers) > 1
    assert np.max(np.abs(first)) <= 1.001
    assert np.min(gaps) > 1e-5


@eqx.filter_jit
def energies(energy, x):
    """The energies of a batch."""
    return jax.vmap(energy)(x)


def log_z_on_grid(energy, low, high, num):
    """`log ∫ exp(-E)` of one or two coordinates by the trapezoidal rule, under `jax.enable_x64`.

    The density has to be zero at the ends.
    """
    line = np.linspace(low, high, num)
    size = int(np.prod(energy.shape))
    points = np.stack(np.meshgrid(*[line] * size, indexing="ij"), -1).reshape(-1, *energy.shape)
    values = energies(energy, points)
    return scipy.special.logsumexp(-np.asarray(values)) + size * np.log(line[1] - line[0])
