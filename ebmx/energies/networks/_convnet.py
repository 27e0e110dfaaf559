"""Convolutional networks."""

from collections.abc import Callable, Sequence
from typing import Literal

import equinox as eqx
import jax

from ... import _checks
from ..._types import Key, X
from .._base import AbstractEnergy, OutSize
from .._precision import cast_input, cast_layers, resolve_dtype
from ._activations import resolve_activation
from ._convolution import Convolution
from ._mlp import apply_layers, dense_layers, num_outputs
from ._modulation import Modulation, check_given, modulated, modulations
from .native._energy import check as check_native
from .native._energy import native_energy

Sizes = int | Sequence[int]


class ConvNet(AbstractEnergy):
    """Convolutions with an activation after each, then linear layers: an energy, or features.

    Args:
        shape: the shape of one image, `(height, width, channel)`.
        channels: the channels after each convolution.
        out_size: as for `MLP`.
        kernel_sizes: in pixels, one for all convolutions or one each.
        strides: in pixels, one for all convolutions or one each.
        paddings: in pixels, one for all convolutions or one each; half the kernel if not given.
        hidden_dims: the widths of the linear layers between head and output.
        activation: as for `MLP`.
        head: `"flatten"` keeps where a feature is, `"sum"` adds each over the image.
        compute_dtype: as for `MLP`.
        condition_size: as for `MLP`; the condition scales and shifts each convolution.
        native: on a CPU, compute energies and gradients by the image in a kernel that is compiled
            at its first use, for an energy with `"silu"` in single precision without a condition.
            Needs `pip install 'ebmx[native]'`. Chains differ from those without by rounding.
        key: a key for the initial weights.

    Raises:
        ValueError: if a size does not fit, so that no pixel would be left, a name is unknown, or
            the kernel does not cover the network.
        ImportError: if the kernel is wanted and cannot be built.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> model = ebmx.energies.ConvNet((8, 8, 1), channels=(16, 32), key=jax.random.key(0))
        >>> ebmx.energy(model, jnp.zeros((5, 8, 8, 1))).shape
        (5,)
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    out_size: OutSize = eqx.field(static=True)
    convolutions: tuple[Convolution, ...]
    layers: tuple[eqx.nn.Linear, ...]
    activation: Callable = eqx.field(static=True)
    head: str = eqx.field(static=True)
    compute_dtype: str | None = eqx.field(static=True)
    condition_size: int | None = eqx.field(static=True)
    modulations: tuple[Modulation | None, ...]
    native: bool = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int] = (32, 64, 64),
        *,
        out_size: OutSize = "scalar",
        kernel_sizes: Sizes = 3,
        strides: Sizes = 2,
        paddings: Sizes | None = None,
        hidden_dims: Sequence[int] = (64,),
        activation: str | Callable = "silu",
        head: Literal["flatten", "sum"] = "flatten",
        compute_dtype: str | None = None,
        condition_size: int | None = None,
        native: bool = False,
        key: Key,
    ):
        self.shape = image_shape(shape)
        self.out_size = out_size
        self.head = check_head(head)
        channels = _checks.dimensions("channels", channels)
        fix = "give the channels of at least one convolution, or use an MLP"
        _checks.require(bool(channels), "channels", channels, fix)
        kernels = per_layer("kernel_sizes", kernel_sizes, len(channels))
        steps = per_layer("strides", strides, len(channels))
        paddings = tuple(k // 2 for k in kernels) if paddings is None else paddings
        pads = per_layer("paddings", paddings, len(channels), lowest=0)
        self.activation = resolve_activation(activation)
        self.compute_dtype = resolve_dtype(compute_dtype)

        conv_key, dense_key = jax.random.split(key)
        keys = jax.random.split(conv_key, len(channels))
        before = (self.shape[2], *channels[:-1])
        specs = zip(before, channels, kernels, steps, pads, strict=True)
        self.convolutions = tuple(
            Convolution(*spec, key=k) for spec, k in zip(specs, keys, strict=True)
        )
        features = num_features(self.convolutions, self.shape, head)
        hidden_dims = _checks.dimensions("hidden_dims", hidden_dims)
        self.layers = dense_layers((features, *hidden_dims, num_outputs(out_size)), key=dense_key)
        self.condition_size = condition_size
        self.modulations = modulations(condition_size, channels, key=key)
        self.native = native
        check_native(self)

    def __call__(self, x: X, condition: jax.Array | None = None) -> jax.Array:
        _checks.example(x, self.shape)
        check_given(self.condition_size, condition)
        x = cast_input(x, self.compute_dtype, self.layers)
        return native_energy(_forward, self, x) if self.native else _forward(self, x, condition)

    def with_native(self, native: bool = True) -> "ConvNet":
        """The same network with the compiled kernel, or without it.

        For one that exists: a pretrained one, or one that was trained on another machine.

        Args:
            native: whether energies and gradients come from the kernel.

        Returns:
            A network with the same parameters.

        Raises:
            ValueError: if the kernel does not cover the network.
            ImportError: if the kernel is wanted and cannot be built.

        Examples:
            >>> import jax, ebmx
            >>> net = ebmx.energies.ConvNet((8, 8, 1), key=jax.random.key(0))
            >>> net.with_native(False).native
            False
        """
        _checks.require(isinstance(native, bool), "native", repr(native), "give True or False")
        changed = jax.tree.map(lambda leaf: leaf, self)  # a new module of the same arrays
        object.__setattr__(changed, "native", native)
        check_native(changed)
        return changed


def _forward(net: ConvNet, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
    layers = cast_layers((net.convolutions, net.modulations), net.compute_dtype)
    for convolution, modulation in zip(*layers, strict=True):
        x = net.activation(modulated(modulation, convolution(x), condition))
    x = pool(x, net.head)
    outputs = apply_layers(net.layers, net.activation, x, net.compute_dtype)
    return outputs[0] if net.out_size == "scalar" else outputs


def image_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Check the shape of an image."""
    _checks.require(len(shape) == 3, "shape", shape, "give (height, width, channel)")
    return _checks.dimensions("shape", shape)


def check_head(head: str) -> str:
    """Check the name of a head."""
    _checks.require(head in ("flatten", "sum"), "head", repr(head), "give 'flatten' or 'sum'")
    return head


def pool(x: jax.Array, head: str) -> jax.Array:
    """Features of an image as one vector."""
    return x.reshape(-1) if head == "flatten" else x.sum((0, 1))


def per_layer(name: str, sizes: Sizes, count: int, lowest: int = 1) -> tuple[int, ...]:
    """One size for each layer."""
    sizes = (sizes,) * count if isinstance(sizes, int) else tuple(sizes)
    _checks.require(len(sizes) == count, name, sizes, f"give one integer, or {count} of them")
    for size in sizes:
        _checks.at_least(name, size, lowest)
    return sizes


def num_features(convolutions: Sequence[Convolution], shape: tuple[int, ...], head: str) -> int:
    """How many features the head makes of the last convolution's output."""
    height, width, channels = shape
    for convolution in convolutions:
        height, width = convolution.out_size(height), convolution.out_size(width)
        channels = convolution.weight.shape[-1]
        if min(height, width) < 1:
            _checks.invalid("shape", shape, "too small for these kernels and strides: drop a layer")
    return channels * (height * width if head == "flatten" else 1)
