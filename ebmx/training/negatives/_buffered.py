"""What negatives from a replay buffer have in common: its slots, its labels, its storage."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ... import _checks
from ..._types import EnergyFn, Key, Number, XBatch
from ...energies import AbstractConditionalEnergy
from ...samplers import AbstractSampler
from .._batch import Examples, condition, where_chain
from ._base import AbstractNegatives, draw_noise
from ._buffer import Chains, ReplayBuffer
from ._noise import AbstractNoise, GaussianNoise, UniformNoise
from ._storage import AbstractStorage, PackedBits, PackedCategories, UInt8


def as_weights(weights: ArrayLike | None) -> jax.Array | None:
    """The relative numbers of slots of the labels as an array, if they are given."""
    return None if weights is None else jnp.asarray(weights, float)


class AbstractBuffered(AbstractNegatives[ReplayBuffer]):
    """Persistent chains in a `ReplayBuffer`, with a label of their own if the energy has labels."""

    sampler: eqx.AbstractVar[AbstractSampler]
    num_steps: eqx.AbstractVar[int]
    capacity: eqx.AbstractVar[int]
    reinit_prob: eqx.AbstractVar[Number]
    noise: eqx.AbstractVar[AbstractNoise]
    num_labels: eqx.AbstractVar[int | None]
    label_weights: eqx.AbstractVar[jax.Array | None]
    storage: eqx.AbstractVar[AbstractStorage | None]
    num_shards: eqx.AbstractVar[int]

    def check_buffer(self) -> None:
        """Check what all of them take, at construction."""
        _checks.at_least("num_steps", self.num_steps, 1)
        _checks.at_least("capacity", self.capacity, 1)
        _checks.at_least("num_shards", self.num_shards, 1)
        fix = f"give a multiple of num_shards={self.num_shards}"
        _checks.require(self.capacity % self.num_shards == 0, "capacity", self.capacity, fix)
        _checks.probability("reinit_prob", self.reinit_prob)
        if self.num_labels is not None:
            _checks.at_least("num_labels", self.num_labels, 1)
        if self.label_weights is not None:
            fix = f"give one for each of the num_labels={self.num_labels} labels"
            shape = self.label_weights.shape
            _checks.require(shape == (self.num_labels,), "label_weights.shape", shape, fix)
            _checks.positive("label_weights", self.label_weights)
        if self.num_labels is not None and _checks.is_concrete(self.label_weights):
            self._check_slots(self.num_labels)
        if isinstance(self.storage, UInt8):
            _check_bounded(self.sampler, self.storage)
        if isinstance(self.storage, PackedBits | PackedCategories):
            _check_discrete(self.sampler, self.noise, self.storage)

    def new_buffer(
        self, rungs: tuple[int, ...], shape: tuple[int, ...], *, key: Key
    ) -> ReplayBuffer:
        """A buffer of noise, with `rungs` positions `(*rungs, *shape)` in a slot.

        Encoded positions are made in chunks, so that memory is that of the buffer.
        """
        size = int(np.prod(rungs, dtype=int))

        def sample(keys: Key) -> jax.Array:
            draw = jax.vmap(lambda key: self.noise.sample(shape, key=key))
            return draw(keys).reshape(-1, *rungs, *shape)

        storage = self.storage
        if storage is None:
            positions = sample(jax.random.split(key, self.capacity * size))
        else:
            noise_key, code_key = jax.random.split(key)
            keys = jax.random.split(noise_key, (self.capacity, size))
            codes = jax.random.split(code_key, self.capacity)
            positions = jax.lax.map(
                lambda k: storage.encode(sample(k[0])[0], key=k[1]),
                (keys, codes),
                batch_size=min(self.capacity, 256),
            )
        ages, labels = jnp.zeros(self.capacity, jnp.int32), None
        if self.num_labels is not None:
            labels = jnp.tile(self._labels_of_a_shard(self.num_labels), self.num_shards)
        return ReplayBuffer(positions, ages, None, labels, self.storage, self.num_shards)

    def draw(
        self, energy: EnergyFn, positives: Examples, buffer: ReplayBuffer, *, key: Key
    ) -> tuple[EnergyFn, Chains]:
        """A chain for each positive, of its label if chains have labels, and its energy."""
        num = len(positives.x)
        fix = f"give at least the batch size, {num}, or smaller batches"
        _checks.require(num <= buffer.capacity, "capacity", buffer.capacity, fix)
        fix = f"give a number that divides the batch size, {num}"
        _checks.require(num % buffer.num_shards == 0, "num_shards", buffer.num_shards, fix)
        self._check_labels(energy)
        energy = condition(energy, positives.y)
        if self.num_labels is None or positives.y is None:
            chains = buffer.draw(num, key=key)
        else:
            chains = buffer.draw_labels(positives.y, key=key)
        return energy, dataclasses.replace(chains, x=chains.x.astype(positives.x.dtype))

    def noise_for(self, positives: Examples, *, key: Key) -> XBatch:
        """Where chains restart, one place for each positive."""
        x = positives.x
        return draw_noise(self.noise, len(x), x.shape[1:], key=key).astype(x.dtype)

    def as_negatives(self, x: XBatch, chains: Chains, positives: Examples) -> Examples:
        """Positions with the labels of the positives.

        They are NaN where the slot has another label, so that the update is skipped.
        """
        labels = positives.y
        if self.num_labels is None or labels is None or chains.labels is None:
            return Examples(x)
        fits = chains.labels == labels.astype(chains.labels.dtype)
        return Examples(where_chain(fits, x, jnp.full_like(x, jnp.nan)), labels)

    def _check_labels(self, energy: EnergyFn) -> None:
        conditional = isinstance(energy, AbstractConditionalEnergy)
        wanted = energy.num_labels if conditional else None
        fix = "chains keep labels alone: for conditions of real numbers use CD or ShortRun"
        _checks.require(not conditional or wanted is not None, "energy.num_labels", None, fix)
        fix = (
            f"the energy has {wanted} labels: give {type(self).__name__}(..., num_labels={wanted})"
        )
        _checks.require(self.num_labels == wanted, "num_labels", self.num_labels, fix)

    def _labels_of_a_shard(self, num_labels: int) -> jax.Array:
        """The labels of the slots of a shard, in rising order."""
        weights, size = self.label_weights, self.capacity // self.num_shards
        if weights is None:
            return jnp.arange(size, dtype=jnp.int32) * num_labels // size
        ends = jnp.cumsum(weights)
        places = (jnp.arange(size, dtype=weights.dtype) + 0.5) / size
        return jnp.searchsorted(ends / ends[-1], places).astype(jnp.int32)

    def _check_slots(self, num_labels: int) -> None:
        labels = self._labels_of_a_shard(num_labels)
        if _checks.is_concrete(labels):
            missing = sorted({*range(num_labels)} - {*np.unique(np.asarray(labels)).tolist()})
            fix = (
                f"the labels {missing[:5]} have no slot in a shard: give a larger capacity, fewer "
                "shards, or these labels larger label_weights"
            )
            _checks.require(not missing, "capacity", self.capacity, fix)


def _check_bounded(sampler: AbstractSampler, storage: UInt8) -> None:
    bounds = sampler.bounds
    fix = "positions are stored within a range: give a sampler with `bounds` inside it"
    _checks.require(bounds is not None, "storage", "UInt8", fix)
    if bounds is not None and all(map(_checks.is_concrete, (*bounds, storage.low, storage.high))):
        low, high = (np.asarray(end) for end in bounds)
        lowest, highest = np.asarray(storage.low), np.asarray(storage.high)
        ok = bool(np.all(low >= lowest) and np.all(high <= highest))
        _checks.require(ok, "bounds", (low.tolist(), high.tolist()), fix)


def _check_discrete(
    sampler: AbstractSampler, noise: AbstractNoise, storage: PackedBits | PackedCategories
) -> None:
    """Check that chains neither start nor move between the values that are stored."""
    bits = isinstance(storage, PackedBits)
    wanted = "BernoulliNoise()" if bits else "CategoricalNoise()"
    kind, fix = type(storage).__name__, "positions are stored as zeros and ones: give "
    ok = not isinstance(noise, UniformNoise | GaussianNoise)
    _checks.require(ok, "noise", type(noise).__name__, f"{fix}{wanted}, or storage=None")
    fix += f"a sampler that `is_discrete`, as DMALA, in place of {type(sampler).__name__}"
    _checks.require(sampler.is_discrete, "storage", kind, fix)
