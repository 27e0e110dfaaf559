"""U-Nets: from an image down to coarse features and up again."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Key, X
from .._base import AbstractEnergy, OutSize
from .._precision import cast_input, cast_layers, resolve_dtype
from ._activations import resolve_activation
from ._attention import Attention, check_stages
from ._convnet import image_shape
from ._convolution import Convolution
from ._mlp import apply_layers, dense_layers, num_outputs
from ._modulation import check_given
from ._resnet import ChannelNorm, ResidualBlock, make_norm

Condition = jax.Array | None


class Stage(eqx.Module):
    """Residual blocks at one resolution, with attention after them if there is one."""

    blocks: tuple[ResidualBlock, ...]
    attention: Attention | None

    def __call__(self, x: jax.Array, condition: Condition) -> jax.Array:
        for block in self.blocks:
            x, _ = block(x, None, condition)
        return x if self.attention is None else self.attention(x)


class UNet(AbstractEnergy):
    """Residual blocks down to a coarse resolution and up again, with skips: an energy, or images.

    Each stage halves height and width, rounded up, by a convolution of stride 2. On the way up
    features are repeated to twice the size and stand beside those of the same stage on the way
    down. As an energy, the last features are summed over the image. With `out_size` as large as the
    image the outputs are an image, for the heads `"inner"` and `"squared"` of `NoiseConditional`.

    Ronneberger, Fischer and Brox (2015), "U-Net: convolutional networks for biomedical image
    segmentation"; with residual blocks and attention as in Ho, Jain and Abbeel (2020), "Denoising
    diffusion probabilistic models".

    Args:
        shape: the shape of one image, `(height, width, channel)`.
        channels: the channels of each stage, at least two stages.
        out_size: as for `MLP`. As many as the image has values are an image, by a convolution; any
            other number is linear in the sum over the image.
        blocks_per_stage: how many residual blocks on each way, at least 1.
        attention: the stages with self-attention, counted from 0, the finest; memory grows with the
            square of the pixels there.
        num_heads: of each attention.
        norm: `"none"`, `"layer"` (over the whole image) or `"group"` (up to 8 groups of channels).
        activation: as for `MLP`; smooth ones for energies that are differentiated twice.
        compute_dtype: as for `MLP`; norms, attention weights and the sum over the image are taken
            in float32 at least.
        condition_size: as for `MLP`; the condition scales and shifts features within each block.
        key: a key for the initial weights.

    Raises:
        ValueError: if a size does not fit, or a name is unknown.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    out_size: OutSize = eqx.field(static=True)
    stem: Convolution
    down: tuple[Stage, ...]
    between: tuple[Convolution, ...]  # from each stage to the next coarser one
    up: tuple[Stage, ...]  # from the coarsest but one to the finest
    norm: ChannelNorm
    to_image: Convolution | None
    layers: tuple[eqx.nn.Linear, ...]
    activation: Callable = eqx.field(static=True)
    compute_dtype: str | None = eqx.field(static=True)
    condition_size: int | None = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int] = (32, 64, 128),
        *,
        out_size: OutSize = "scalar",
        blocks_per_stage: int = 1,
        attention: Sequence[int] = (),
        num_heads: int = 4,
        norm: Literal["none", "layer", "group"] = "group",
        activation: str | Callable = "silu",
        compute_dtype: str | None = None,
        condition_size: int | None = None,
        key: Key,
    ):
        self.shape = image_shape(shape)
        self.out_size, self.condition_size = out_size, condition_size
        dims = _checks.dimensions("channels", channels)
        _checks.require(len(dims) > 1, "channels", dims, "give the channels of at least two stages")
        fix = f"the image has no pixels left to halve: give fewer than {len(dims)} stages"
        ok = max(self.shape[:2]) > 2 ** (len(dims) - 2)
        _checks.require(ok, "channels", dims, fix)
        _checks.at_least("blocks_per_stage", blocks_per_stage, 1)
        _checks.at_least("num_heads", num_heads, 1)
        fix = "give 'none', 'layer' or 'group'"
        _checks.require(norm in ("none", "layer", "group"), "norm", repr(norm), fix)
        attention = check_stages("attention", attention, len(dims))
        self.activation = resolve_activation(activation)
        self.compute_dtype = resolve_dtype(compute_dtype)
        stem_key, down_key, up_key, between_key, end_key = jax.random.split(key, 5)

        def stage(number: int, before: int, key: Key) -> Stage:
            keys, dim = jax.random.split(key, blocks_per_stage + 1), dims[number]
            blocks = tuple(
                ResidualBlock(
                    dim if i else before, dim, 1, norm, self.activation, condition_size, key=keys[i]
                )
                for i in range(blocks_per_stage)
            )
            if number not in attention:
                return Stage(blocks, None)
            return Stage(blocks, Attention(dim, num_heads, make_norm(norm, dim), key=keys[-1]))

        count = len(dims)
        self.stem = Convolution(self.shape[2], dims[0], 3, 1, 1, key=stem_key)
        keys = jax.random.split(down_key, count)
        before = (dims[0], *dims[:-1])
        self.down = tuple(stage(i, before[i], keys[i]) for i in range(count))
        keys = jax.random.split(between_key, count - 1)
        self.between = tuple(
            Convolution(dim, dim, 3, 2, 1, key=k) for dim, k in zip(dims[:-1], keys, strict=True)
        )
        keys = jax.random.split(up_key, count - 1)
        self.up = tuple(
            stage(i, dims[i + 1] + dims[i], keys[i]) for i in reversed(range(count - 1))
        )
        self.norm = make_norm(norm, dims[0])
        self.to_image, self.layers = None, ()
        if out_size == math.prod(self.shape):
            self.to_image = Convolution(dims[0], self.shape[2], 3, 1, 1, key=end_key)
        else:
            self.layers = dense_layers((dims[0], num_outputs(out_size)), key=end_key)

    def __call__(self, x: X, condition: jax.Array | None = None) -> jax.Array:
        _checks.example(x, self.shape)
        check_given(self.condition_size, condition)
        dtype = self.stem.weight.dtype
        net = cast_layers(self, self.compute_dtype)
        x = net.stem(cast_input(x, self.compute_dtype, (self.stem,)))
        skips = []
        for stage, step in zip(net.down, (*net.between, None), strict=True):
            x = stage(x, condition)
            if step is not None:
                skips.append(x)
                x = step(x)
        for stage in net.up:
            skip = skips.pop()
            x = stage(jnp.concatenate([_twice(x, skip.shape), skip], -1), condition)
        x = self.activation(net.norm(x, None)[0])
        if net.to_image is not None:
            return net.to_image(x).astype(dtype).reshape(-1)
        # the sum over many pixels is not taken in half precision
        features = jnp.sum(x.astype(dtype), (0, 1))
        outputs = apply_layers(self.layers, self.activation, features)
        return outputs[0] if self.out_size == "scalar" else outputs


def _twice(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Each pixel repeated to two by two, as many as `shape` has."""
    x = jnp.repeat(jnp.repeat(x, 2, 0), 2, 1)
    return x[: shape[0], : shape[1]]
