"""Negatives from persistent chains."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Count, EnergyFn, Key, Number, Vector, XBatch
from ...samplers import AbstractSampler
from ...samplers._base import check_restartable
from ...samplers._fields import number
from .._batch import Examples, augmented, energies, where_chain
from ._base import NegativesInfo, check_displacement, move
from ._buffer import Chains, ReplayBuffer
from ._buffered import AbstractBuffered, as_weights
from ._noise import AbstractNoise, UniformNoise
from ._restarted import width_of
from ._step_size_adaptation import StepSizeAdaptation, fraction_at_limit
from ._storage import AbstractStorage


class PCD(AbstractBuffered):
    """Persistent contrastive divergence: chains that go on from update to update.

    A batch of chains is drawn from a buffer without replacement. Each is restarted from noise with
    a small probability, moved, and written back into its slot.

    With labels, each chain keeps its own, and each row of a batch draws a chain of its label. So
    data and negatives have the same labels in each batch, as in the gradient of the likelihood of
    `x` given `y`, and the gradient of any term that depends on the label alone is 0. With other
    frequencies that gradient would be their difference for any energy, and the term would grow
    without bound.

    Tieleman (2008), "Training restricted Boltzmann machines using approximations to the likelihood
    gradient"; restarts as in Du and Mordatch (2019), "Implicit generation and modeling with
    energy-based models".

    Args:
        sampler: a sampler.
        num_steps: how many steps for each update, at least 1.
        capacity: how many chains there are, at least the batch size.
        reinit_prob: the mean probability that a drawn chain is restarted, in [0, 1]; `restart` says
            how it is distributed over chains.
        noise: where chains start.
        restarts_at_data: the probability that a chain starts at an example of the batch in place of
            noise, in [0, 1]; then a chain starts when it is drawn for the first time.
        adaptation: adapts a step size for each chain, which the buffer keeps; a restarted chain
            begins again with the sampler's `step_size`.
        num_labels: for a conditional energy, how many labels there are.
        label_weights: the relative number of slots of each label, `(num_labels,)`; equal if not
            given. With the label frequencies of the data, all chains move equally often.
        restart: which drawn chains are restarted: `"uniform"`, all with probability `reinit_prob`;
            `"age"` or `"energy"`, with a probability proportional to the age, or to the rank of the
            energy, whose mean is `reinit_prob`.
        augment: a function `(x, *, key) -> x` of one example, applied to each drawn chain.
        storage: `BFloat16()` or `UInt8(low, high)` to store positions in less memory, or of
            discrete data, exactly, `PackedBits(shape)` or `PackedCategories(shape)`; in full
            precision if not given.
        num_shards: the number of blocks of chains; an update draws equally many from each. Draws
            depend on it, and not on the devices, whose number divides it: see `fit(..., mesh=...)`.

    Raises:
        ValueError: if a number is out of its range, if the sampler needs more than a position to go
            on, if it clips its gradient so that chains cannot cross the noise's range, if chains
            could leave the range that is stored, or if there is no slot for a label.

    Examples:
        >>> from ebmx.samplers import Langevin
        >>> from ebmx.training import PCD, UInt8
        >>> chains = Langevin(2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
        >>> negatives = PCD(chains, num_steps=30, capacity=4096, storage=UInt8(-1, 1))
    """

    sampler: AbstractSampler
    num_steps: int = eqx.field(static=True, default=60)
    capacity: int = eqx.field(static=True, default=10_000)
    reinit_prob: Number = number(default=0.05)
    noise: AbstractNoise = eqx.field(default_factory=UniformNoise)
    adaptation: StepSizeAdaptation | None = None
    num_labels: int | None = eqx.field(static=True, default=None)
    label_weights: jax.Array | None = eqx.field(converter=as_weights, default=None)
    restart: Literal["uniform", "age", "energy"] = eqx.field(static=True, default="uniform")
    augment: Callable | None = None
    storage: AbstractStorage | None = None
    num_shards: int = eqx.field(static=True, default=1)
    restarts_at_data: Number = number(default=0.0)

    def __check_init__(self):
        self.check_buffer()
        check_restartable(self.sampler)
        check_displacement(self.sampler, self.num_steps, width_of(self.noise))
        if self.adaptation is not None:
            self.adaptation.check(self.sampler)
        _checks.probability("restarts_at_data", self.restarts_at_data)
        fix = "give 'uniform', 'age' or 'energy'"
        ok = self.restart in ("uniform", "age", "energy")
        _checks.require(ok, "restart", repr(self.restart), fix)
        if self.restart != "uniform" and _checks.is_concrete(self.reinit_prob):
            fix = f"give at most 0.5 with restart='{self.restart}': some chains have twice as much"
            _checks.require(bool(self.reinit_prob <= 0.5), "reinit_prob", self.reinit_prob, fix)

    def init(self, shape: tuple[int, ...], *, key: Key) -> ReplayBuffer:
        """A buffer of noise."""
        buffer = self.new_buffer((), shape, key=key)
        scales = None if self.adaptation is None else jnp.zeros(self.capacity)
        return dataclasses.replace(buffer, log_scales=scales)

    def step(
        self,
        energy: EnergyFn,
        positives: Examples,
        state: ReplayBuffer,
        *,
        key: Key,
        num_steps: Count | None = None,
    ) -> tuple[Examples, ReplayBuffer, NegativesInfo]:
        """Draw a chain for each positive, restart some, run, write back."""
        draw_key, restart_key, noise_key, run_key = jax.random.split(key, 4)
        energy, chains = self.draw(energy, positives, state, key=draw_key)
        noise = self._starts(positives, noise_key)
        chances = self._restart_chances(energy, chains)
        restarted = jax.random.uniform(restart_key, chances.shape) < chances
        # the first positions in a buffer are noise
        restarted = restarted | ((chains.ages == 0) & (self.restarts_at_data > 0))
        changed = augmented(self.augment, chains.x, jax.random.fold_in(draw_key, 1))
        x = where_chain(restarted, noise, changed)
        ages = jnp.where(restarted, 0, chains.ages)
        sampler, scales = self.sampler, None
        if self.adaptation is not None and chains.log_scales is not None:
            scales = jnp.where(restarted, 0, chains.log_scales)
            sampler = self.adaptation.scale(sampler, scales)
        steps = self.num_steps if num_steps is None else num_steps
        x, info = move(energy, sampler, steps, x, noise, restarted, run_key)
        ages = jnp.where(info.dead, 0, ages + 1)
        if self.adaptation is not None and scales is not None:
            scales = self.adaptation.update(scales, info, ages, self.sampler)
            info = dataclasses.replace(info, at_limit=fraction_at_limit(scales))
        chains = dataclasses.replace(chains, x=x, ages=ages, log_scales=scales)
        after = state.write(chains, key=jax.random.fold_in(draw_key, 2))
        return self.as_negatives(x, chains, positives), after, info

    def _starts(self, positives: Examples, key: Key) -> XBatch:
        """Where chains start, one place for each positive."""
        noise = self.noise_for(positives, key=key)
        prob = jnp.asarray(self.restarts_at_data, float)
        at_data = jax.random.bernoulli(jax.random.fold_in(key, 1), prob, (len(noise),))
        return where_chain(at_data, positives.x, noise)

    def _restart_chances(self, energy: EnergyFn, chains: Chains) -> Vector:
        prob = jnp.asarray(self.reinit_prob, float)
        if self.restart == "uniform":
            return jnp.broadcast_to(prob, chains.ages.shape)
        weights = chains.ages.astype(chains.x.dtype)
        if self.restart == "energy":
            # ranks, whose mean is known, where energies may be of any size
            (values,) = energies(energy, Examples(chains.x))
            weights = jnp.argsort(jnp.argsort(values)).astype(chains.x.dtype)
        return prob * (weights / jnp.maximum(jnp.mean(weights), 1e-6)).astype(float)
