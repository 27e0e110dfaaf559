"""Networks that compute in half or double precision, with energies in that of their parameters."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import points
from reference import filled

import ebmx
from ebmx.energies import MLP, BatchNormResNet, ConvNet, ResNet, UNet, advance, freeze

NETWORKS = {
    "mlp": lambda **options: MLP((4, 3, 4), (16, 8), **options),
    "convnet": lambda **options: ConvNet((4, 3, 4), (8, 8), hidden_dims=(8,), **options),
    "residual": lambda **options: ResNet((4, 3, 4), (8,), norm="group", **options),
    "unet": lambda **options: UNet((4, 3, 4), (8, 8), attention=(1,), **options),
}
each = pytest.mark.parametrize("name", NETWORKS)
X = points(8, (4, 3, 4))


@functools.cache
def make(name, dtype=None):
    return filled(lambda key: NETWORKS[name](compute_dtype=dtype, key=key))


def parameters(energy):
    return jax.tree.leaves(eqx.filter(energy, eqx.is_inexact_array))


@each
def test_half_precision_is_close_and_ends_in_float32(name):
    full, half = make(name), make(name, "bfloat16")
    for one, other in zip(parameters(full), parameters(half), strict=True):
        np.testing.assert_array_equal(one, other)
        assert other.dtype == jnp.float32
    got, truth = (np.asarray(ebmx.energy(energy, X)) for energy in (half, full))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, truth, atol=0.03 * np.max(np.abs(truth)))
    assert np.max(np.abs(got - truth)) > 1e-5


@eqx.filter_jit
@eqx.filter_grad
def gradient(energy, x):
    return energy(x)


def test_gradients_of_half_precision_are_close_and_float32():
    full, half = make("mlp"), make("mlp", "bfloat16")
    got, truth = ebmx.score(half, X), ebmx.score(full, X)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, truth, atol=0.05 * np.max(np.abs(truth)))
    slopes = parameters(gradient(half, X[0]))
    assert {slope.dtype for slope in slopes} == {jnp.dtype("float32")}
    assert all(np.any(slope != 0) for slope in slopes)


@pytest.mark.medium
def test_batch_norm_keeps_its_statistics_in_full_precision():
    x = 3 + X

    @eqx.filter_jit
    def moved(dtype):
        options = {"compute_dtype": dtype, "strides": 1, "key": jax.random.key(0)}
        make = eqx.nn.make_with_state(BatchNormResNet)
        energy, state = make((4, 3, 4), (4,), **options)
        return energy, advance(energy, state, x)

    def value(dtype):
        energy, state = moved(dtype)
        dtypes = {str(leaf.dtype) for leaf in jax.tree.leaves(state)}
        assert dtypes == {"float32", "bool"}
        return ebmx.energy(freeze(energy, state), x)

    got, truth = value("bfloat16"), value(None)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, truth, atol=0.03 * np.max(np.abs(truth)))
