"""Both ways of the convolution, matrix product and `lax.conv`, are the same function."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ebmx.energies import Convolution
from ebmx.energies._convolution import _direct, _patches

# kernel, stride, padding, height, width
CASES = [(3, 2, 1, 8, 7), (3, 1, 0, 6, 6), (5, 2, 4, 7, 8), (1, 1, 0, 5, 4), (4, 3, 2, 9, 8)]


def reference(weight, bias, x, stride, padding):
    """The convolution in the channels-first layout, the last resort of independence."""
    product = lax.conv_general_dilated(
        jnp.moveaxis(x, -1, 0)[None],
        jnp.transpose(weight, (3, 2, 0, 1)),
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
        precision="highest",
    )[0]
    return jnp.moveaxis(product, 0, -1) + bias[None, None]


def case_of(case, key):
    size, stride, padding, height, width = case
    layer_key, x_key = jax.random.split(key)
    layer = Convolution(2, 3, size, stride, padding, key=layer_key)
    return layer, jax.random.normal(x_key, (height, width, 2))


@pytest.mark.parametrize("case", CASES)
def test_convolution_and_its_derivatives_are_those_of_lax(case, getkey):
    layer, x = case_of(case, getkey())
    _, stride, padding, height, width = case
    tangent = jax.random.normal(getkey(), x.shape)

    def everything(function):
        def loss(x, weight, bias):
            return jnp.sum(jnp.sin(function(x, weight, bias)))

        def along(x):
            return jax.grad(loss)(x, layer.weight, layer.bias)

        values = function(x, layer.weight, layer.bias)
        gradients = jax.grad(loss, (0, 1, 2))(x, layer.weight, layer.bias)
        return values, gradients, jax.jvp(along, (x,), (tangent,))[1]

    def ours(x, weight, bias):
        return eqx.tree_at(lambda c: (c.weight, c.bias), layer, (weight, bias))(x)

    got = jax.jit(lambda: everything(ours))()
    truth = jax.jit(lambda: everything(lambda x, w, b: reference(w, b, x, stride, padding)))()
    assert got[0].shape == (layer.out_size(height), layer.out_size(width), 3)
    assert float(jnp.max(jnp.abs(truth[2]))) > 1e-3
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5), got, truth)


@pytest.mark.parametrize("case", [CASES[0], CASES[4]])
def test_both_paths_agree_on_any_platform(case, getkey):
    layer, x = case_of(case, getkey())
    both = [f(x, layer.weight, stride=case[1], padding=case[2]) for f in (_direct, _patches)]
    np.testing.assert_allclose(*both, rtol=1e-4, atol=1e-5)


def test_convolution_inside_scan_under_vmap(getkey):
    layer, x = case_of(CASES[0], getkey())
    x = jnp.stack([x, 2 * x, -x])

    def descend(function, x):
        def step(x, _):
            x = x - 0.1 * jax.grad(lambda x: jnp.sum(jnp.tanh(function(x)) ** 2))(x)
            return x, jnp.sum(x)

        return lax.scan(step, x, length=4)

    def truth(x):
        return reference(layer.weight, layer.bias, x, layer.stride, layer.padding)

    got = jax.jit(jax.vmap(lambda x: descend(layer, x)))(x)
    want = jax.jit(jax.vmap(lambda x: descend(truth, x)))(x)
    assert float(jnp.max(jnp.abs(got[0] - x))) > 0.01
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), got, want)


def test_initial_weights_are_uniform_within_the_documented_limit(getkey):
    layer = Convolution(8, 64, 3, 1, 1, key=getkey())
    limit = 1 / np.sqrt(9 * 8)
    assert limit * 0.99 < float(jnp.max(jnp.abs(layer.weight))) <= limit
    assert float(jnp.max(jnp.abs(layer.bias))) <= limit
    np.testing.assert_allclose(jnp.std(layer.weight), limit / np.sqrt(3), rtol=0.03)


def test_each_platform_takes_its_own_way(getkey):
    # lowered for a GPU without one: there it is a convolution, on a CPU a product over patches
    layer, x = case_of(CASES[2], getkey())

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(layer(x) ** 2))(x)

    traced = jax.jit(jax.vmap(gradient)).trace(x[None])
    texts = {name: traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "cuda")}
    assert "stablehlo.convolution" in texts["cuda"]
    assert "stablehlo.convolution" not in texts["cpu"]
    assert "stablehlo.dot_general" in texts["cpu"]
    assert "stablehlo.dot_general" not in texts["cuda"]
