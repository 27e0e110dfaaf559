"""`ConvNet(native=True)` is the same function, with the same derivatives, as without the kernel."""

import functools
import subprocess
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compiler import compiler  # noqa: F401  # a fixture
from helpers import points
from reference import filled, numpy_convolution, numpy_dense

import ebmx
from ebmx.energies import Box, ConvNet
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer

# shape, channels and options
CASES = {
    "wide": ((7, 28, 1), (4, 17), {"kernel_sizes": 3}),
    "strides": ((9, 12, 3), (5, 7), {"kernel_sizes": (4, 3), "strides": (3, 1)}),
    "no hidden layer": ((7, 5, 2), (3,), {"strides": 1, "paddings": 0, "hidden_dims": ()}),
    "two hidden layers": ((5, 4, 1), (16,), {"hidden_dims": (6, 5)}),
    "sum": ((8, 7, 2), (4, 9), {"head": "sum"}),
    "wide paddings": ((5, 6, 1), (3, 4), {"kernel_sizes": (1, 2), "paddings": (3, 5)}),
    "pixels left out": ((10, 11, 1), (17,), {"kernel_sizes": 7, "strides": 4, "paddings": 0}),
}
SMALL = ((5, 4, 3), (4,), {"hidden_dims": (3,)})


def pair(shape, channels, options):
    """A network without the kernel and with it, of the same weights."""
    make = lambda native: filled(  # noqa: E731
        lambda key: ConvNet(shape, channels, **options, native=native, key=key)
    )
    return make(False), make(True)


@functools.cache
def small():
    return pair(*SMALL)


def test_a_network_takes_the_kernel_and_leaves_it():
    usual, with_kernel = small()
    x = points(8, usual.shape)
    for net, like in ((usual.with_native(), with_kernel), (with_kernel.with_native(False), usual)):
        assert jax.tree.structure(net) == jax.tree.structure(like)
        np.testing.assert_array_equal(slopes(net, x)[1], slopes(like, x)[1])
        with pytest.raises(AttributeError):
            net.native = True
    assert (usual.native, with_kernel.native) == (False, True)
    steep = ConvNet((5, 4, 3), (4,), activation="relu", key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"activation=.*leave native out"):
        steep.with_native()
    wrong: Any = "no"
    with pytest.raises(ValueError, match="native='no': give True or False"):
        usual.with_native(wrong)


@eqx.filter_jit
def slopes(net, x):
    return jax.vmap(jax.value_and_grad(net))(x)


def uses_kernel(function, *args):
    return "ebmx_convnet" in eqx.filter_jit(function).lower(*args).as_text()


def close(got, want):
    """Check that arrays differ by rounding, in units of the largest number of each."""
    got, want = jax.tree.leaves(got), jax.tree.leaves(want)
    assert max(np.max(np.abs(leaf)) for leaf in want) > 1e-2
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.max(np.abs(other)) + 1e-7)


def agree(function, *args):
    """Check that a function of either network gives the same."""
    plain, native = (eqx.filter_jit(function)(net, *args) for net in small())
    close(native, plain)


@pytest.mark.medium
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_by_the_image(case):
    plain, native = pair(*CASES[case])
    x = points(67, plain.shape)
    assert uses_kernel(slopes, native, x)
    energies, gradients = slopes(plain, x)
    assert np.std(energies) > 1e-3
    for num in (1, 3, 9, 64, 67):  # also of part of a vector
        got = slopes(native, x[:num])
        close(got, (energies[:num], gradients[:num]))
    close(ebmx.energy(native, x), energies)


def test_values_are_those_of_numpy():
    net, x = small()[1], points(9, SMALL[0])
    silu = lambda x: x / (1 + np.exp(-x))  # noqa: E731
    for image, energy in zip(np.asarray(x, np.float64), ebmx.energy(net, x), strict=True):
        for convolution in net.convolutions:
            image = silu(numpy_convolution(convolution, image))
        want = numpy_dense(net.layers, silu, image.reshape(-1))[0]
        np.testing.assert_allclose(energy, want, rtol=1e-5)


@pytest.mark.medium
def test_values_far_from_zero_are_right_and_not_finite_ones_stay_so():
    plain, native = small()
    x = jnp.stack(
        [1e3 * jnp.ones(SMALL[0]), -1e3 * jnp.ones(SMALL[0]), jnp.full(SMALL[0], jnp.nan)]
    )
    (want, by_want), (got, by_got) = slopes(plain, x), slopes(native, x)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    np.testing.assert_allclose(by_got[:2], by_want[:2], rtol=1e-4, atol=1e-5)
    assert np.isnan(by_got[2]).all()


def test_an_example_does_not_depend_on_the_others():
    native, x = small()[1], points(67, SMALL[0])
    others = jnp.full_like(x, jnp.nan).at[5:40].set(x[5:40])
    for one, other in zip(slopes(native, x), slopes(native, others), strict=True):
        np.testing.assert_array_equal(one[5:40], other[5:40])
        assert np.isnan(other[40:]).all()


def test_gradients_by_the_parameters_are_left_to_jax():
    loss = lambda net, x: jnp.sum(jax.vmap(net)(x) ** 2)  # noqa: E731
    agree(eqx.filter_grad(loss), points(9, SMALL[0]))
    assert not uses_kernel(eqx.filter_grad(loss), small()[1], points(9, SMALL[0]))


@pytest.mark.medium
def test_second_derivatives():
    x, v = points(2, (9, *SMALL[0]))

    def curvature(net, x, v):
        return jax.jvp(jax.grad(net), (x,), (v,))[1]

    def score_matching(net):
        slope = jax.vmap(jax.grad(net))(x)
        return jnp.sum(slope**2) / 2 - jnp.sum(v * jax.vmap(curvature, (None, 0, 0))(net, x, v))

    def backwards(net):
        return jax.grad(lambda x: jnp.sum(jax.vmap(jax.grad(net))(x) * v))(x)

    def everything(net):
        return eqx.filter_grad(score_matching)(net), backwards(net), jax.hessian(net)(x[0])

    agree(everything)


@pytest.mark.slow
def test_gradients_through_a_chain():
    x = points(9, SMALL[0])

    def end(net, x):
        step = lambda _, x: x - 0.1 * jax.vmap(jax.grad(net))(x)  # noqa: E731
        chain = jax.checkpoint(lambda x: jax.lax.fori_loop(0, 3, step, x))
        return jnp.sum(jax.vmap(net)(chain(x)) ** 2)

    agree(lambda net: (eqx.filter_grad(end)(net, x), jax.grad(lambda x: end(net, x))(x)))


@pytest.mark.medium
def test_a_batch_of_batches_is_one_call():
    twice = lambda net, x: jax.vmap(jax.vmap(jax.value_and_grad(net)), 1)(x)  # noqa: E731
    x = points(3, (4, *SMALL[0]))
    agree(twice, x)
    text = eqx.filter_jit(twice).lower(small()[1], x).as_text()
    assert text.count("@ebmx_convnet") == 1
    assert "tensor<12x5x4x3xf32>" in text


@pytest.mark.medium
def test_networks_of_their_own_for_each_example_are_left_to_jax():
    x = points(9, SMALL[0])

    def ensemble(net):
        arrays, rest = eqx.partition(net, eqx.is_array)
        many = jax.tree.map(lambda a: jnp.stack([k * a for k in range(9)]), arrays)
        one = lambda a, x: jax.value_and_grad(eqx.combine(a, rest))(x)  # noqa: E731
        return jax.vmap(one)(many, x), jax.vmap(lambda a: jax.vmap(lambda x: one(a, x))(x))(many)

    agree(ensemble)
    assert not uses_kernel(ensemble, small()[1])


@pytest.mark.medium
def test_compositions_and_samplers_use_it():
    x, net = points(9, SMALL[0]), small()[1]
    composed = lambda net, x: Box(0.5 * net + net / 2.0, -9.0, 9.0)(x)  # noqa: E731
    agree(lambda net, x: jax.vmap(jax.grad(lambda x: composed(net, x)))(x), x)

    def chain(net, x):
        return ebmx.run(net, Langevin(0.1), x, num_steps=5, key=jax.random.key(0))[0]

    agree(chain, x)
    assert uses_kernel(chain, net, x)
    close(jax.grad(net)(x[0]), slopes(small()[0], x)[1][0])  # not compiled


@pytest.mark.medium
def test_small_batches_are_left_to_jax():
    net = small()[1]
    assert [uses_kernel(slopes, net, points(num, SMALL[0])) for num in (7, 8)] == [False, True]


def test_other_platforms_do_not_have_it():
    traced = jax.jit(jax.vmap(jax.grad(small()[1]))).trace(points(9, SMALL[0]))
    texts = [traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "cuda")]
    assert ["ebmx_convnet" in text for text in texts] == [True, False]


@pytest.mark.medium
def test_single_precision_under_double():
    net, x = small()[1], points(9, SMALL[0])
    want = slopes(net, x)
    with jax.enable_x64():
        got = slopes(net, jnp.asarray(x, jnp.float64))
        assert got[0].dtype == jnp.float32
        assert got[1].dtype == jnp.float64
        jax.tree.map(np.testing.assert_array_equal, got, want)
        double = ConvNet(*SMALL[:2], native=True, key=jax.random.key(0))
        with pytest.raises(ValueError, match="dtype=float64: the kernel computes in float32"):
            double(x[0])


@pytest.mark.medium
def test_training_is_that_without_it():
    x = points(16, SMALL[0])
    negatives = PCD(Langevin(0.1, noise_scale=0.01), 3, capacity=32)
    trainer, ends = Trainer(optax.adam(0.01), negatives), []
    for net in small():
        key = jax.random.key(1)
        state = trainer.init(net, key=key)
        ends.append(
            ebmx.fit(trainer, state, [x] * 5, num_steps=5, key=key, progress=False)[0].energy
        )
    moves = [jax.tree.map(jnp.subtract, end, net) for end, net in zip(ends, small(), strict=True)]
    assert max(np.max(np.abs(leaf)) for leaf in jax.tree.leaves(moves[0])) > 0.02
    for plain, native in zip(*map(jax.tree.leaves, moves), strict=True):
        np.testing.assert_allclose(native, plain, atol=1e-4)


MESH = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np, ebmx
from ebmx.samplers import Langevin
net = ebmx.energies.ConvNet((6, 5, 3), (3, 4), native=True, key=jax.random.key(0))
x = np.random.default_rng(0).normal(size=(16, 6, 5, 3)).astype(np.float32)
mesh = jax.make_mesh((2,), ("data",))
options = {"num_steps": 3, "key": jax.random.key(0)}
ends = [ebmx.run(net, Langevin(0.1), x, mesh=m, **options)[0] for m in (None, mesh)]
np.testing.assert_allclose(*ends, atol=1e-5)
automatic = jax.sharding.Mesh(mesh.devices, mesh.axis_names)
parts = jax.device_put(x, jax.sharding.NamedSharding(automatic, jax.sharding.PartitionSpec("data")))
text = jax.jit(jax.vmap(jax.grad(net))).lower(parts).compile().as_text()
assert "f32[8,6,5,3]" in text and "ebmx_convnet" in text and "all-gather" not in text
"""


@pytest.mark.slow
def test_each_device_of_a_mesh_does_its_part():
    done = subprocess.run([sys.executable, "-c", MESH], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "gelu"}, "activation=.*silu"),
        ({"compute_dtype": "bfloat16"}, "compute_dtype=bfloat16: .*float32"),
        ({"condition_size": 3}, "condition_size=3: .*without a condition"),
        ({"out_size": 4}, "out_size=4: .*energies alone"),
        ({"native": 1}, "native=1: give a bool"),
    ],
)
def test_what_it_does_not_cover_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ConvNet(*SMALL[:2], **{"native": True} | options, key=jax.random.key(0))
