"""Negatives from chains that go on where they last stopped."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ..._arguments import guarded
from ..._types import Count, EnergyFn, Key, Number, Vector, XBatch
from ...energies import AbstractConditionalEnergy
from ...samplers import AbstractSampler
from ...samplers._base import check_restartable
from ...samplers._fields import number
from .._batch import Batch, Examples, as_examples, condition, energies, where_chain
from ._base import (
    AbstractNegatives,
    NegativesInfo,
    check_batch,
    check_chain,
    check_displacement,
    check_shards,
    draw_noise,
    move,
)
from ._buffer import ReplayBuffer
from ._noise import AbstractNoise, UniformNoise
from ._restarted import width_of
from ._step_size_adaptation import StepSizeAdaptation, share_at_limit
from ._storage import AbstractStorage, FullPrecision, UInt8


@guarded
class PCD(AbstractNegatives[ReplayBuffer]):
    """Persistent contrastive divergence: chains that go on where they last stopped.

    A batch of chains is drawn from a buffer without replacement, each is restarted from noise with
    a small probability, moved, and written back into its slot.

    With labels a chain keeps its own, and each row of a batch draws a chain of its label. So in
    each batch the labels of data and negatives are equally frequent, as the likelihood of `x`
    given `y` has it, and what an energy adds for a label alone has no gradient. With any other
    frequencies its gradient would be their difference whatever the energy is, and training would
    push it to infinity.

    Tieleman (2008), "Training restricted Boltzmann machines using approximations to the likelihood
    gradient"; restarts as in Du and Mordatch (2019), "Implicit generation and modeling with
    energy-based models".

    Args:
        sampler: a sampler.
        num_steps: how many steps for each update, at least 1.
        capacity: how many chains there are, at least the batch size.
        reinit_prob: the probability that a drawn chain is restarted, in [0, 1].
        noise: where chains start.
        adaptation: tunes a step size for each chain, which lives in the buffer and so goes on being
            tuned from update to update; a restart begins anew from the sampler's `step_size`.
        num_labels: for a conditional energy, how many labels there are.
        label_shares: how many of the slots each label has, `(num_labels,)`, relative to each other;
            equal if not given. With the shares of the data all chains move equally often.
        restart: which chains are restarted more often: `"alike"` none; `"age"` and `"energy"` in
            proportion to their age, or to the rank of their energy, at the same rate in the mean.
        augment: a function `(x, *, key) -> x` of one example, applied to each drawn chain.
        storage: how positions are stored: `FullPrecision()`, `BFloat16()` or `UInt8(low, high)`.
        num_shards: into how many blocks the chains are cut; an update takes as many from each. It
            decides what is drawn, and the devices that divide it do not: see `fit(..., mesh=...)`.

    Raises:
        ValueError: if a number is out of its range, if the sampler cannot go on from a position
            alone, if it clips its gradient such that chains cannot cross the noise's range, if
            chains could leave the range that is stored, or if there is no slot for a label.
    """

    sampler: AbstractSampler
    num_steps: int = eqx.field(static=True, default=60)
    capacity: int = eqx.field(static=True, default=10_000)
    reinit_prob: Number = number(default=0.05)
    noise: AbstractNoise = eqx.field(default_factory=UniformNoise)
    adaptation: StepSizeAdaptation | None = None
    num_labels: int | None = eqx.field(static=True, default=None)
    label_shares: jax.Array | None = eqx.field(
        converter=lambda shares: None if shares is None else jnp.asarray(shares, float),
        default=None,
    )
    restart: Literal["alike", "age", "energy"] = eqx.field(static=True, default="alike")
    augment: Callable | None = None
    storage: AbstractStorage = eqx.field(default_factory=FullPrecision)
    num_shards: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_chain(self.sampler, self.num_steps)
        check_restartable(self.sampler)
        check_displacement(self.sampler, self.num_steps, width_of(self.noise))
        _checks.at_least("capacity", self.capacity, 1)
        check_shards(self.num_shards, self.capacity)
        _checks.probability("reinit_prob", self.reinit_prob)
        if self.adaptation is not None:
            self.adaptation.check(self.sampler)
        if self.num_labels is not None:
            _checks.at_least("num_labels", self.num_labels, 1)
        if self.label_shares is not None:
            fix = f"give one for each of the num_labels={self.num_labels} labels"
            shape = self.label_shares.shape
            _checks.require(shape == (self.num_labels,), "label_shares.shape", shape, fix)
            _checks.positive("label_shares", self.label_shares)
        if self.num_labels is not None and _checks.is_concrete(self.label_shares):
            _check_slots(self)
        fix = "give 'alike', 'age' or 'energy'"
        ok = self.restart in ("alike", "age", "energy")
        _checks.require(ok, "restart", repr(self.restart), fix)
        if self.restart != "alike" and _checks.is_concrete(self.reinit_prob):
            fix = f"give at most 0.5 with restart='{self.restart}': some chains have twice as much"
            _checks.require(bool(self.reinit_prob <= 0.5), "reinit_prob", self.reinit_prob, fix)
        if isinstance(self.storage, UInt8):
            _check_bounded(self.sampler, self.storage)

    def init(self, shape: tuple[int, ...], *, key: Key) -> ReplayBuffer:
        """A buffer full of noise, in chunks, so that nothing larger than it is ever held."""
        empty = self.storage.empty((self.capacity, *shape))
        if isinstance(self.storage, FullPrecision):
            positions = draw_noise(self.noise, self.capacity, shape, key=key)
        else:
            noise_key, code_key = jax.random.split(key)
            keys = jax.random.split(noise_key, self.capacity)
            codes = jax.random.split(code_key, self.capacity)
            positions = jax.lax.map(
                lambda k: self.storage.encode(self.noise.sample(shape, key=k[0]), key=k[1]),
                (keys, codes),
                batch_size=min(self.capacity, 256),
            ).astype(empty.dtype)
        scales = None if self.adaptation is None else jnp.zeros(self.capacity)
        ages = jnp.zeros(self.capacity, jnp.int32)
        labels = None
        if self.num_labels is not None:
            labels = jnp.tile(_labels_of_a_shard(self), self.num_shards)
        return ReplayBuffer(positions, ages, scales, labels, self.storage, self.num_shards)

    def step(
        self,
        energy: EnergyFn,
        x: Batch,
        state: ReplayBuffer,
        *,
        key: Key,
        num_steps: Count | None = None,
    ) -> tuple[Batch, ReplayBuffer, NegativesInfo]:
        """Draw, restart, run, write back; `x` says how many.

        `num_steps`, if given, replaces that of the construction.
        """
        batch = as_examples(x)
        num = len(batch.x)
        check_batch(state, num)
        self._check_labels(energy)
        draw_key, restart_key, noise_key, run_key = jax.random.split(key, 4)
        labels, own = batch.y if self.num_labels is not None else None, None
        energy = energy if self.num_labels is None else condition(energy, labels)
        if labels is None:
            start, index = state.draw(num, key=draw_key)
        else:
            start, index, own = state.draw_labels(labels, key=draw_key)
        start = start.astype(batch.x.dtype)
        noise = draw_noise(self.noise, num, start.shape[1:], key=noise_key).astype(start.dtype)
        old_ages = state.at(state.ages, index)
        chances = self._restart_chances(energy, start, old_ages)
        restarted = jax.random.uniform(restart_key, (num,)) < chances
        start = self._augmented(start, draw_key)
        start = where_chain(restarted, noise, start)
        sampler, log_scales = self.sampler, None
        if self.adaptation is not None and state.log_scales is not None:
            log_scales = jnp.where(restarted, 0, state.at(state.log_scales, index))
            sampler = self.adaptation.scale(sampler, log_scales)
        steps = self.num_steps if num_steps is None else num_steps
        moved, info = move(energy, sampler, steps, start, noise, restarted, run_key)
        ages = jnp.where(info.dead, 0, jnp.where(restarted, 0, old_ages) + 1)
        if self.adaptation is not None and log_scales is not None:
            log_scales = self.adaptation.update(log_scales, info, ages)
            info = dataclasses.replace(info, at_limit=share_at_limit(log_scales))
        write_key = jax.random.fold_in(draw_key, 2)
        after = state.write(index, moved, ages, log_scales, own=own, key=write_key)
        return (moved if labels is None else _labelled(moved, labels, index, state)), after, info

    def _augmented(self, x: XBatch, key: Key) -> XBatch:
        augment = self.augment
        if augment is None:
            return x
        keys = jax.random.split(jax.random.fold_in(key, 1), len(x))
        return jax.vmap(lambda x, key: augment(x, key=key))(x, keys)

    def _check_labels(self, energy: EnergyFn) -> None:
        conditional = isinstance(energy, AbstractConditionalEnergy)
        wanted = energy.num_labels if conditional else None
        fix = "chains keep labels alone: for conditions of real numbers use CD or ShortRun"
        _checks.require(not conditional or wanted is not None, "energy.num_labels", None, fix)
        fix = f"the energy has {wanted} labels: give PCD(..., num_labels={wanted})"
        _checks.require(self.num_labels == wanted, "num_labels", self.num_labels, fix)

    def _restart_chances(self, energy: EnergyFn, start: XBatch, ages: jax.Array) -> Vector:
        prob = jnp.asarray(self.reinit_prob, float)
        if self.restart == "alike":
            return jnp.broadcast_to(prob, ages.shape)
        weights = ages.astype(start.dtype)
        if self.restart == "energy":
            values = energies(energy, Examples(start))
            weights = jnp.argsort(jnp.argsort(values)).astype(start.dtype)
        return prob * (weights / jnp.maximum(jnp.mean(weights), 1e-6)).astype(float)


def _labelled(x: XBatch, labels: jax.Array, index: jax.Array, buffer: ReplayBuffer) -> Examples:
    """Chains with their labels; not finite where the slot is of another, so nothing is trained."""
    assert buffer.labels is not None
    fits = buffer.at(buffer.labels, index) == labels.astype(buffer.labels.dtype)
    return Examples(where_chain(fits, x, jnp.full_like(x, jnp.nan)), labels)


def _labels_of_a_shard(negatives: PCD) -> jax.Array:
    """The labels of the slots of a shard, in rising order."""
    assert negatives.num_labels is not None
    shares, size = negatives.label_shares, negatives.capacity // negatives.num_shards
    if shares is None:
        return jnp.arange(size, dtype=jnp.int32) * negatives.num_labels // size
    ends = jnp.cumsum(shares)
    places = (jnp.arange(size, dtype=shares.dtype) + 0.5) / size
    return jnp.searchsorted(ends / ends[-1], places).astype(jnp.int32)


def _check_slots(negatives: PCD) -> None:
    labels = _labels_of_a_shard(negatives)
    if _checks.is_concrete(labels):
        present = np.unique(np.asarray(labels))
        missing = sorted({*range(negatives.num_labels or 0)} - {*present.tolist()})
        fix = (
            f"the labels {missing[:5]} have no slot in a shard: give a larger capacity, fewer "
            "shards, or these labels larger label_shares"
        )
        _checks.require(not missing, "capacity", negatives.capacity, fix)


def _check_bounded(sampler: AbstractSampler, storage: UInt8) -> None:
    bounds = sampler.bounds
    fix = "positions are stored within a range: give a sampler with `bounds` inside it"
    _checks.require(bounds is not None, "storage", "UInt8", fix)
    if bounds is not None and all(map(_checks.is_concrete, (*bounds, storage.low, storage.high))):
        low, high = (np.asarray(end) for end in bounds)
        lowest, highest = np.asarray(storage.low), np.asarray(storage.high)
        ok = bool(np.all(low >= lowest) and np.all(high <= highest))
        _checks.require(ok, "bounds", (low.tolist(), high.tolist()), fix)
