"""Negatives from persistent chains on a ladder of temperatures."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._arguments import guarded
from ..._types import EnergyFn, Key, Number, Scalar
from ...energies import AbstractConditionalEnergy
from ...samplers import ReplicaExchange, run_replicas
from ...samplers._fields import number
from .._batch import Batch, as_examples, where_chain
from ._base import (
    AbstractNegatives,
    NegativesInfo,
    are_dead,
    check_batch,
    check_chain,
    check_shards,
    draw_noise,
    saturated_share,
)
from ._buffer import ReplayBuffer
from ._noise import AbstractNoise, UniformNoise


@guarded
class TemperedPCD(AbstractNegatives[ReplayBuffer]):
    """Persistent contrastive divergence with replica exchange.

    Each slot of the buffer holds a ladder of replicas at rising temperatures, which go on where
    they last stopped and swap places with their neighbours. The negatives are the replicas at the
    lowest temperature. Hot replicas cross between modes that a chain alone does not leave, and
    come down to where the energy has sunk.

    Desjardins et al. (2010), "Tempered Markov chain Monte Carlo for training of restricted
    Boltzmann machines".

    Args:
        sampler: the exchange, with its temperatures.
        num_steps: how many steps for each update, at least 1.
        capacity: how many ladders there are, at least the batch size.
        reinit_prob: the probability that the hottest replica of a drawn ladder is restarted, in [0,
            1]. The chain itself never is.
        noise: where replicas start.
        num_shards: into how many blocks the ladders are cut; an update takes as many from each. See
            `PCD`.

    Raises:
        ValueError: if a number is out of its range, or the sampler is no `ReplicaExchange`.
    """

    sampler: ReplicaExchange
    num_steps: int = eqx.field(static=True, default=20)
    capacity: int = eqx.field(static=True, default=2048)
    reinit_prob: Number = number(default=0.05)
    noise: AbstractNoise = eqx.field(default_factory=UniformNoise)
    num_shards: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_chain(self.sampler, self.num_steps)
        fix = "give a ReplicaExchange(sampler, temperatures), or take PCD"
        ok = isinstance(self.sampler, ReplicaExchange)
        _checks.require(ok, "sampler", type(self.sampler).__name__, fix)
        _checks.at_least("capacity", self.capacity, 1)
        _checks.probability("reinit_prob", self.reinit_prob)
        check_shards(self.num_shards, self.capacity)

    def init(self, shape: tuple[int, ...], *, key: Key) -> ReplayBuffer:
        """A buffer full of ladders of noise, `(capacity, rungs, *shape)`."""
        rungs = self.sampler.temperatures.shape[0]
        noise = draw_noise(self.noise, self.capacity * rungs, shape, key=key)
        positions = noise.reshape(self.capacity, rungs, *shape)
        ages = jnp.zeros(self.capacity, jnp.int32)
        return ReplayBuffer(positions, ages, num_shards=self.num_shards)

    def step(
        self, energy: EnergyFn, x: Batch, state: ReplayBuffer, *, key: Key
    ) -> tuple[Batch, ReplayBuffer, NegativesInfo]:
        """Draw ladders, restart hottest replicas, run, write back; `x` says how many."""
        fix = "ladders keep no labels: for a conditional energy use PCD(..., num_labels=...)"
        ok = not isinstance(energy, AbstractConditionalEnergy)
        _checks.require(ok, "energy", type(energy).__name__, fix)
        batch = as_examples(x)
        num = len(batch.x)
        check_batch(state, num)
        draw_key, restart_key, noise_key, run_key = jax.random.split(key, 4)
        start, index = state.draw(num, key=draw_key)
        start, ages = start.astype(batch.x.dtype), state.at(state.ages, index)
        noise = draw_noise(self.noise, num, start.shape[2:], key=noise_key).astype(start.dtype)
        restarted = jax.random.uniform(restart_key, (num,)) < jnp.asarray(self.reinit_prob, float)
        top = where_chain(restarted, noise, start[:, -1])
        start = start.at[:, -1].set(top)
        # the two parities of pairs go on in turn from update to update, and neighbouring ladders
        # are at different ones: with few steps, an update still tries all pairs
        first_step = index % 2 + ages % 2 * self.num_steps
        moved, chains, rates = run_replicas(
            energy,
            self.sampler,
            start,
            num_steps=self.num_steps,
            first_step=first_step,
            key=run_key,
        )
        moved = jax.lax.stop_gradient(moved)
        dead = are_dead(moved, chains)
        moved = where_chain(dead, jnp.broadcast_to(noise[:, None], moved.shape), moved)
        ages = jnp.where(dead, 0, ages + 1)
        saturated = saturated_share(self.sampler.sampler, moved[:, 0])
        swap_rate = _swap_rate(rates, first_step, self.num_steps)
        info = NegativesInfo(chains, restarted, dead, saturated, swap_rate)
        return moved[:, 0], state.write(index, moved, ages), info


def _swap_rate(rates: jax.Array, first_step: jax.Array, num_steps: int) -> Scalar:
    """The mean acceptance of all swaps that were tried; `rates` are means, `(chains, pairs)`."""
    parity = (jnp.arange(rates.shape[1])[None] + first_step[:, None]) % 2
    tried = jnp.where(parity == 0, (num_steps + 1) // 2, num_steps // 2).astype(rates.dtype)
    return jnp.sum(rates * tried) / jnp.maximum(jnp.sum(tried), 1)
