"""The replay buffer: where persistent chains rest between updates."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Shaped

from ... import _checks
from ..._arguments import guarded
from ..._checks import checked
from ..._types import Key
from .._batch import Batch, as_examples
from ._buffer_slots import one_of_each_arc, one_of_each_label
from ._storage import AbstractStorage, BFloat16, FullPrecision


@guarded
class ReplayBuffer(eqx.Module):
    """An immutable store of chain positions, and of how often each was moved since its start.

    It holds positions and never what a sampler remembers of them, since that belongs to the
    energy of an earlier update.

    Args:
        positions: of the chains, each with a leading axis of them. Labels rise within each shard,
            so that the slots of one are found without a search of all.
        ages: of the chains, each with a leading axis of them. Labels rise within each shard, so
            that the slots of one are found without a search of all.
        log_scales: of the chains, each with a leading axis of them. Labels rise within each shard,
            so that the slots of one are found without a search of all.
        labels: of the chains, each with a leading axis of them. Labels rise within each shard, so
            that the slots of one are found without a search of all.
        storage: what positions are encoded by.
        num_shards: into how many blocks the slots are cut.

    Raises:
        ValueError: if the arrays are not of as many chains, the shards do not divide these, or
            labels are not in order.
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
    num_shards: int = eqx.field(static=True, default=1)
    """Into how many blocks the slots are cut; a draw takes as many from each."""

    def __check_init__(self):
        shape = jnp.shape(self.positions)
        ok = len(shape) > 0 and shape[0] > 0 and hasattr(self.positions, "dtype")
        _checks.require(ok, "positions.shape", shape, "give an array (capacity, *shape)")
        for name in ("ages", "log_scales", "labels"):
            value = getattr(self, name)
            found = None if value is None else getattr(value, "shape", "none")
            fix = f"give an array of shape {shape[:1]}"
            _checks.require(found in (None, shape[:1]), f"{name}.shape", found, fix)
        _checks.at_least("num_shards", self.num_shards, 1)
        fix = f"the buffer holds {self.capacity} chains: give a number that divides it"
        _checks.require(self.capacity % self.num_shards == 0, "num_shards", self.num_shards, fix)
        if self.labels is not None and _checks.is_concrete(self.labels):
            blocks = np.asarray(self.labels).reshape(self.num_shards, -1)
            fix = "give labels that rise within each shard: sort the chains by label"
            _checks.require(bool(np.all(np.diff(blocks) >= 0)), "labels", self.labels, fix)

    @property
    def capacity(self) -> int:
        """How many chains it holds."""
        return self.positions.shape[0]

    def at(self, values: jax.Array, index: Int[Array, "num"]) -> jax.Array:
        """What `values` `(capacity, ...)` are in the slots that `draw` has returned."""
        if self.num_shards == 1:
            return values.at[index].get(mode="promise_in_bounds")
        take = jax.vmap(lambda block, place: block.at[place].get(mode="promise_in_bounds"))
        found = take(self._blocks(values), self._within(index))
        return found.reshape(-1, *values.shape[1:])

    @checked
    def draw(
        self, num: int, *, key: Key
    ) -> tuple[Float[Array, "{num} *shape"], Int[Array, "{num}"]]:
        """Draw `num` different slots; every slot is as likely as any other.

        The slots form a ring, turned by a random angle and cut into `num` arcs of equal length;
        one slot is drawn from each arc. So the cost does not grow with the capacity, and two slots
        are never the same. Neighbours on the ring are drawn together less often than strangers.
        With several shards each has a ring of its own, and gives as many.

        Args:
            num: how many, at most the capacity.
            key: a key.

        Returns:
            The positions `(num, *shape)` and their slots `(num,)`.

        Raises:
            ValueError: if `num` is above the capacity, or no multiple of the number of shards.
        """
        _checks.at_least("num", num, 1)
        fix = f"draw at most the {self.capacity} chains of the buffer, or give it a larger capacity"
        _checks.require(num <= self.capacity, "num", num, fix)
        fix = f"each of the num_shards={self.num_shards} gives as many chains: give a multiple"
        _checks.require(num % self.num_shards == 0, "num", num, fix)
        size = self.capacity // self.num_shards
        draw = lambda key: (one_of_each_arc(num // self.num_shards, size, key),)  # noqa: E731
        (index,) = self._in_each(draw, key)
        return self._decoded(index, key), index

    @checked
    def draw_labels(
        self, labels: Integer[Array, "num"], *, key: Key
    ) -> tuple[Float[Array, "num *shape"], Int[Array, "num"], Bool[Array, "num"]]:
        """Draw a slot of each of these labels; every slot of a label is as likely as any other.

        No slot is drawn twice while a label has as many slots in a shard as rows that ask for it.
        If it has fewer, rows share a slot. With several shards, the rows of each equal part of
        `labels` draw from their own shard.

        Args:
            labels: the labels, `(num,)`; for one without a slot, that of another label is drawn.
            key: a key.

        Returns:
            The positions `(num, *shape)`, their slots `(num,)`, and which rows to write back,
            `(num,)`: each slot once.

        Raises:
            ValueError: if the buffer has no labels, or `num` is no multiple of the number of
                shards.
        """
        if self.labels is None:
            _checks.invalid("buffer.labels", None, "give a buffer whose chains have labels")
        fix = f"each of the num_shards={self.num_shards} gives as many chains: give a multiple"
        _checks.require(len(labels) % self.num_shards == 0, "labels.shape", labels.shape, fix)
        index, own = self._in_each(one_of_each_label, key, self.labels, labels)
        return self._decoded(index, key), index, own

    @checked
    def write(
        self,
        index: Int[Array, "num"],
        x: Float[Array, "num *shape"],
        ages: Int[Array, "num"] | None = None,
        log_scales: Float[Array, "num"] | None = None,
        *,
        own: Bool[Array, "num"] | None = None,
        key: Key | None = None,
    ) -> "ReplayBuffer":
        """Put positions into slots; the others stay as they are.

        Args:
            index: the slots, as `draw` returns them: with several shards, as many of each, in their
                order. All that are written are different.
            x: the positions.
            ages: the new ages of the chains; one more than before if not given.
            log_scales: the new factors on their step sizes; as before if not given.
            own: which of them are written, as `draw_labels` returns it; all if not given.
            key: a key, for a storage that rounds at random.

        Returns:
            The buffer after it.
        """
        if x.shape[1:] != self.positions.shape[1:]:
            fix = f"the buffer holds examples of shape {self.positions.shape[1:]}"
            _checks.invalid("x.shape", x.shape, fix)
        fix = f"give as many slots of each of the num_shards={self.num_shards}, as `draw` does"
        _checks.require(len(x) % self.num_shards == 0, "index.shape", index.shape, fix)
        ages = self.at(self.ages, index) + 1 if ages is None else ages
        scales = self.log_scales
        stored = self.storage.encode(x, key=_checked_key(self.storage, key))
        if own is not None:
            # beyond every block, each at another place: such an update is dropped
            index = jnp.where(own, index, self.capacity + jnp.arange(len(x), dtype=index.dtype))
        if scales is not None and log_scales is not None:
            scales = self._put(scales, index, log_scales)
        places = self._put(self.positions, index, stored), self._put(self.ages, index, ages)
        return ReplayBuffer(*places, scales, self.labels, self.storage, self.num_shards)

    def fill(self, x: Batch, *, key: Key) -> "ReplayBuffer":
        """The same chains at positions drawn from `x`, such as data or an earlier buffer.

        Args:
            x: positions `(num, *shape)`; or `(x, labels)`, such that each chain is put where one of
                its own label is.
            key: a key.

        Raises:
            ValueError: if the shape does not fit, or, outside compiled functions, `x` is not within
                the range that is stored or there is no position for a label.
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

    def _in_each(self, draw: Callable, key: Key, *arrays: jax.Array) -> tuple[jax.Array, ...]:
        """What `draw(*arrays, key)` returns, slots first, in each shard with its parts of these."""
        if self.num_shards == 1:
            return draw(*arrays, key)
        # 0 is what positions are read with, 1 and 2 are what `PCD` changes and writes them with
        keys = jax.random.split(jax.random.fold_in(key, 3), self.num_shards)
        index, *rest = jax.vmap(draw)(*map(self._blocks, arrays), keys)
        size = self.capacity // self.num_shards
        index = index + size * jnp.arange(self.num_shards, dtype=index.dtype)[:, None]
        return index.reshape(-1), *(values.reshape(-1) for values in rest)

    def _decoded(self, index: jax.Array, key: Key) -> jax.Array:
        stored = self.at(self.positions, index)
        return self.storage.decode(stored, key=jax.random.fold_in(key, 0))

    def _blocks(self, values: jax.Array) -> jax.Array:
        return values.reshape(self.num_shards, -1, *values.shape[1:])

    def _within(self, index: jax.Array) -> jax.Array:
        """The places within its own block of each slot of a draw, `(num_shards, ...)`."""
        size = self.capacity // self.num_shards
        return self._blocks(index) - size * jnp.arange(self.num_shards, dtype=index.dtype)[:, None]

    def _put(self, slots: jax.Array, index: jax.Array, values: jax.Array) -> jax.Array:
        values = values.astype(slots.dtype)
        if self.num_shards == 1:
            return _put(slots, index, values)
        blocks = self._blocks(slots), self._within(index), self._blocks(values)
        return jax.vmap(_put)(*blocks).reshape(slots.shape)


def _of_labels(wanted: jax.Array, y: jax.Array, key: Key) -> jax.Array:
    """For each wanted label a random place where it is in `y`."""
    order = jnp.argsort(y)
    low, high = (jnp.searchsorted(y[order], wanted, side=side) for side in ("left", "right"))
    if _checks.is_concrete(low):
        missing = np.unique(np.asarray(wanted)[np.asarray(low == high)])
        fix = "give positions of each label, whole numbers as the buffer has them"
        _checks.require(len(missing) == 0, "x[1] without labels", missing, fix)
    return order[jax.random.randint(key, wanted.shape, low, high)]


def _checked_key(storage: AbstractStorage, key: Key | None) -> Any:
    fix = "this storage rounds at random: give a key"
    _checks.require(key is not None or not isinstance(storage, BFloat16), "key", key, fix)
    return key


def _put(slots: jax.Array, index: jax.Array, values: jax.Array) -> jax.Array:
    return slots.at[index].set(values, unique_indices=True, mode="drop")
