"""Both ways of the convolution, matrix product and `lax.conv`, are the same function."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import points
from jax import lax
from reference import filled

from ebmx.energies import Convolution
from ebmx.energies.networks._convolution import _direct, _patches, _sum

# kernel, stride, padding, height, width
CASES = [
    (3, 2, 1, 8, 7),
    (2, 1, 0, 6, 6),
    (5, 2, 4, 7, 8),
    (1, 1, 0, 5, 4),
    (2, 3, 2, 9, 8),
    (3, 2, 0, 3, 6),
]


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


def case_of(case):
    size, stride, padding, height, width = case
    layer = filled(lambda key: Convolution(2, 3, size, stride, padding, key=key))
    return layer, points(1, (height, width, 2))[0]


@pytest.mark.parametrize("case", CASES)
def test_convolution_and_its_derivatives_are_those_of_lax(case):
    layer, x = case_of(case)
    _, stride, padding, height, width = case
    tangent = points(1, x.shape, seed=1)[0]

    def everything(function):
        def loss(x, weight, bias):
            values = function(x, weight, bias)
            return jnp.sum(jnp.sin(values)), values

        def slopes(x):
            return jax.grad(loss, (0, 1, 2), has_aux=True)(x, layer.weight, layer.bias)

        (gradients, values), (bends, _) = jax.jvp(slopes, (x,), (tangent,))
        return values, gradients, bends

    def ours(x, weight, bias):
        return eqx.tree_at(lambda c: (c.weight, c.bias), layer, (weight, bias))(x)

    def theirs(x, weight, bias):
        return reference(weight, bias, x, stride, padding)

    got, truth = jax.jit(lambda: (everything(ours), everything(theirs)))()
    assert got[0].shape == (layer.out_size(height), layer.out_size(width), 3)
    assert all(np.max(np.abs(bend)) > 1e-3 for bend in truth[2])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5), got, truth)


@pytest.mark.parametrize("case", [CASES[0], CASES[4]])
def test_all_ways_agree_on_any_platform(case):
    layer, x = case_of(case)
    options = {"stride": case[1], "padding": case[2]}
    ways = _direct, _patches, _sum
    one, *others = jax.jit(lambda: [f(x, layer.weight, **options) for f in ways])()
    for other in others:
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_convolution_inside_scan_under_vmap():
    layer, x = case_of(CASES[1])
    x = jnp.stack([x, 2 * x, -x])

    def descend(function, x):
        def step(x, _):
            x = x - 0.1 * jax.grad(lambda x: jnp.sum(jnp.tanh(function(x)) ** 2))(x)
            return x, jnp.sum(x)

        return lax.scan(step, x, length=4)

    def truth(x):
        return reference(layer.weight, layer.bias, x, layer.stride, layer.padding)

    got, want = jax.jit(jax.vmap(lambda x: (descend(layer, x), descend(truth, x))))(x)
    assert float(jnp.max(jnp.abs(got[0] - x))) > 0.01
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), got, want)


def test_initial_weights_are_uniform_within_the_documented_limit():
    layer = eqx.filter_jit(lambda key: Convolution(8, 64, 3, 1, 1, key=key))(jax.random.key(1))
    limit = 1 / np.sqrt(9 * 8)
    for numbers in (np.asarray(layer.weight), np.asarray(layer.bias)):
        assert limit * 0.9 < np.max(np.abs(numbers)) <= limit
        uniform = scipy.stats.uniform(-limit, 2 * limit)
        assert scipy.stats.kstest(np.ravel(numbers), uniform.cdf).pvalue > 1e-4
    # and drawn apart
    assert not np.isclose(layer.weight[0, 0, 0, 0], layer.bias[0])


def test_each_platform_takes_its_own_way():
    # lowered for a GPU without one: there it is a convolution, on a CPU a product over patches
    layer, x = case_of(CASES[2])

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(layer(x) ** 2))(x)

    traced = jax.jit(jax.vmap(gradient)).trace(x[None])
    texts = {name: traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "cuda")}
    assert "stablehlo.convolution" in texts["cuda"]
    assert "stablehlo.convolution" not in texts["cpu"]
    assert "stablehlo.dot_general" in texts["cpu"]
    assert "stablehlo.dot_general" not in texts["cuda"]
