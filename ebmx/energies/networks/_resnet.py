"""Residual networks."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Key, Scalar, X
from .._base import AbstractEnergy, AbstractStatefulEnergy, OutSize
from .._precision import cast_input, cast_layers, resolve_dtype
from ._activations import resolve_activation
from ._attention import Attention, check_stages
from ._convnet import Sizes, check_head, image_shape, per_layer, pool
from ._convolution import Convolution
from ._mlp import apply_layers, dense_layers, num_outputs
from ._modulation import Modulation, check_given, modulated, modulations

NormState = eqx.nn.State | None
Norm = Literal["none", "layer", "group", "batch"]


class ChannelNorm(eqx.Module):
    """A normalisation of equinox, which takes channels first, on one channels-last image."""

    layer: Any

    def __call__(self, x: jax.Array, state: Any) -> tuple[jax.Array, Any]:
        if self.layer is None:
            return x, state
        # running statistics are not kept in half precision
        full = jnp.moveaxis(x, -1, 0).astype(float)
        normed, state = self.layer(full, state)
        return jnp.moveaxis(normed, 0, -1).astype(x.dtype), state


class ResidualBlock(eqx.Module):
    """`skip(x) + conv(act(norm(conv(act(norm(x))))))`, He et al. (2016), "Identity mappings".

    The skip is a 1×1 convolution where shapes change. There is no norm on the skip, so that the
    energy depends on the contrast of an image.
    """

    norms: tuple[ChannelNorm, ChannelNorm]
    convolutions: tuple[Convolution, Convolution]
    skip: Convolution | None
    modulation: Modulation | None
    activation: Callable = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        norm: Norm,
        activation: Any,
        condition_size: int | None,
        *,
        key: Key,
    ):
        keys = jax.random.split(key, 3)
        self.norms = make_norm(norm, in_channels), make_norm(norm, channels)
        self.convolutions = (
            Convolution(in_channels, channels, 3, stride, 1, key=keys[0]),
            Convolution(channels, channels, 3, 1, 1, key=keys[1]),
        )
        self.skip = None
        if stride > 1 or in_channels != channels:
            self.skip = Convolution(in_channels, channels, 1, stride, 0, key=keys[2])
        (self.modulation,) = modulations(condition_size, (channels,), key=key)
        self.activation = activation

    def __call__(
        self, x: jax.Array, state: NormState, condition: jax.Array | None
    ) -> tuple[jax.Array, NormState]:
        branch, state = self.norms[0](x, state)
        branch, state = self.norms[1](self.convolutions[0](self.activation(branch)), state)
        branch = modulated(self.modulation, branch, condition)
        branch = self.convolutions[1](self.activation(branch))
        return (x if self.skip is None else self.skip(x)) + branch, state


class ResidualNetwork(eqx.Module):
    """A convolution, residual blocks, a head and one linear layer: what both energies hold."""

    shape: tuple[int, ...] = eqx.field(static=True)
    stem: Convolution
    blocks: tuple[ResidualBlock, ...]
    attentions: tuple[Attention | None, ...]  # after each block
    layers: tuple[eqx.nn.Linear, ...]
    activation: Callable = eqx.field(static=True)
    head: str = eqx.field(static=True)
    compute_dtype: str | None = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        strides: Sizes,
        blocks_per_stage: int,
        out_size: OutSize,
        norm: Norm,
        activation: str | Callable,
        head: str,
        compute_dtype: str | None,
        condition_size: int | None,
        attention: Sequence[int] = (),
        num_heads: int = 4,
        *,
        key: Key,
    ):
        self.shape = image_shape(shape)
        self.head = check_head(head)
        dims = _checks.dimensions("channels", channels)
        _checks.require(bool(dims), "channels", dims, "give the channels of at least one stage")
        steps = per_layer("strides", strides, len(dims))
        _checks.at_least("blocks_per_stage", blocks_per_stage, 1)
        _checks.at_least("num_heads", num_heads, 1)
        self.activation = resolve_activation(activation)
        self.compute_dtype = resolve_dtype(compute_dtype)

        stem_key, dense_key, block_key = jax.random.split(key, 3)
        self.stem = Convolution(self.shape[2], dims[0], 3, 1, 1, key=stem_key)
        # the first block of a stage has its stride and changes the channels
        specs: list[tuple[int, int, int]] = []
        for before, dim, step in zip((dims[0], *dims), dims, steps, strict=False):
            specs += [(before, dim, step), *[(dim, dim, 1)] * (blocks_per_stage - 1)]
        keys = jax.random.split(block_key, len(specs))
        self.blocks = tuple(
            ResidualBlock(*spec, norm, self.activation, condition_size, key=k)
            for spec, k in zip(specs, keys, strict=True)
        )
        attention = check_stages("attention", attention, len(dims))
        last = [stage for stage in range(len(dims)) for _ in range(blocks_per_stage)]
        self.attentions = tuple(
            Attention(
                dims[stage], num_heads, make_norm(norm, dims[stage]), key=jax.random.fold_in(k, 1)
            )
            if stage in attention and (i + 1) % blocks_per_stage == 0
            else None
            for i, (stage, k) in enumerate(zip(last, keys, strict=True))
        )
        height, width = (-(-size // math.prod(steps)) for size in self.shape[:2])
        features = dims[-1] * (height * width if head == "flatten" else 1)
        self.layers = dense_layers((features, num_outputs(out_size)), key=dense_key)

    def __call__(
        self, x: X, state: NormState, condition: jax.Array | None = None
    ) -> tuple[jax.Array, NormState]:
        """The outputs for one image, and the state of the norms after it, if they have one."""
        _checks.example(x, self.shape)
        layers = self.stem, self.blocks, self.attentions
        stem, blocks, attentions = cast_layers(layers, self.compute_dtype)
        x = stem(cast_input(x, self.compute_dtype, self.layers))
        for block, attention in zip(blocks, attentions, strict=True):
            x, state = block(x, state, condition)
            x = x if attention is None else attention(x)
        # the sum over many pixels is not taken in half precision
        x = pool(self.activation(x.astype(self.layers[-1].weight.dtype)), self.head)
        return apply_layers(self.layers, self.activation, x), state


class ResNet(AbstractEnergy):
    """A convolution, residual blocks and a linear layer for images: an energy, or features.

    The norms here are without state. Those with one have energies of their own:
    `eqx.nn.make_with_state(BatchNormResNet)(shape, key=key)` for batch norm, and
    `eqx.nn.make_with_state(SpectralNorm)(ResNet(shape, key=key), key=key)` for spectral norm. With
    each of them the energy depends on the contrast of an image.

    Args:
        shape: the shape of one image, `(height, width, channel)`.
        channels: the channels of each stage.
        out_size: as for `MLP`.
        strides: of the stages, in pixels, one for all or one each.
        blocks_per_stage: how many residual blocks, at least 1.
        attention: the stages with self-attention after their blocks, counted from 0.
        num_heads: of each attention.
        norm: `"none"`, `"layer"` (over the whole image) or `"group"` (up to 8 groups of channels).
        activation: as for `MLP`.
        head: `"sum"` adds each feature over the image, `"flatten"` keeps where it is.
        compute_dtype: as for `MLP`.
        condition_size: as for `MLP`; the condition scales and shifts features within each block.
        key: a key for the initial weights.

    Raises:
        ValueError: if a size does not fit, or a name is unknown.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    out_size: OutSize = eqx.field(static=True)
    network: ResidualNetwork
    condition_size: int | None = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int] = (32, 64, 128),
        *,
        out_size: OutSize = "scalar",
        strides: Sizes = 2,
        blocks_per_stage: int = 1,
        attention: Sequence[int] = (),
        num_heads: int = 4,
        norm: Literal["none", "layer", "group"] = "none",
        activation: str | Callable = "silu",
        head: Literal["flatten", "sum"] = "sum",
        compute_dtype: str | None = None,
        condition_size: int | None = None,
        key: Key,
    ):
        fix = "give 'none', 'layer' or 'group'; batch norm is BatchNormResNet, spectral norm "
        fix += "eqx.nn.make_with_state(SpectralNorm)(ResNet(...), key=key)"
        _checks.require(norm in ("none", "layer", "group"), "norm", repr(norm), fix)
        sizes = shape, channels, strides, blocks_per_stage
        more = out_size, norm, activation, head, compute_dtype, condition_size, attention, num_heads
        self.network = ResidualNetwork(*sizes, *more, key=key)
        self.shape, self.out_size = self.network.shape, out_size
        self.condition_size = condition_size

    def __call__(self, x: X, condition: jax.Array | None = None) -> jax.Array:
        check_given(self.condition_size, condition)
        outputs, _ = self.network(x, None, condition)
        return outputs[0] if self.out_size == "scalar" else outputs


class BatchNormResNet(AbstractStatefulEnergy):
    """`ResNet` with batch norm, whose running statistics move in `advance` alone.

    Make it and its state with `eqx.nn.make_with_state(BatchNormResNet)(shape, key=key)`;
    `trainer.init(energy, state, key=key)` takes both, and `freeze(energy, state)` is the energy.
    Arguments and errors are as for `ResNet`.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    network: ResidualNetwork

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int] = (32, 64, 128),
        *,
        strides: Sizes = 2,
        blocks_per_stage: int = 1,
        activation: str | Callable = "silu",
        head: Literal["flatten", "sum"] = "sum",
        compute_dtype: str | None = None,
        key: Key,
    ):
        sizes = shape, channels, strides, blocks_per_stage
        self.network = ResidualNetwork(
            *sizes, "scalar", "batch", activation, head, compute_dtype, None, key=key
        )
        self.shape = self.network.shape

    def __call__(self, x: X, state: eqx.nn.State) -> tuple[Scalar, eqx.nn.State]:
        outputs, after = self.network(x, state)
        assert after is not None
        return outputs[0], after


def make_norm(norm: Norm, channels: int) -> ChannelNorm:
    """The norm of this name for so many channels."""
    if norm == "none":
        return ChannelNorm(None)
    if norm == "batch":
        return ChannelNorm(_batch_norm(channels))
    if norm == "layer":
        return ChannelNorm(eqx.nn.GroupNorm(1, channels))
    fix = "give at least 2 channels, since one that is normalised alone loses its scale"
    _checks.require(channels > 1, "channels", channels, fix)
    groups = math.gcd(channels, 8)
    return ChannelNorm(eqx.nn.GroupNorm(min(groups, channels // 2), channels))


def _batch_norm(channels: int) -> eqx.nn.BatchNorm:
    """Running averages that are those of the first batch after one `advance`.

    In mode `"batch"` of equinox 0.13 the average of the variance starts at 1 and is then divided by
    `1 - momentum^count`: 99 too large after the first batch. In mode `"ema"` it starts empty.
    """
    norm = eqx.nn.BatchNorm(channels, axis_name="batch", mode="ema")
    start = eqx.nn.StateIndex((jnp.zeros(channels), jnp.ones(channels)))
    return eqx.tree_at(lambda n: n.ema_state_index, norm, start)
