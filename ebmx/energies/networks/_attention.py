"""Self-attention over the pixels of an image, with derivatives of any order."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Key
from .._precision import together


def check_stages(name: str, stages: Sequence[int], count: int) -> tuple[int, ...]:
    """Check the numbers of some of the stages of a network."""
    stages = tuple(stages)
    ok = all(0 <= stage < count for stage in stages)
    _checks.require(ok, name, stages, f"give stages from 0 to {count - 1}")
    return stages


class Attention(eqx.Module):
    """`x + W softmax(q kᵀ/√d) v` over all pixels of one image `(height, width, channel)`.

    Queries, keys and values are linear in the normalised features, and `W` is zero at first. The
    softmax is taken in float32 at least. It is written out, since the fused kernels of attention
    have no second derivative, which the gradient of a gradient of an energy needs.

    Vaswani et al. (2017), "Attention is all you need".

    Args:
        channels: channels of the features, a multiple of `num_heads`.
        num_heads: how many parts of the channels attend separately.
        norm: a norm of the features, from `(x, state)` to `(x, state)`.
        key: a key for the initial weights.

    Raises:
        ValueError: if `num_heads` does not divide `channels`.
    """

    norm: Any
    inner: jax.Array  # (channels, 3 · channels)
    outer: jax.Array  # (channels, channels)
    num_heads: int = eqx.field(static=True)

    def __init__(self, channels: int, num_heads: int, norm: Any, *, key: Key):
        _checks.at_least("num_heads", num_heads, 1)
        fix = f"give a number that divides the {channels} channels of the stage"
        _checks.require(channels % num_heads == 0, "num_heads", num_heads, fix)
        limit = 1 / math.sqrt(channels)
        shape = (channels, 3 * channels)
        self.inner = jax.random.uniform(key, shape, minval=-limit, maxval=limit)
        self.outer = jnp.zeros((channels, channels))
        self.norm = norm
        self.num_heads = num_heads

    def __call__(self, x: jax.Array) -> jax.Array:
        height, width, channels = x.shape
        normed = self.norm(x, None)[0].reshape(height * width, channels)
        parts = (normed @ self.inner).reshape(height * width, 3, self.num_heads, -1)
        query, key, value = (parts[:, i] for i in range(3))
        size = channels // self.num_heads
        logits = jnp.einsum("qhc,khc->hqk", query, key) / math.sqrt(size)
        logits, _ = together(logits, jnp.zeros((), jnp.float32))
        weights = jax.nn.softmax(logits, -1).astype(x.dtype)
        mixed = jnp.einsum("hqk,khc->qhc", weights, value).reshape(height * width, channels)
        return x + (mixed @ self.outer).reshape(x.shape)
