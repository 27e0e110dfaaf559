"""The replay buffer: where persistent chains rest between updates."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from .. import _checks
from .._checks import checked
from .._types import Key
from ._examples import Batch, as_examples
from ._storage import AbstractStorage, BFloat16, FullPrecision


class ReplayBuffer(eqx.Module):
    """An immutable store of chain positions, and of how often each was moved since its start.

    It holds positions and never what a sampler remembers of them, since that belongs to the
    energy of an earlier update.
    """

    # Written by `write`, whole slots at a time.
    positions: Shaped[Array, "capacity *shape"]
    """As `storage` stores them."""
    ages: Int[Array, "capacity"]
    log_scales: Float[Array, "capacity"] | None = None
    """The logarithm of the factor on the step size of each chain, if these are adapted."""
    # Never changed.
    labels: Int[Array, "capacity"] | None = None
    """The label of each chain, for a conditional energy."""
    storage: AbstractStorage = eqx.field(default_factory=FullPrecision)

    @property
    def capacity(self) -> int:
        """How many chains it holds."""
        return self.positions.shape[0]

    @checked
    def draw(
        self, num: int, *, key: Key
    ) -> tuple[Float[Array, "{num} *shape"], Int[Array, "{num}"]]:
        """Draw `num` different slots; every slot is as likely as any other.

        The slots form a ring, turned by a random angle and cut into `num` arcs of equal length;
        one slot is drawn from each arc. So the cost does not grow with the capacity, and two slots
        are never the same. Neighbours on the ring are drawn together less often than strangers.

        **Arguments:**

        - `num`: how many, at most the capacity.
        - `key`: a key.

        **Returns:**

        The positions `(num, *shape)` and their slots `(num,)`.

        **Raises:**

        `ValueError` if `num` is above the capacity.
        """
        _checks.at_least("num", num, 1)
        fix = f"draw at most the {self.capacity} chains of the buffer, or give it a larger capacity"
        _checks.require(num <= self.capacity, "num", num, fix)
        index = _one_of_each_arc(num, self.capacity, key)
        stored = self.positions.at[index].get(mode="promise_in_bounds")
        return self.storage.decode(stored, key=jax.random.fold_in(key, 0)), index

    @checked
    def write(
        self,
        index: Int[Array, "num"],
        x: Float[Array, "num *shape"],
        ages: Int[Array, "num"] | None = None,
        log_scales: Float[Array, "num"] | None = None,
        *,
        key: Key | None = None,
    ) -> "ReplayBuffer":
        """Put positions into slots; the others stay as they are.

        **Arguments:**

        - `index`: the slots, all different, as `draw` returns them.
        - `x`: the positions.
        - `ages`: the new ages of the chains; one more than before if not given.
        - `log_scales`: the new factors on their step sizes; as before if not given.
        - `key`: a key, for a storage that rounds at random.

        **Returns:**

        The buffer after it.
        """
        if x.shape[1:] != self.positions.shape[1:]:
            fix = f"the buffer holds examples of shape {self.positions.shape[1:]}"
            _checks.invalid("x.shape", x.shape, fix)
        ages = self.ages[index] + 1 if ages is None else ages
        scales = self.log_scales
        if scales is not None and log_scales is not None:
            scales = _put(scales, index, log_scales)
        stored = self.storage.encode(x, key=_checked_key(self.storage, key))
        places = _put(self.positions, index, stored), _put(self.ages, index, ages)
        return ReplayBuffer(*places, scales, self.labels, self.storage)

    def fill(self, x: Batch, *, key: Key) -> "ReplayBuffer":
        """The same chains at positions drawn from `x`, such as data or an earlier buffer.

        **Arguments:**

        - `x`: positions `(num, *shape)`; or `(x, labels)`, such that each chain is put where one
            of its own label is.
        - `key`: a key.

        **Raises:**

        `ValueError` if the shape does not fit, `x` is not within the range that is stored, or
        there is no position for a label.
        """
        batch = as_examples(x, "x", self.positions.shape[1:])
        self.storage.check(batch.x)
        index_key, code_key = jax.random.split(key)
        if self.labels is None or batch.y is None:
            index = jax.random.randint(index_key, (self.capacity,), 0, len(batch.x))
        else:
            index = _of_labels(self.labels, batch.y, index_key)
        stored = self.storage.encode(batch.x[index], key=code_key).astype(self.positions.dtype)
        return eqx.tree_at(lambda b: b.positions, self, stored)


def _of_labels(wanted: jax.Array, y: jax.Array, key: Key) -> jax.Array:
    """For each wanted label a random place where it is in `y`."""
    order = jnp.argsort(y)
    low, high = (jnp.searchsorted(y[order], wanted, side=side) for side in ("left", "right"))
    missing = jnp.unique(wanted[low == high])
    fix = "give positions of each label, whole numbers as the buffer has them"
    _checks.require(len(missing) == 0, "x[1] without labels", missing, fix)
    return order[jax.random.randint(key, wanted.shape, low, high)]


def _checked_key(storage: AbstractStorage, key: Key | None) -> Any:
    fix = "this storage rounds at random: give a key"
    _checks.require(key is not None or not isinstance(storage, BFloat16), "key", key, fix)
    return key


def _put(slots: jax.Array, index: jax.Array, values: jax.Array) -> jax.Array:
    values = values.astype(slots.dtype)
    return slots.at[index].set(values, unique_indices=True, mode="promise_in_bounds")


def _one_of_each_arc(num: int, capacity: int, key: Key) -> jax.Array:
    edges = np.arange(num + 1) * capacity // num
    low, width = edges[:-1].astype(np.int32), np.diff(edges).astype(np.int32)
    u = jax.random.uniform(key, (num + 1,))
    # u < 1, but u · width may round up to width in float32
    place = low + jnp.minimum(jnp.floor(u[:num] * width).astype(jnp.int32), width - 1)
    turned = place + jnp.minimum(jnp.floor(u[num] * capacity).astype(jnp.int32), capacity - 1)
    return jnp.where(turned >= capacity, turned - capacity, turned)
