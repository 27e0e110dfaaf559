"""Spectral norm of a whole energy, against singular values of NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import double, points
from reference import ACTIVATIONS

import ebmx
from ebmx.energies import (
    MLP,
    AbstractEnergy,
    ConvNet,
    Gaussian,
    ResNet,
    SpectralNorm,
    advance,
    freeze,
)

move = eqx.filter_jit(advance)


class Foreign(AbstractEnergy):
    """Layers of equinox alone, with its convolution and a linear layer of scalars."""

    shape: tuple[int, ...] = eqx.field(static=True)
    convolution: eqx.nn.Conv2d
    linear: eqx.nn.Linear

    def __init__(self, *, key):
        self.shape = (5, 4, 2)
        self.convolution = eqx.nn.Conv2d(2, 3, 3, key=key)
        self.linear = eqx.nn.Linear(3, "scalar", key=key)

    def __call__(self, x):
        x = jnp.tanh(self.convolution(jnp.moveaxis(x, -1, 0)))
        return self.linear(x.sum((1, 2)))


ENERGIES = {
    "mlp": lambda key: MLP((2,), (8, 6), key=key),
    "convnet": lambda key: ConvNet((6, 5, 2), (3, 4), hidden_dims=(5,), key=key),
    "resnet": lambda key: ResNet((4, 3, 4), (4,), key=key),
    "foreign": lambda key: Foreign(key=key),
}
NUM_LAYERS = {"mlp": 3, "convnet": 4, "resnet": 5, "foreign": 2}
each = pytest.mark.parametrize("name", ENERGIES)


def is_layer(node):
    return hasattr(node, "weight") and hasattr(node, "bias")


def layers_of(energy):
    return [n for n in jax.tree.leaves(energy, is_leaf=is_layer) if is_layer(n)]


def matrix(layer):
    """The weight as NumPy sees it: outputs by all that goes into one of them."""
    weight = np.asarray(layer.weight, np.float64)
    if type(layer).__name__ == "Convolution":
        weight = np.moveaxis(weight, -1, 0)
    return weight.reshape(weight.shape[0], -1)


def largest(layer):
    return np.linalg.svd(matrix(layer), compute_uv=False)[0]


def normalised(energy):
    """The energy with each weight divided by its largest singular value."""
    weights = [layer.weight / jnp.float32(largest(layer)) for layer in layers_of(energy)]
    return eqx.tree_at(lambda e: [n.weight for n in layers_of(e)], energy, weights)


def make(name, getkey, **options):
    energy = ENERGIES[name](getkey())
    return eqx.nn.make_with_state(SpectralNorm)(energy, key=getkey(), **options)


def perturbed(energy, seed, size):
    rng = np.random.default_rng(seed)

    def one(a):
        return a + jnp.asarray(size * rng.normal(size=a.shape), a.dtype) * jnp.std(a)

    parameters, rest = eqx.partition(energy, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(one, parameters), rest)


@pytest.mark.slow
@each
@pytest.mark.parametrize("size", [0.0, 0.02], ids=["still", "moving"])
def test_norms_are_singular_values_after_fifty_updates(name, size, getkey):
    energy, state = make(name, getkey, num_iterations=0)
    x = points(2, energy.shape)
    started = np.array(energy.norms(state))
    for seed in range(50):
        energy = perturbed(energy, seed, size) if size else energy
        state = move(energy, state, x)
    truth = [largest(layer) for layer in layers_of(energy.energy)]
    assert len(truth) == NUM_LAYERS[name]
    np.testing.assert_allclose(energy.norms(state), truth, rtol=0.02)
    assert np.any(np.abs(started / truth - 1) > 0.02)


@each
def test_the_frozen_energy_is_that_of_normalised_weights(name, getkey):
    energy, state = make(name, getkey, num_iterations=100)
    x = points(3, energy.shape)
    frozen, truth = freeze(energy, state), normalised(energy.energy)
    assert all(np.isclose(largest(layer), 1.0) for layer in layers_of(truth))
    np.testing.assert_allclose(ebmx.energy(frozen, x), ebmx.energy(truth, x), rtol=1e-3, atol=1e-4)
    assert not np.allclose(ebmx.energy(frozen, x), ebmx.energy(energy.energy, x), rtol=1e-2)


def test_one_advance_is_one_power_iteration(getkey):
    energy, state = make("mlp", getkey, num_iterations=0)
    vectors = [np.asarray(state.get(index), np.float64) for index in energy.vectors]
    moved = move(energy, state, points(5, (2,)))
    for layer, vector, index in zip(layers_of(energy), vectors, energy.vectors, strict=True):
        wanted = matrix(layer).T @ matrix(layer) @ vector
        np.testing.assert_allclose(moved.get(index), wanted / np.linalg.norm(wanted), rtol=1e-4)
    again = eqx.filter_jit(freeze(energy, moved).energy)(points(1, (2,))[0], moved)[1]
    assert eqx.tree_equal(again, moved)


def numpy_mlp(weights, biases, x):
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = weight / np.linalg.norm(weight, 2) @ x + bias
        x = ACTIVATIONS["silu"](x) if i < len(weights) - 1 else x
    return x[0]


def test_gradients_pass_through_the_norm(getkey):
    energy, state = make("mlp", getkey)
    x = points(1, (2,))
    with jax.enable_x64(True):
        x, energy, state = double((x, energy, state))
        for _ in range(100):
            state = move(energy, state, x)

        @eqx.filter_jit
        @eqx.filter_grad
        def gradient(energy, state):
            return freeze(energy, state)(x[0])

        slopes = [np.asarray(n.weight) for n in layers_of(gradient(energy, state))]
    weights = [matrix(layer).copy() for layer in layers_of(energy)]
    biases = [np.asarray(layer.bias) for layer in layers_of(energy)]
    for weight, slope in zip(weights, slopes, strict=True):
        differences = np.zeros_like(weight)
        for place in np.ndindex(*weight.shape):
            for h in (1e-6, -1e-6):
                weight[place] += h
                differences[place] += numpy_mlp(weights, biases, np.asarray(x[0])) / (2 * h)
                weight[place] -= h
        np.testing.assert_allclose(slope, differences, rtol=1e-5, atol=1e-8)
        assert np.max(np.abs(slope)) > 1e-3


def test_a_layer_of_zeros_keeps_a_direction_for_what_it_becomes(getkey):
    energy, state = make("mlp", getkey)
    where = lambda e: e.energy.network.layers[1].weight  # noqa: E731
    weight, x = where(energy), points(2, (2,))
    state = move(eqx.tree_at(where, energy, jnp.zeros_like(weight)), state, x)
    for _ in range(50):
        state = move(energy, state, x)
    np.testing.assert_allclose(energy.norms(state)[1], np.linalg.norm(weight, 2), rtol=0.02)


def test_an_energy_without_layers_is_refused(getkey):
    with pytest.raises(ValueError, match=r"energy=Gaussian: .*no convolution or linear layer"):
        eqx.nn.make_with_state(SpectralNorm)(Gaussian(jnp.zeros(2)), key=getkey())
    with pytest.raises(ValueError, match=r"num_iterations=-1: .*at least 0"):
        make("mlp", getkey, num_iterations=-1)
