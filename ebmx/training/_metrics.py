"""The metrics of a training step besides its loss."""

import jax
import jax.numpy as jnp

from .._types import Scalar, Vector, XBatch
from .negatives._base import NegativesInfo

Metrics = dict[str, Scalar]


def chain_metrics(x: XBatch, info: NegativesInfo) -> Metrics:
    """The metrics of chains that ended at `x`.

    Metrics that were not measured are left out. Chains that became non-finite are counted in
    `dead_chains`; the mean gradient norm leaves them out, and their acceptance is 0.
    """
    grad_norm, acceptance = info.chains.grad_norm, info.chains.acceptance
    sometimes = {
        "chain_grad_norm": None if grad_norm is None else _mean_of_finite(grad_norm),
        "swap_rate": info.swap_rate,
        "num_steps": info.num_steps,
        "step_sizes_at_limit": info.at_limit,
    }
    return {
        "acceptance": jnp.mean(jnp.where(jnp.isfinite(acceptance), acceptance, 0)),
        "restarts": jnp.sum(info.restarted, dtype=jnp.int32),
        "dead_chains": jnp.sum(info.dead, dtype=jnp.int32),
        "distinct": distinct_fraction(x),
        "saturated": info.saturated,
    } | {name: value for name, value in sometimes.items() if value is not None}


def _mean_of_finite(values: Vector) -> Scalar:
    """The mean of the finite ones; infinite if there are none."""
    finite = jnp.isfinite(values)
    count = jnp.sum(finite, dtype=values.dtype)
    mean = jnp.sum(jnp.where(finite, values, 0)) / jnp.maximum(count, 1)
    return jnp.where(count > 0, mean, jnp.inf)


def distinct_fraction(x: XBatch) -> Scalar:
    """The fraction of different examples in a batch; 1 if no two are equal, bit for bit."""
    # equal examples have equal sums of the mixed bits at their places; different ones agree with
    # probability about 2⁻³², so that sorted sums count them without comparing all pairs
    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.uint32).reshape(x.shape[0], -1)
    place = _mix(jnp.arange(bits.shape[1], dtype=jnp.uint32))
    ordered = jnp.sort(jnp.sum(_mix(bits ^ place[None]), axis=1, dtype=jnp.uint32))
    return (1 + jnp.sum(ordered[1:] != ordered[:-1])) / x.shape[0]


def _mix(bits: jax.Array) -> jax.Array:
    """The finaliser of MurmurHash3: each bit in flips about half of the bits out."""
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    return bits ^ (bits >> 16)
