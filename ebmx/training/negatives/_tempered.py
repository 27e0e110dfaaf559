"""Negatives from persistent chains on a ladder of temperatures."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._types import EnergyFn, Key, Number, Scalar
from ...samplers import ReplicaExchange, run_replicas
from ...samplers._fields import number
from .._batch import Examples, where_chain
from ._base import NegativesInfo, are_dead, saturated_fraction
from ._buffer import ReplayBuffer
from ._buffered import AbstractBuffered, as_weights
from ._noise import AbstractNoise, UniformNoise
from ._storage import AbstractStorage


class TemperedPCD(AbstractBuffered):
    """Persistent contrastive divergence with replica exchange.

    Each slot of the buffer holds a ladder of replicas at rising temperatures, which go on from
    update to update and swap places with their neighbours. The negatives are the replicas at the
    lowest temperature. Hot replicas cross between modes that a single chain does not leave.

    `num_labels`, `label_weights`, `storage` and `num_shards` are as for `PCD`, with a ladder in the
    place of a chain.

    Desjardins et al. (2010), "Tempered Markov chain Monte Carlo for training of restricted
    Boltzmann machines".

    Args:
        sampler: the exchange, with its temperatures.
        num_steps: how many steps for each update, at least 1.
        capacity: how many ladders there are, at least the batch size.
        reinit_prob: the probability that the hottest replica of a drawn ladder is restarted, in [0,
            1]. The other replicas are not restarted.
        noise: where replicas start.

    Raises:
        ValueError: if a number is out of its range, if the sampler is not a `ReplicaExchange`, if
            replicas could leave the range that is stored, or if there is no ladder for a label.
    """

    sampler: ReplicaExchange
    num_steps: int = eqx.field(static=True, default=20)
    capacity: int = eqx.field(static=True, default=2048)
    reinit_prob: Number = number(default=0.05)
    noise: AbstractNoise = eqx.field(default_factory=UniformNoise)
    num_labels: int | None = eqx.field(static=True, default=None)
    label_weights: jax.Array | None = eqx.field(converter=as_weights, default=None)
    storage: AbstractStorage | None = None
    num_shards: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        self.check_buffer()

    def init(self, shape: tuple[int, ...], *, key: Key) -> ReplayBuffer:
        """A buffer of ladders of noise, `(capacity, rungs, *shape)`."""
        return self.new_buffer(self.sampler.temperatures.shape, shape, key=key)

    def step(
        self, energy: EnergyFn, positives: Examples, state: ReplayBuffer, *, key: Key
    ) -> tuple[Examples, ReplayBuffer, NegativesInfo]:
        """Draw a ladder for each positive, restart some hottest replicas, run, write back."""
        draw_key, restart_key, noise_key, run_key = jax.random.split(key, 4)
        energy, chains = self.draw(energy, positives, state, key=draw_key)
        ladders, ages = chains.x, chains.ages
        noise = self.noise_for(positives, key=noise_key)
        prob = jnp.asarray(self.reinit_prob, float)
        restarted = jax.random.uniform(restart_key, ages.shape) < prob
        ladders = ladders.at[:, -1].set(where_chain(restarted, noise, ladders[:, -1]))
        # the two parities of pairs alternate over updates, and neighbouring ladders have different
        # ones, so that an update of few steps still tries all pairs
        first = chains.index % 2 + ages % 2 * self.num_steps
        moved, infos, rates = run_replicas(
            energy, self.sampler, ladders, num_steps=self.num_steps, first_step=first, key=run_key
        )
        moved = jax.lax.stop_gradient(moved)
        dead = are_dead(moved, infos)
        moved = where_chain(dead, jnp.broadcast_to(noise[:, None], moved.shape), moved)
        saturated = saturated_fraction(self.sampler.sampler, moved[:, 0])
        swap_rate = _swap_rate(rates, first, self.num_steps)
        info = NegativesInfo(infos, restarted, dead, saturated, swap_rate)
        chains = dataclasses.replace(chains, x=moved, ages=jnp.where(dead, 0, ages + 1))
        after = state.write(chains, key=jax.random.fold_in(draw_key, 2))
        return self.as_negatives(moved[:, 0], chains, positives), after, info


def _swap_rate(rates: jax.Array, first_step: jax.Array, num_steps: int) -> Scalar:
    """The mean acceptance of all swaps that were tried; `rates` are means, `(chains, pairs)`."""
    parity = (jnp.arange(rates.shape[1])[None] + first_step[:, None]) % 2
    tried = jnp.where(parity == 0, (num_steps + 1) // 2, num_steps // 2).astype(rates.dtype)
    return jnp.sum(rates * tried) / jnp.maximum(jnp.sum(tried), 1)
