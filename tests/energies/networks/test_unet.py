"""U-Nets, attention and pyramids against NumPy and JAX's own attention."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points
from reference import ACTIVATIONS, filled, numpy_convolution, numpy_dense

import ebmx
from ebmx.energies import (
    ConvNet,
    Function,
    MultiScale,
    NoiseConditional,
    ResNet,
    UNet,
    geometric_levels,
)
from ebmx.energies.networks._attention import Attention
from ebmx.energies.networks._resnet import make_norm
from ebmx.energies.networks._unet import Stage
from ebmx.samplers import HMC, sample_levels
from ebmx.training import PerturbedLevels, Trainer, noise_level_loss

SHAPE = (5, 3, 2)  # neither side halves evenly
SIZE = 30
X = points(3, SHAPE)
KEY = jax.random.key(0)
SILU = ACTIVATIONS["silu"]


@functools.cache
def make(**options):
    options = {"channels": (4, 6, 8), "attention": (1,), "num_heads": 2} | options
    return filled(lambda key: UNet(SHAPE, key=key, **options))


def numpy_norm(norm, x):
    layer = norm.layer
    if layer is None:
        return x
    parts = x.reshape(*x.shape[:2], layer.groups, -1)
    mean, variance = (f(parts, axis=(0, 1, 3), keepdims=True) for f in (np.mean, np.var))
    normed = ((parts - mean) / np.sqrt(variance + layer.eps)).reshape(x.shape)
    return normed * np.asarray(layer.weight) + np.asarray(layer.bias)


def numpy_attention(attention, x):
    rows = numpy_norm(attention.norm, x).reshape(-1, x.shape[-1])
    query, key, value = np.split(rows @ np.asarray(attention.inner), 3, 1)
    size = x.shape[-1] // attention.num_heads
    mixed = np.zeros_like(rows)
    for head in range(attention.num_heads):
        part = slice(head * size, (head + 1) * size)
        weights = np.exp(query[:, part] @ key[:, part].T / np.sqrt(size))
        mixed[:, part] = weights / weights.sum(1, keepdims=True) @ value[:, part]
    return x + (mixed @ np.asarray(attention.outer)).reshape(x.shape)


def numpy_stage(stage, x, condition):
    for block in stage.blocks:
        branch = numpy_convolution(block.convolutions[0], SILU(numpy_norm(block.norms[0], x)))
        branch = numpy_norm(block.norms[1], branch)
        if condition is not None:
            layer = block.modulation.layer
            numbers = np.asarray(layer.weight) @ condition + np.asarray(layer.bias)
            scale, shift = np.split(numbers, 2)
            branch = (1 + scale) * branch + shift
        branch = numpy_convolution(block.convolutions[1], SILU(branch))
        x = branch + (x if block.skip is None else numpy_convolution(block.skip, x))
    return x if stage.attention is None else numpy_attention(stage.attention, x)


def numpy_unet(net, x, condition=None):
    x = numpy_convolution(net.stem, np.asarray(x, np.float64))
    fine = []
    for number, stage in enumerate(net.down):
        x = numpy_stage(stage, x, condition)
        if number < len(net.between):
            fine.append(x)
            x = numpy_convolution(net.between[number], x)
    for stage, skip in zip(net.up, reversed(fine), strict=True):
        x = x.repeat(2, 0).repeat(2, 1)[: skip.shape[0], : skip.shape[1]]
        x = numpy_stage(stage, np.concatenate([x, skip], -1), condition)
    x = SILU(numpy_norm(net.norm, x))
    if net.to_image is not None:
        return numpy_convolution(net.to_image, x).reshape(-1)
    outputs = numpy_dense(net.layers, SILU, x.sum((0, 1)))
    return outputs[0] if net.out_size == "scalar" else outputs


@pytest.mark.medium
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "layer", "blocks_per_stage": 2, "attention": (0, 2)},
        {"norm": "none", "channels": (3, 4), "attention": ()},
        {"out_size": SIZE},
        {"out_size": 3},
    ],
    ids=str,
)
def test_outputs_are_those_of_numpy(options):
    net = make(**options)
    found = eqx.filter_jit(eqx.filter_vmap(net))(X)
    expected = np.stack([numpy_unet(net, x) for x in X])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("out_size", ["scalar", SIZE])
def test_a_condition_scales_and_shifts_within_each_block(out_size):
    net = make(out_size=out_size, condition_size=5)
    condition = points(1, (5,))[0]
    found = eqx.filter_jit(net)(X[0], condition)
    expected = numpy_unet(net, X[0], np.asarray(condition, np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(ValueError, match="takes a condition"):
        net(X[0])


def test_attention_is_that_of_jax():
    attention = filled(lambda key: Attention(6, 3, make_norm("none", 6), key=key))
    x = points(1, (2, 4, 6))[0]
    query, key, value = jnp.split(x.reshape(1, 8, 6) @ attention.inner, 3, -1)
    heads = (a.reshape(1, 8, 3, 2) for a in (query, key, value))
    mixed = jax.nn.dot_product_attention(*heads, implementation="xla").reshape(8, 6)
    expected = x + (mixed @ attention.outer).reshape(x.shape)
    np.testing.assert_allclose(attention(x), expected, rtol=1e-5, atol=1e-6)


def test_attention_is_the_identity_at_first():
    attention = Attention(4, 1, make_norm("group", 4), key=KEY)
    x = points(1, (2, 2, 4))[0]
    np.testing.assert_array_equal(attention(x), x)


@pytest.mark.medium
def test_second_derivatives_are_those_of_differences():
    with jax.enable_x64(True):
        numbers, rest = eqx.partition(make(), eqx.is_inexact_array)
        numbers = jax.tree.map(lambda a: a.astype(jnp.float64), numbers)
        x = jnp.asarray(X[0], jnp.float64)
        direction = jax.random.normal(KEY, x.shape, x.dtype)

        @jax.jit
        def slope(numbers, x):  # of the energy along a direction
            return jax.jvp(eqx.combine(numbers, rest), (x,), (direction,))[1]

        by_rule = jax.jit(jax.grad(slope))(numbers, x)
        step = jax.tree.map(
            lambda a: jax.random.normal(jax.random.key(a.size), a.shape, a.dtype), numbers
        )
        exact = sum(
            jnp.vdot(a, b)
            for a, b in zip(jax.tree.leaves(by_rule), jax.tree.leaves(step), strict=True)
        )

        def moved(by):
            return slope(jax.tree.map(lambda a, b: a + by * b, numbers, step), x)

        difference = (moved(1e-6) - moved(-1e-6)) / 2e-6
        np.testing.assert_allclose(exact, difference, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["linear", "inner", "squared"])
def test_an_energy_over_noise_levels_of_each_head_is_trained_and_sampled(head):
    options = {"channels": (4, 4), "condition_size": 4, "attention": (1,), "num_heads": 2}
    out_size = "scalar" if head == "linear" else SIZE
    net = UNet(SHAPE, out_size=out_size, key=KEY, **options)
    energy = NoiseConditional(net, geometric_levels(0.1, 8.0, 4), head=head, key=KEY)
    trainer = Trainer(optax.adam(1e-3), PerturbedLevels(), noise_level_loss)
    state = trainer.init(energy, key=KEY)
    batches = [np.asarray(points(8, SHAPE))] * 3
    state, history = ebmx.fit(trainer, state, batches, num_steps=3, key=KEY, progress=False)
    assert int(state.skipped) == 0
    assert float(history["score_loss"][-1]) < 2.0
    drawn = sample_levels(state.energy, 4, corrector=HMC(0.1, 2), key=KEY)
    assert drawn.x.shape == (4, *SHAPE)
    assert np.all(np.isfinite(drawn.x))


@pytest.mark.medium
def test_a_pyramid_adds_energies_of_means_of_pixels():
    energies = [
        filled(lambda key, s=shape: ConvNet(s, (3,), hidden_dims=(2,), key=key))
        for shape in ((7, 4, 2), (3, 2, 2), (1, 1, 2))
    ]
    pyramid = MultiScale(energies)
    assert pyramid.shape == (7, 4, 2)
    x = points(1, (7, 4, 2))[0]
    half = np.asarray(x)[:6].reshape(3, 2, 2, 2, 2).mean((1, 3))
    quarter = half[:2].reshape(1, 2, 1, 2, 2).mean((1, 3))
    parts = [energy(part) for energy, part in zip(energies, (x, half, quarter), strict=True)]
    np.testing.assert_allclose(pyramid(x), sum(parts), rtol=1e-5)
    whole = MultiScale([energies[0], Function(lambda x: jnp.sum(x**2), (3, 2, 2))])
    np.testing.assert_allclose(whole(x), parts[0] + np.sum(half**2), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (4,)}, r"channels=\(4,\): give the channels of at least two"),
        ({"channels": (4,) * 5}, "no pixels left to halve: give fewer than 5"),
        ({"attention": (3,)}, r"attention=\(3,\): give stages from 0 to 2"),
        ({"attention": (1,), "num_heads": 4}, "num_heads=4: .*divides the 6 channels"),
        ({"norm": "batch"}, "norm='batch'"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        UNet(SHAPE, **({"channels": (4, 6, 8)} | options), key=KEY)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([], r"energies=\(\)"),
        ([(4, 4, 1), (3, 2, 1)], r"energies\[1\].shape=.*give an energy of \(2, 2, 1\)"),
        ([(1, 1, 1), (1, 1, 1)], r"energies\[1\].shape=.*no pixels left"),
    ],
)
def test_bad_pyramids_are_named(shapes, message):
    energies = [ConvNet(shape, (2,), key=KEY) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        MultiScale(energies)


@pytest.mark.medium
def test_a_residual_network_attends_after_the_blocks_of_a_stage():
    options = {"strides": (1, 2), "blocks_per_stage": 2, "norm": "group"}
    net = filled(
        lambda key: ResNet(SHAPE, (4, 6), attention=(0,), num_heads=2, key=key, **options)
    ).network
    assert [attention is not None for attention in net.attentions] == [False, True, False, False]
    x = numpy_convolution(net.stem, np.asarray(X[0], np.float64))
    for block, attention in zip(net.blocks, net.attentions, strict=True):
        x = numpy_stage(Stage((block,), attention), x, None)
    expected = numpy_dense(net.layers, SILU, SILU(x).sum((0, 1)))
    found = eqx.filter_jit(net)(X[0], None)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with pytest.raises(ValueError, match=r"attention=\(2,\): give stages from 0 to 1"):
        ResNet(SHAPE, (4, 6), attention=(2,), key=KEY)
