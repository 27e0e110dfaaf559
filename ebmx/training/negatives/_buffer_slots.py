"""Random slots of a replay buffer, for its draws."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Integer

from ..._types import Key


def one_of_each_arc(num: int, capacity: int, key: Key) -> Int[Array, "num"]:
    """`num` different slots, all equally likely; see `ReplayBuffer.draw`."""
    # arcs of whole slots, which differ by one where num does not divide the capacity
    edges = np.arange(num + 1) * capacity // num
    low, width = edges[:-1].astype(np.int32), np.diff(edges).astype(np.int32)
    u = jax.random.uniform(key, (num + 1,))
    place = low + _below(u[:num], jnp.asarray(width))
    turned = place + _below(u[num], jnp.asarray(capacity, jnp.int32))
    return jnp.where(turned >= capacity, turned - capacity, turned)


def one_of_each_label(
    slots: Int[Array, "capacity"], wanted: Integer[Array, "num"], key: Key
) -> tuple[Int[Array, "num"], Bool[Array, "num"]]:
    """For each wanted label a slot that holds it, all of its slots equally likely.

    The slots of a label form a ring, with an arc for each row of that label. If there are more rows
    than slots, some arcs are empty, and their rows get the slot of the next arc. The labels of the
    slots have to rise. Also returned is which rows are written back: the last row at each slot, and
    no row whose label has no slot; such a row gets a slot of another label.
    """
    num, wanted = len(wanted), wanted.astype(slots.dtype)
    order = jnp.argsort(wanted)
    (first, last), (low, high) = _range_of(wanted, wanted[order]), _range_of(wanted, slots)
    count, size = last - first, high - low
    rank = jnp.zeros_like(first).at[order].set(jnp.arange(num, dtype=first.dtype)) - first
    start, end = _part(rank, count, size), _part(rank + 1, count, size)
    u = jax.random.uniform(key, (2, num))
    place = start + _below(u[0], end - start)
    turned = place + _below(u[1][first], size)  # one angle for all rows of a label
    index = low + jnp.where(turned >= size, turned - size, turned)
    index = jnp.clip(index, 0, len(slots) - 1)
    return index, (end > start) & (slots[index] == wanted)


def _range_of(labels: jax.Array, ordered: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where each label begins and ends in labels in rising order."""
    ends = (jnp.searchsorted(ordered, labels, side=side) for side in ("left", "right"))
    low, high = (end.astype(jnp.int32) for end in ends)
    return low, high


def _part(rank: jax.Array, count: jax.Array, size: jax.Array) -> jax.Array:
    """`⌊rank · size / count⌋`, without the large product."""
    return rank * (size // count) + rank * (size % count) // count


def _below(u: jax.Array, width: jax.Array) -> jax.Array:
    """A whole number below `width`, 0 if that is 0, from a uniform number in [0, 1)."""
    # u < 1, but u · width may round up to width in float32
    place = jnp.floor(u * width.astype(u.dtype)).astype(width.dtype)
    return jnp.clip(place, 0, jnp.maximum(width - 1, 0))
