"""Spectral norm of a whole energy, against singular values of NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import double, points
from reference import ACTIVATIONS, filled

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
silu = ACTIVATIONS["silu"]


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
    "convnet": lambda key: ConvNet((4, 3, 1), (2,), kernel_sizes=2, hidden_dims=(3,), key=key),
    "resnet": lambda key: ResNet((4, 3, 4), (4,), key=key),
    "foreign": lambda key: Foreign(key=key),
}
NUM_LAYERS = {"mlp": 3, "convnet": 3, "resnet": 5, "foreign": 2}
each = pytest.mark.parametrize("name", ENERGIES)
normed = eqx.filter_jit(eqx.nn.make_with_state(SpectralNorm))
KEY = jax.random.key(5)


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


def make(name, num_iterations=15):
    energy = filled(ENERGIES[name], seed=2)  # its largest singular values are apart from others
    return normed(energy, num_iterations=num_iterations, key=KEY)


def perturbed(energy, seed, size):
    rng = np.random.default_rng(seed)

    def one(a):
        return a + jnp.asarray(size * rng.normal(size=a.shape), a.dtype) * jnp.std(a)

    parameters, rest = eqx.partition(energy, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(one, parameters), rest)


@pytest.mark.slow
@each
@pytest.mark.parametrize("size", [0.0, 0.02], ids=["still", "moving"])
def test_norms_are_singular_values_after_fifty_updates(name, size):
    energy, state = make(name, num_iterations=0)
    x = points(2, energy.shape)
    started = np.array(energy.norms(state))
    for seed in range(50):
        energy = perturbed(energy, seed, size) if size else energy
        state = move(energy, state, x)
    truth = [largest(layer) for layer in layers_of(energy.energy)]
    assert len(truth) == NUM_LAYERS[name]
    np.testing.assert_allclose(energy.norms(state), truth, rtol=0.02)
    assert np.any(np.abs(started / truth - 1) > 0.02)


@pytest.mark.parametrize("name", ["convnet", "foreign"])
def test_the_frozen_energy_is_that_of_normalised_weights(name):
    energy, state = make(name, num_iterations=100)
    x = points(3, energy.shape)
    frozen, truth = freeze(energy, state), normalised(energy.energy)
    assert all(np.isclose(largest(layer), 1.0) for layer in layers_of(truth))
    values = np.asarray(ebmx.energy(frozen, x))
    np.testing.assert_allclose(values, ebmx.energy(truth, x), rtol=1e-3, atol=1e-4)
    assert not np.allclose(values, ebmx.energy(energy.energy, x), rtol=1e-2)
    norms = np.array(eqx.filter_jit(energy.norms)(state))
    np.testing.assert_allclose(norms, [largest(n) for n in layers_of(energy.energy)], rtol=1e-3)


def test_one_advance_is_one_power_iteration():
    energy, state = make("mlp", num_iterations=0)
    vectors = [np.asarray(state.get(index), np.float64) for index in energy.vectors]
    moved = move(energy, state, points(5, (2,)))
    started = make("mlp", num_iterations=1)[1]
    for layer, vector, index in zip(layers_of(energy), vectors, energy.vectors, strict=True):
        np.testing.assert_allclose(np.linalg.norm(vector), 1.0, rtol=1e-5)
        wanted = matrix(layer).T @ matrix(layer) @ vector
        wanted = wanted / np.linalg.norm(wanted)
        np.testing.assert_allclose(moved.get(index), wanted, rtol=1e-4)
        np.testing.assert_allclose(started.get(index), wanted, rtol=1e-4)
    again = eqx.filter_jit(freeze(energy, moved).energy)(points(1, (2,))[0], moved)[1]
    assert eqx.tree_equal(again, moved)


def test_each_layer_starts_from_a_direction_of_its_own():
    energy, state = normed(filled(lambda k: MLP((6,), (6, 6), key=k)), num_iterations=0, key=KEY)
    one, other, last = (np.asarray(state.get(index)) for index in energy.vectors)
    assert abs(one @ other) < 0.95
    assert abs(one @ last) < 0.95
    assert abs(other @ last) < 0.95


@eqx.filter_jit
def by_weights(energy, state, x, change):
    """Slopes by the weights while training and frozen, and norms with two derivatives."""
    parameters, rest = eqx.partition(energy, eqx.is_inexact_array)

    def training(parameters):
        copy = jax.tree.map(lambda a: a, state)  # a state is used up where it moves
        return eqx.combine(parameters, rest)(x, copy)

    def frozen(parameters, state):
        return freeze(eqx.combine(parameters, rest), state)(x)

    def total(parameters):
        return sum(eqx.combine(parameters, rest).norms(state))

    slopes, moved = jax.grad(training, has_aux=True)(parameters)
    return (
        (slopes, jax.grad(frozen)(parameters, moved), jax.grad(frozen)(parameters, state)),
        jax.jvp(jax.grad(total), (parameters,), (change,)),
    )


def test_both_directions_of_the_norm_are_constants():
    # after few iterations the directions are far from those of the largest singular value
    energy, state = make("mlp", num_iterations=0)
    state = move(energy, state, points(5, (2,)))
    change = eqx.filter(perturbed(energy, 1, 1.0), eqx.is_inexact_array)
    slopes, (slope, curvature) = by_weights(energy, state, points(1, (2,))[0], change)
    training, after, before = map(jax.tree.leaves, slopes)
    for one, other in zip(training, after, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert not all(np.allclose(*two, rtol=1e-3) for two in zip(after, before, strict=True))
    for layer, index, got in zip(layers_of(energy), energy.vectors, layers_of(slope), strict=True):
        right = np.asarray(state.get(index), np.float64)
        left = matrix(layer) @ right
        truth = np.outer(left / np.linalg.norm(left), right)
        np.testing.assert_allclose(got.weight, truth, rtol=1e-4, atol=1e-6)
    for one in jax.tree.leaves(curvature):
        np.testing.assert_array_equal(one, np.zeros_like(one))


def numpy_mlp(weights, biases, x):
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = weight / np.linalg.norm(weight, 2) @ x + bias
        x = ACTIVATIONS["silu"](x) if i < len(weights) - 1 else x
    return x[0]


def test_gradients_pass_through_the_norm():
    energy, state = make("mlp")
    x = points(5, (2,))
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


def constant(energy):
    """The energy of a perceptron whose second layer is zero: its bias alone goes on."""
    layers = layers_of(energy)
    return numpy_mlp([matrix(layers[2])], [np.asarray(layers[2].bias)], silu(layers[1].bias))


def test_a_layer_of_zeros_keeps_a_direction_for_what_it_becomes():
    energy, state = make("mlp")
    where = lambda e: e.energy.layers[1].weight  # noqa: E731
    weight, x = where(energy), points(5, (2,))
    zero = eqx.tree_at(where, energy, jnp.zeros_like(weight))
    state = move(zero, state, x)
    np.testing.assert_allclose(
        ebmx.energy(freeze(zero, state), x), np.full(5, constant(zero)), rtol=1e-3
    )
    for _ in range(50):
        state = move(energy, state, x)
    np.testing.assert_allclose(energy.norms(state)[1], np.linalg.norm(weight, 2), rtol=0.02)


def test_an_energy_without_layers_is_refused():
    with pytest.raises(ValueError, match=r"energy=Gaussian: .*no convolution or linear layer"):
        eqx.nn.make_with_state(SpectralNorm)(Gaussian(np.zeros(2)), key=KEY)
    with pytest.raises(ValueError, match=r"num_iterations=-1: .*at least 0"):
        make("mlp", num_iterations=-1)
