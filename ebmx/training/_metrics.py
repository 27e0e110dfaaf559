"""What a training step reports beside its loss."""

import jax
import jax.numpy as jnp

from .._types import Scalar, XBatch
from ._negatives import NegativesInfo

Metrics = dict[str, Scalar]


def chain_metrics(x: XBatch, info: NegativesInfo) -> Metrics:
    """How the chains of the negatives `x` fared."""
    return {
        "chain_grad_norm": jnp.mean(info.chains.grad_norm),
        "acceptance": jnp.mean(info.chains.acceptance),
        "restarts": jnp.sum(info.restarted, dtype=jnp.int32),
        "dead_chains": jnp.sum(info.dead, dtype=jnp.int32),
        "distinct": distinct_share(x),
        "saturated": info.saturated,
    }


def distinct_share(x: XBatch) -> Scalar:
    """The share of different examples in a batch; 1 if no two are the same, bit for bit."""
    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.uint32).reshape(x.shape[0], -1)
    # odd multipliers, hashed from the place of a coordinate; sums wrap and are exact
    place = jnp.arange(bits.shape[1], dtype=jnp.uint32)
    weight = ((place + 1) * jnp.uint32(2654435761)) ^ ((place + 1) >> 3) | jnp.uint32(1)
    ordered = jnp.sort(jnp.sum((bits ^ (bits >> 15)) * weight, axis=1, dtype=jnp.uint32))
    return (1 + jnp.sum(ordered[1:] != ordered[:-1])) / x.shape[0]
