"""The replay buffer, which stores persistent chains between updates."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Shaped

from ... import _checks
from ..._checks import checked
from ..._types import Key
from .._batch import Batch, as_examples
from ._buffer_slots import one_of_each_arc, one_of_each_label
from ._storage import AbstractStorage, decode, decoded_shape


class Chains(eqx.Module):
    """Chains that were drawn from a `ReplayBuffer`; see `ReplayBuffer.draw`."""

    x: Float[Array, "num *shape"]
    index: Int[Array, "num"]
    ages: Int[Array, "num"]
    log_scales: Float[Array, "num"] | None = None
    labels: Int[Array, "num"] | None = None
    own: Bool[Array, "num"] | None = None
    """Which are written back, if rows share slots; all if not given."""


class ReplayBuffer(eqx.Module):
    """An immutable store of chains: positions, and how often each was moved since its start.

    A sampler's state is not stored, since it belongs to the energy of an earlier update.

    Args:
        positions: of the chains, `(capacity, *shape)`, as `storage` encodes them, which may give
            them another shape.
        ages: how often each chain was moved, `(capacity,)`.
        log_scales: the log factor on the step size of each, `(capacity,)`, if they are adapted.
        labels: the label of each chain, `(capacity,)`, for a conditional energy. They rise within
            each shard, so that the slots of a label are found by binary search.
        storage: how positions are encoded, if not in full precision.
        num_shards: the number of blocks of slots; a draw takes equally many chains from each.

    Raises:
        ValueError: if the arrays are not of equally many chains, the shards do not divide this
            number, or labels do not rise.
    """

    # Written by `write`, whole slots at a time.
    positions: Shaped[Array, "capacity *shape"]
    ages: Int[Array, "capacity"]
    log_scales: Float[Array, "capacity"] | None = None
    # Never changed.
    labels: Int[Array, "capacity"] | None = None
    storage: AbstractStorage | None = None
    num_shards: int = eqx.field(static=True, default=1)

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

    @checked
    def draw(self, num: int, *, key: Key) -> Chains:
        """Draw `num` different chains; every chain is equally likely.

        The slots form a ring, turned by a random angle and cut into `num` arcs of equal length;
        one slot is drawn from each arc. So the cost does not grow with the capacity, and no slot
        is drawn twice. Neighbours on the ring are drawn together less often than distant slots.
        With several shards, each has a ring of its own and gives equally many chains.

        Args:
            num: how many, at most the capacity.
            key: a key.

        Returns:
            The chains as a module, which `write` puts back, changed by `dataclasses.replace` or
            not: positions `x`, `(num, *shape)`; their slots `index` (with several shards, as many
            of each, in order); `ages`; and `log_scales` and `labels` if the buffer has them.

        Raises:
            ValueError: if `num` is above the capacity, or the shards do not divide it.
        """
        _checks.at_least("num", num, 1)
        fix = f"draw at most the {self.capacity} chains of the buffer, or give it a larger capacity"
        _checks.require(num <= self.capacity, "num", num, fix)
        self._check_num(num, "num", num)
        size = self.capacity // self.num_shards
        draw = lambda key: (one_of_each_arc(num // self.num_shards, size, key),)  # noqa: E731
        (index,) = self._in_each(draw, key)
        return self._taken(index, None, key)

    @checked
    def draw_labels(self, labels: Integer[Array, "num"], *, key: Key) -> Chains:
        """Draw a chain of each of these labels; every chain of a label is equally likely.

        No chain is drawn twice unless more rows ask for a label than it has slots in a shard; then
        rows share a slot. With several shards, the rows of each equal part of `labels` draw from
        their own shard.

        Args:
            labels: the labels, `(num,)`; for one without a slot, a chain of another label is drawn.
            key: a key.

        Returns:
            The chains as for `draw`; `own` says which rows are written back, one for each slot.

        Raises:
            ValueError: if the buffer has no labels, or the shards do not divide `num`.
        """
        if self.labels is None:
            _checks.invalid("buffer.labels", None, "give a buffer whose chains have labels")
        self._check_num(len(labels), "labels.shape", labels.shape)
        index, own = self._in_each(one_of_each_label, key, self.labels, labels)
        return self._taken(index, own, key)

    @checked
    def write(self, chains: Chains, *, key: Key | None = None) -> "ReplayBuffer":
        """Put chains into their slots; the other slots stay as they are.

        Args:
            chains: as `draw` or `draw_labels` returns them; positions `(num, *shape)`, ages and log
                factors may be new.
            key: a key, for a storage that rounds at random.

        Returns:
            The buffer with these chains.

        Raises:
            ValueError: if the positions are of another shape, or a key is missing.
        """
        x, index = chains.x, chains.index
        shape = decoded_shape(self.storage, self.positions)[1:]
        fix = f"the buffer holds examples of shape {shape}"
        _checks.require(x.shape[1:] == shape, "x.shape", x.shape, fix)
        self._check_num(len(x), "index.shape", index.shape)
        stored = x if self.storage is None else self.storage.encode(x, key=key)
        if chains.own is not None:
            # a different place beyond every block for each of the others: these are dropped
            beyond = self.capacity + jnp.arange(len(x), dtype=index.dtype)
            index = jnp.where(chains.own, index, beyond)
        positions = self._put(self.positions, index, stored)
        ages, scales = self._put(self.ages, index, chains.ages), self.log_scales
        if scales is not None and chains.log_scales is not None:
            scales = self._put(scales, index, chains.log_scales)
        return ReplayBuffer(positions, ages, scales, self.labels, self.storage, self.num_shards)

    def fill(self, x: Batch, *, key: Key) -> "ReplayBuffer":
        """The same chains at positions drawn from `x`, such as data or those of another buffer.

        Args:
            x: positions `(num, *shape)`; or `(x, labels)`, so that the position of each chain is
                one of its own label.
            key: a key.

        Raises:
            ValueError: if the shape does not fit, or, outside compiled functions, `x` is not within
                the range that is stored or there is no position for a label.
        """
        batch = as_examples(x, "x", decoded_shape(self.storage, self.positions)[1:])
        index_key, code_key = jax.random.split(key)
        if self.labels is None or batch.y is None:
            index = jax.random.randint(index_key, (self.capacity,), 0, len(batch.x))
        else:
            index = _of_labels(self.labels, batch.y, index_key)
        stored = batch.x[index]
        if self.storage is not None:
            self.storage.check(batch.x)
            stored = self.storage.encode(stored, key=code_key)
        return eqx.tree_at(lambda b: b.positions, self, stored.astype(self.positions.dtype))

    def _in_each(self, draw: Callable, key: Key, *arrays: jax.Array) -> tuple[jax.Array, ...]:
        """`draw(*arrays, key)` in each shard, with its parts of the arrays; slots come first."""
        if self.num_shards == 1:
            return draw(*arrays, key)
        # the folds 0, 1 and 2 of the key are for decoding, and for `PCD` to augment and to write
        keys = jax.random.split(jax.random.fold_in(key, 3), self.num_shards)
        index, *rest = jax.vmap(draw)(*map(self._blocks, arrays), keys)
        size = self.capacity // self.num_shards
        index = index + size * jnp.arange(self.num_shards, dtype=index.dtype)[:, None]
        return index.reshape(-1), *(values.reshape(-1) for values in rest)

    def _taken(self, index: jax.Array, own: jax.Array | None, key: Key) -> Chains:
        """The chains in these slots."""
        slots = self.positions, self.ages, self.log_scales, self.labels
        stored, *rest = jax.tree.map(lambda values: self._at(values, index), slots)
        x = decode(self.storage, stored, key=jax.random.fold_in(key, 0))
        ages, log_scales, labels = rest
        return Chains(x, index, ages, log_scales, labels, own)

    def _at(self, values: jax.Array, index: jax.Array) -> jax.Array:
        take = lambda block, place: block.at[place].get(mode="promise_in_bounds")  # noqa: E731
        if self.num_shards == 1:
            return take(values, index)
        # block by block, so that a device reads its own part alone
        take = jax.vmap(take)
        found = take(self._blocks(values), self._within(index))
        return found.reshape(-1, *values.shape[1:])

    def _check_num(self, num: int, name: str, value: Any) -> None:
        fix = f"each of the num_shards={self.num_shards} has equally many chains: give a multiple"
        _checks.require(num % self.num_shards == 0, name, value, fix)

    def _blocks(self, values: jax.Array) -> jax.Array:
        return values.reshape(self.num_shards, -1, *values.shape[1:])

    def _within(self, index: jax.Array) -> jax.Array:
        """The place of each slot of a draw within its block, `(num_shards, ...)`."""
        size = self.capacity // self.num_shards
        return self._blocks(index) - size * jnp.arange(self.num_shards, dtype=index.dtype)[:, None]

    def _put(self, slots: jax.Array, index: jax.Array, values: jax.Array) -> jax.Array:
        values = values.astype(slots.dtype)
        if self.num_shards == 1:
            return _put(slots, index, values)
        blocks = self._blocks(slots), self._within(index), self._blocks(values)
        return jax.vmap(_put)(*blocks).reshape(slots.shape)


def _of_labels(wanted: jax.Array, y: jax.Array, key: Key) -> jax.Array:
    """For each wanted label the index of a random example of it in `y`."""
    order = jnp.argsort(y)
    low, high = (jnp.searchsorted(y[order], wanted, side=side) for side in ("left", "right"))
    if _checks.is_concrete(low):
        missing = np.unique(np.asarray(wanted)[np.asarray(low == high)])
        fix = "give positions of each label, whole numbers as the buffer has them"
        _checks.require(len(missing) == 0, "x[1] without labels", missing, fix)
    return order[jax.random.randint(key, wanted.shape, low, high)]


def _put(slots: jax.Array, index: jax.Array, values: jax.Array) -> jax.Array:
    return slots.at[index].set(values, unique_indices=True, mode="drop")
