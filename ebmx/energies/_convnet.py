"""Convolutional networks."""

from collections.abc import Callable, Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Key, Scalar, X
from ._activations import resolve_activation
from ._base import AbstractEnergy
from ._convolution import Convolution
from ._mlp import apply_dense, dense_layers

Sizes = int | Sequence[int]


class ConvNet(AbstractEnergy):
    """Convolutions with an activation after each, a head, and one linear output.

    Images are channels-last: `(height, width, channel)`.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    convolutions: tuple[Convolution, ...]
    layers: tuple[eqx.nn.Linear, ...]
    activation: Callable = eqx.field(static=True)
    head: str = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        widths: Sequence[int] = (32, 64, 64),
        *,
        kernel_sizes: Sizes = 3,
        strides: Sizes = 2,
        paddings: Sizes | None = None,
        hidden_dims: Sequence[int] = (64,),
        activation: str | Callable = "silu",
        head: Literal["flatten", "sum"] = "flatten",
        key: Key,
    ):
        """**Arguments:**

        - `shape`: the shape of one image, `(height, width, channel)`.
        - `widths`: the channels after each convolution.
        - `kernel_sizes`, `strides`, `paddings`: in pixels, one for all convolutions or one each.
            The default padding is half the kernel.
        - `hidden_dims`: the widths of the linear layers between head and output.
        - `activation`: a function, or the name of one, such as `"silu"`.
        - `head`: `"flatten"` keeps where a feature is, `"sum"` adds each over the image.
        - `key`: a key for the initial weights.

        **Raises:**

        `ValueError` if a size does not fit, so that no pixel would be left, or a name is unknown.
        """
        self.shape = _checks.dimensions("shape", shape)
        _checks.require(len(shape) == 3, "shape", shape, "give (height, width, channel)")
        _checks.require(head in ("flatten", "sum"), "head", repr(head), "give 'flatten' or 'sum'")
        widths = _checks.dimensions("widths", widths)
        kernels = _per_layer("kernel_sizes", kernel_sizes, len(widths))
        steps = _per_layer("strides", strides, len(widths))
        pads = tuple(k // 2 for k in kernels)
        if paddings is not None:
            pads = _per_layer("paddings", paddings, len(widths), lowest=0)
        self.activation = resolve_activation(activation)
        self.head = head

        conv_key, dense_key = jax.random.split(key)
        keys = jax.random.split(conv_key, len(widths))
        channels = (self.shape[2], *widths)
        specs = zip(channels[:-1], widths, kernels, steps, pads, strict=True)
        self.convolutions = tuple(
            Convolution(*spec, key=k) for spec, k in zip(specs, keys, strict=True)
        )
        features = _num_features(self.convolutions, self.shape, head)
        hidden_dims = _checks.dimensions("hidden_dims", hidden_dims)
        self.layers = dense_layers((features, *hidden_dims, 1), key=dense_key)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        for convolution in self.convolutions:
            x = self.activation(convolution(x))
        x = x.reshape(-1) if self.head == "flatten" else jnp.sum(x, (0, 1))
        return apply_dense(self.layers, self.activation, x)


def _per_layer(name: str, sizes: Sizes, count: int, lowest: int = 1) -> tuple[int, ...]:
    sizes = (sizes,) * count if isinstance(sizes, int) else tuple(sizes)
    _checks.require(len(sizes) == count, name, sizes, f"give one integer, or {count} of them")
    for size in sizes:
        _checks.at_least(name, size, lowest)
    return sizes


def _num_features(convolutions: Sequence[Convolution], shape: tuple[int, ...], head: str) -> int:
    height, width, channels = shape
    for convolution in convolutions:
        height, width = convolution.out_size(height), convolution.out_size(width)
        channels = convolution.weight.shape[-1]
        if min(height, width) < 1:
            _checks.invalid("shape", shape, "too small for these kernels and strides: drop a layer")
    return channels * (height * width if head == "flatten" else 1)
