"""Residual networks with every norm, against NumPy and SciPy."""

import functools

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points
from hypothesis import given, settings
from reference import ACTIVATIONS, filled, numpy_convolution, numpy_dense

import ebmx
from ebmx.energies import BatchNormResNet, ResNet, SpectralNorm, advance, freeze
from ebmx.energies.networks._resnet import make_norm
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer

SHAPE = (4, 3, 4)
NORMS = ("none", "layer", "group", "batch", "spectral")
each_norm = pytest.mark.parametrize("norm", NORMS)
move = eqx.filter_jit(advance)


X = points(5, SHAPE)


@functools.cache
def make(norm, **options):
    """A small energy whose parameters, those of the norms too, are nothing special."""

    def built(key):
        if norm == "batch":
            return eqx.nn.make_with_state(BatchNormResNet)(SHAPE, (4,), key=key, **options)
        if norm == "spectral":
            energy_key, norm_key = jax.random.split(key)
            energy = ResNet(SHAPE, (4,), key=energy_key, **options)
            return eqx.nn.make_with_state(SpectralNorm)(energy, key=norm_key)
        return ResNet(SHAPE, (4,), norm=norm, key=key, **options), None

    if norm != "batch":
        return filled(built)
    state = eqx.filter_jit(built)(jax.random.key(1))[1]
    return filled(lambda key: built(key)[0]), state


def numpy_network(network, images, normalise):
    """The energies of a batch, with `normalise(number, norm, x)` for the norms, counted from 0."""
    act = next(f for f in ACTIVATIONS.values() if np.allclose(f(1.0), network.activation(1.0)))
    convolve = lambda conv, x: np.stack([numpy_convolution(conv, one) for one in x])  # noqa: E731
    x = convolve(network.stem, np.asarray(images, np.float64))
    for b, block in enumerate(network.blocks):
        branch = x
        for i, convolution in enumerate(block.convolutions):
            branch = convolve(convolution, act(normalise(2 * b + i, block.norms[i], branch)))
        x = branch + (x if block.skip is None else convolve(block.skip, x))
    x = act(x)
    x = x.reshape(len(x), -1) if network.head == "flatten" else x.sum((1, 2))
    return np.array([numpy_dense(network.layers, act, one)[0] for one in x])


def standardise(x, mean, variance, layer):
    weight, bias = (np.asarray(a, np.float64) for a in (layer.weight, layer.bias))
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


GROUPS = {"layer": 1, "group": 2}  # of the 4 channels


def numpy_groups(number, norm, x, name="none"):
    del number
    if name == "none":
        return x
    parts = x.reshape(*x.shape[:3], GROUPS[name], -1)
    mean, variance = (f(parts, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
    mean, variance = (np.broadcast_to(a, parts.shape).reshape(x.shape) for a in (mean, variance))
    return standardise(x, mean, variance, norm.layer)


@pytest.mark.parametrize("norm", ["none", "layer", "group"])
def test_resnet_is_that_of_numpy(norm):
    energy, state = make(norm)
    assert state is None
    truth = numpy_network(energy.network, X, functools.partial(numpy_groups, name=norm))
    np.testing.assert_allclose(ebmx.energy(energy, X), truth, rtol=1e-4, atol=1e-5)


def test_a_deeper_resnet_with_all_options_is_that_of_numpy():
    options = {"strides": (1, 2), "blocks_per_stage": 2, "activation": "tanh", "head": "flatten"}
    energy = filled(lambda key: ResNet(SHAPE, (4, 5), key=key, **options))
    truth = numpy_network(energy.network, X, numpy_groups)
    np.testing.assert_allclose(ebmx.energy(energy, X), truth, rtol=1e-4, atol=1e-5)


def test_batch_norm_keeps_running_averages_of_what_numpy_sees():
    energy, state = make("batch")
    running = {}

    def training(number, norm, x):
        batch = np.array([x.mean((0, 1, 2)), x.var((0, 1, 2))])
        running[number] = 0.99 * running[number] + 0.01 * batch if number in running else batch
        return standardise(x, *running[number], norm.layer)

    def inference(number, norm, x):
        return standardise(x, *running[number], norm.layer)

    for seed, scale in enumerate((1.0, 3.0, 2.0)):
        x = points(5, SHAPE, seed, scale) + seed
        numpy_network(energy.network, x, training)
        state = move(energy, state, x)
        truth = numpy_network(energy.network, x, inference)
        got = ebmx.energy(freeze(energy, state), x)
        np.testing.assert_allclose(got, truth, rtol=2e-4, atol=1e-4)
    for number, norm in enumerate(energy.network.blocks[0].norms):
        got = np.stack(state.get(norm.layer.ema_state_index))
        np.testing.assert_allclose(got, running[number], rtol=1e-4, atol=1e-5)


def test_before_any_batch_batch_norm_is_the_identity():
    energy, state = make("batch")
    x = X
    truth = numpy_network(energy.network, x, lambda _, n, x: standardise(x, 0.0, 1.0, n.layer))
    np.testing.assert_allclose(ebmx.energy(freeze(energy, state), x), truth, rtol=1e-4, atol=1e-5)


def test_the_state_of_batch_norm_moves_in_advance_alone():
    energy, state = make("batch")
    moved = move(energy, state, X)
    assert not eqx.tree_equal(moved, state)
    frozen = freeze(energy, moved)
    _, after = eqx.filter_jit(frozen.energy)(3 * X[0], frozen.state)
    assert eqx.tree_equal(after, moved)


@each_norm
def test_energies_see_contrast(norm):
    energy, state = make(norm)
    x = X
    for scale in (1.0, 0.5, 2.0):
        state = move(energy, state, scale * x)
    frozen = freeze(energy, state)
    for scale in (0.1, 1.0, 10.0):
        near, far = ebmx.energy(frozen, scale * x), ebmx.energy(frozen, 2 * scale * x)
        # an energy that normalises its input tells images apart, but not these
        assert jnp.sqrt(jnp.mean((far - near) ** 2)) > 0.3 * jnp.std(near) > 0


@each_norm
def test_the_skip_alone_makes_an_energy(norm):
    energy, state = make(norm)

    def main_paths(energy):
        network = energy.energy.network if norm == "spectral" else energy.network
        convolutions = [c for block in network.blocks for c in block.convolutions]
        return [leaf for c in convolutions for leaf in (c.weight, c.bias)]

    energy = eqx.tree_at(main_paths, energy, [jnp.zeros_like(a) for a in main_paths(energy)])
    values = ebmx.energy(freeze(energy, move(energy, state, X)), X)
    assert float(jnp.std(values)) > 0.1


def shapes_of(*args, **options):
    """The network without its numbers, and the shape of what it returns."""
    features = eqx.filter_eval_shape(ResNet, *args, **options, key=jax.random.key(0))
    out = eqx.filter_eval_shape(lambda network, x: network(x), features, jnp.zeros(args[0]))
    return features.network, out.shape


def test_skips_are_projections_only_where_shapes_change():
    network, out = shapes_of(
        (6, 5, 2), (3, 3, 4), out_size=7, strides=(1, 2, 1), blocks_per_stage=2
    )
    assert out == (7,)
    skips = [None if b.skip is None else b.skip.weight.shape for b in network.blocks]
    assert skips == [None, None, (1, 1, 3, 3), None, (1, 1, 3, 4), None]
    strides = [[c.stride for c in b.convolutions] for b in network.blocks]
    assert strides == [[1, 1], [1, 1], [2, 1], [1, 1], [1, 1], [1, 1]]
    kernels = [[c.weight.shape for c in b.convolutions] for b in network.blocks]
    assert kernels[4:] == [[(3, 3, 3, 4), (3, 3, 4, 4)], [(3, 3, 4, 4), (3, 3, 4, 4)]]
    assert network.stem.weight.shape == (3, 3, 2, 3)


def test_defaults_are_those_of_the_docstring():
    network, _ = shapes_of((32, 32, 3), out_size=1)
    assert [b.convolutions[0].stride for b in network.blocks] == [2, 2, 2]
    assert [b.convolutions[1].bias.shape for b in network.blocks] == [(32,), (64,), (128,)]
    assert network.layers[0].weight.shape == (1, 128)
    assert network.activation is jax.nn.silu


@pytest.mark.medium
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    strides=st.lists(st.integers(1, 4), min_size=1, max_size=2),
)
@settings(max_examples=6)
def test_any_strides_fit_any_image(size, strides):
    dims = (2,) * len(strides)
    network, out = shapes_of((*size, 1), dims, out_size=1, strides=strides, head="flatten")
    assert out == (1,)
    height, width = size
    for stride in strides:
        height, width = -(-height // stride), -(-width // stride)
    assert network.layers[0].in_features == 2 * height * width


@pytest.mark.parametrize("channels", [2, 3, 4, 6, 8, 12, 16, 24, 32])
def test_group_norm_never_normalises_a_channel_alone(channels):
    fitting = [g for g in (1, 2, 4, 8) if channels % g == 0 and channels // g >= 2]
    group, layer = (eqx.filter_eval_shape(make_norm, n, channels) for n in ("group", "layer"))
    assert group.layer.groups == max(fitting)
    assert layer.layer.groups == 1


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "spectral"])
def test_training_moves_parameters_and_the_state_of_the_norm(norm, getkey):
    energy, norm_state = make(norm, strides=1)
    sampler = Langevin(1.0, grad_clip=3.0, bounds=(-1.0, 1.0))
    trainer = Trainer(optax.sgd(0.1), PCD(sampler, num_steps=2, capacity=8))
    state = trainer.init(energy, norm_state, key=getkey())
    step, key = eqx.filter_jit(trainer.step), getkey()
    for seed in range(2):
        before, batch = state, points(4, SHAPE, seed)
        state, metrics = step(before, batch, key=key)
        assert int(metrics["skipped"]) == 0
        for name in ("energy", "norm_state", "ema"):
            new, old = (
                jax.tree.leaves(eqx.filter(getattr(s, name), eqx.is_array)) for s in (state, before)
            )
            assert all(np.all(np.isfinite(a)) for a in new)
            assert sum(not np.array_equal(n, o) for n, o in zip(new, old, strict=True)) >= 2
        once = move(before.energy, before.norm_state, batch)
        for n, o in zip(jax.tree.leaves(state.norm_state), jax.tree.leaves(once), strict=True):
            np.testing.assert_allclose(n, o, rtol=1e-5, atol=1e-6)
