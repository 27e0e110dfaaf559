"""Convolution with channels last that is fast inside a chain, on a CPU and elsewhere."""

import functools
import math
import operator
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ... import _checks
from ..._types import Key

_SMALL = 32  # numbers under the kernel, up to which a sum is faster than a product over patches


class Convolution(eqx.Module):
    """A two-dimensional convolution of one image `(height, width, channel)`.

    On a CPU it is a matrix product over patches, or a sum over the pixels of small kernels: XLA
    runs `lax.conv` inside `lax.scan` on a slow path there
    (https://github.com/jax-ml/jax/issues/12868). Elsewhere it is `lax.conv`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        size: height and width of the kernel, in pixels.
        stride: in pixels, the same on both axes.
        padding: in pixels, the same on both axes.
        key: a key for the initial weights, uniform on `±1/√(size² · in_channels)`.

    Raises:
        ValueError: if a size is not a whole number in its range.
    """

    weight: jax.Array  # (kernel height, kernel width, in, out)
    bias: jax.Array
    stride: int = eqx.field(static=True)
    padding: int = eqx.field(static=True)

    def __init__(
        self, in_channels: int, out_channels: int, size: int, stride: int, padding: int, *, key: Key
    ):
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "size": size}
        for name, value in {**sizes, "stride": stride}.items():
            _checks.at_least(name, value, 1)
        _checks.at_least("padding", padding, 0)
        weight_key, bias_key = jax.random.split(key)
        limit = 1 / math.sqrt(size * size * in_channels)
        shape = (size, size, in_channels, out_channels)
        self.weight = jax.random.uniform(weight_key, shape, minval=-limit, maxval=limit)
        self.bias = jax.random.uniform(bias_key, (out_channels,), minval=-limit, maxval=limit)
        self.stride = stride
        self.padding = padding

    def __call__(self, x: jax.Array) -> jax.Array:
        height, width, in_channels, _ = self.weight.shape
        small = height * width * in_channels <= _SMALL and self.out_size(x.shape[0]) > 1
        on_cpu, elsewhere = (
            partial(function, stride=self.stride, padding=self.padding)
            for function in (_sum if small else _patches, _direct)
        )
        product = lax.platform_dependent(x, self.weight, cpu=on_cpu, default=elsewhere)
        return product + self.bias[None, None]

    def out_size(self, size: int) -> int:
        """Height or width of the output for that of the input."""
        return (size + 2 * self.padding - self.weight.shape[0]) // self.stride + 1


def _direct(x: jax.Array, weight: jax.Array, *, stride: int, padding: int) -> jax.Array:
    pads = [(padding, padding)] * 2
    dims = ("NHWC", "HWIO", "NHWC")
    strides = (stride, stride)
    return lax.conv_general_dilated(x[None], weight, strides, pads, dimension_numbers=dims)[0]


def _patches(x: jax.Array, weight: jax.Array, *, stride: int, padding: int) -> jax.Array:
    height, width, _, out_channels = weight.shape
    x = jnp.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    places = [(i, j) for i in range(height) for j in range(width)]
    taps = [_tap(x, place, (height, width), stride) for place in places]
    return jnp.concatenate(taps, axis=-1) @ weight.reshape(-1, out_channels)


def _sum(x: jax.Array, weight: jax.Array, *, stride: int, padding: int) -> jax.Array:
    """A sum over the pixels under the kernel, which needs no copies of them.

    Its derivatives are those of `_patches`: its own transpose is slow.
    """
    derivative = partial(_patches, stride=stride, padding=padding)

    @jax.custom_jvp
    def convolve(x: jax.Array, weight: jax.Array) -> jax.Array:
        return _sum_of_taps(x, weight, stride, padding)

    @convolve.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
        (x, weight), (dx, dweight) = primals, tangents
        return convolve(x, weight), derivative(dx, weight) + derivative(x, dweight)

    return convolve(x, weight)


def _sum_of_taps(x: jax.Array, weight: jax.Array, stride: int, padding: int) -> jax.Array:
    height, width, channels, _ = weight.shape
    x = jnp.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    places = [(i, j) for i in range(height) for j in range(width)]
    taps = [(place, _tap(x, place, (height, width), stride)) for place in places]

    def rows(part: slice) -> jax.Array:
        products = [
            tap[part, :, c : c + 1] * weight[i, j, c][None, None]
            for (i, j), tap in taps
            for c in range(channels)
        ]
        return functools.reduce(operator.add, products)

    # in two halves: XLA fuses a single sum into each of its uses and so computes it repeatedly
    half = taps[0][1].shape[0] // 2
    return jnp.concatenate([rows(slice(None, half)), rows(slice(half, None))])


def _tap(x: jax.Array, place: tuple[int, int], size: tuple[int, int], stride: int) -> jax.Array:
    """For each output, the input pixel under one entry of the kernel."""
    (i, j), (height, width, channels) = place, x.shape
    end_i = i + (height - size[0]) // stride * stride + 1
    end_j = j + (width - size[1]) // stride * stride + 1
    return lax.slice(x, (i, j, 0), (end_i, end_j, channels), (stride, stride, 1))
