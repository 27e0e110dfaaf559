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
from ebmx.energies import MLP, ConvNet, ResNet, advance, freeze, resnet

NETWORKS = {
    "mlp": lambda **options: MLP((4, 3, 4), (16, 8), **options),
    "convnet": lambda **options: ConvNet((4, 3, 4), (8, 8), hidden_dims=(8,), **options),
    "residual": lambda **options: ResNet((4, 3, 4), (8,), norm="group", **options),
}
NUM_CONVOLUTIONS = {"mlp": 0, "convnet": 2, "residual": 4}
each = pytest.mark.parametrize("name", NETWORKS)
X = points(8, (4, 3, 4))


@functools.cache
def make(name, dtype=None):
    return filled(lambda key: NETWORKS[name](compute_dtype=dtype, key=key))


def inner(eqn):
    """The jaxprs that an equation holds: branches, bodies of functions."""
    for value in eqn.params.values():
        for part in value if isinstance(value, tuple | list) else [value]:
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                yield part


def products(jaxpr):
    """The name and dtype of each product and convolution, on every platform."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in ("dot_general", "conv_general_dilated"):
            (dtype,) = {str(v.aval.dtype) for v in eqn.invars}
            yield eqn.primitive.name, dtype
        for part in inner(eqn):
            yield from products(part)


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


@each
@pytest.mark.parametrize("dtype", ["float16", None])
def test_all_products_but_the_last_are_in_the_dtype_asked_for(name, dtype):
    found = list(products(jax.make_jaxpr(jax.vmap(make(name, dtype)))(X).jaxpr))
    wanted = dtype or "float32"
    assert found.count(("conv_general_dilated", wanted)) == NUM_CONVOLUTIONS[name]
    assert len(found) > NUM_CONVOLUTIONS[name] + 1
    assert found[-1] == ("dot_general", "float32")
    assert {kind for _, kind in found[:-1]} == {wanted}


def test_batch_norm_keeps_its_statistics_in_full_precision():
    x = 3 + X

    @eqx.filter_jit
    def moved(dtype):
        options = {"compute_dtype": dtype, "strides": 1, "key": jax.random.key(0)}
        energy, state = resnet((4, 3, 4), (4,), norm="batch", **options)
        return energy, advance(energy, state, x)

    def value(dtype):
        energy, state = moved(dtype)
        dtypes = {str(leaf.dtype) for leaf in jax.tree.leaves(state)}
        assert dtypes == {"float32", "bool"}
        return ebmx.energy(freeze(energy, state), x)

    got, truth = value("bfloat16"), value(None)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, truth, atol=0.03 * np.max(np.abs(truth)))


@each
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_energies_are_float64_under_x64(name, dtype):
    with jax.enable_x64(True):

        def value(key, x):
            energy = NETWORKS[name](compute_dtype=dtype, key=key)
            return energy(x), jax.grad(energy)(x)

        x = jnp.zeros((4, 3, 4))
        jaxpr = jax.make_jaxpr(value)(jax.random.key(0), x)
    energy, slope = jaxpr.out_avals
    assert energy.dtype == slope.dtype == jnp.float64
    assert ("dot_general", dtype or "float64") in set(products(jaxpr.jaxpr))


@each
def test_examples_in_half_precision_are_taken(name):
    # `lax.conv`, which is traced beside the matrix product, refuses to mix dtypes
    energy = make(name)
    x = X.astype(jnp.bfloat16)

    def both(energy, x):
        return jax.vmap(jax.value_and_grad(energy))(x)

    values, slopes = eqx.filter_eval_shape(both, energy, x)
    assert values.dtype == jnp.float32
    assert slopes.dtype == jnp.bfloat16
