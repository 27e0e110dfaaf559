"""The replicas of a chain, and how they swap places."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Ladder(NamedTuple):
    """The replicas of one chain, each on a rung, and what they have done."""

    # Moved by the sampler and by swaps; rung 0, at the lowest temperature, is the chain itself.
    upper: Any
    states: Any
    # Counted.
    step: jax.Array
    accepted: jax.Array
    """The sum of the swap acceptances of each pair of neighbouring rungs, `(rungs - 1,)`."""
    attempted: jax.Array
    """How many swaps each pair has tried, `(rungs - 1,)`."""
    leg: jax.Array
    """For each rung, what its replica does: 0 has not been at the bottom yet, 1 goes up, 2 down."""
    round_trips: jax.Array
    """How often a replica has come from the bottom to the top and back to the bottom."""

    @property
    def swap_rates(self) -> jax.Array:
        """The mean acceptance of swaps between neighbouring rungs, `(..., rungs - 1)`."""
        return self.accepted / jnp.maximum(self.attempted, 1).astype(self.accepted.dtype)


class Sweep(NamedTuple):
    """What the rungs of one chain report of a step, after the moves and before the swaps."""

    acceptance: jax.Array
    """Of the moves, `(rungs,)`."""
    energies: jax.Array
    """What swaps compare, `(rungs,)`: `E`, or `E − E₀` with a base."""
    swaps: jax.Array
    """The acceptance of a swap of each pair of neighbours, tried or not, `(rungs - 1,)`."""


class Moved(NamedTuple):
    """The replicas after a step of each of them, `(rungs, ...)`."""

    replicas: jax.Array
    states: Any
    values: jax.Array
    """The energy `E` of each."""
    energies: jax.Array
    """What swaps compare."""
    grad_norm: jax.Array | None
    """Of `E`; with a base, of the energy of the rung."""
    acceptance: jax.Array
    divergent: jax.Array


def new_ladder(upper: jax.Array, states: Any, dtype: Any) -> Ladder:
    """A ladder that has not moved yet."""
    rungs = len(upper) + 1
    return Ladder(
        upper=upper,
        states=states,
        step=jnp.zeros((), jnp.int32),
        accepted=jnp.zeros(rungs - 1, dtype),
        attempted=jnp.zeros(rungs - 1, jnp.int32),
        leg=(jnp.arange(rungs) == 0).astype(jnp.int32),
        round_trips=jnp.zeros((), jnp.int32),
    )


def swap_acceptance(
    energies: jax.Array, temperatures: jax.Array, parity: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Which pairs of neighbours are tried, and the acceptance of each pair."""
    parity = jnp.asarray(parity)
    beta = (1 / temperatures).astype(energies.dtype)
    # infinite energies become large ones, whose difference is a number
    large = jnp.finfo(energies.dtype).max / 4
    finite = jnp.nan_to_num(energies, nan=large, posinf=large, neginf=-large)
    log_ratio = (beta[:-1] - beta[1:]) * (finite[:-1] - finite[1:])
    acceptance = jnp.exp(jnp.minimum(log_ratio, 0.0))
    tried = jnp.arange(len(energies) - 1, dtype=parity.dtype) % 2 == parity
    unknown = jnp.isnan(energies[:-1]) | jnp.isnan(energies[1:])
    return tried, jnp.where(unknown, 0.0, acceptance)


def permutation(swapped: jax.Array) -> jax.Array:
    """From which rung each rung takes its replica."""
    none = jnp.zeros(1, bool)
    # pairs of one parity have no rung in common, so that a rung moves by one at most
    from_above = jnp.concatenate([swapped, none])
    from_below = jnp.concatenate([none, swapped])
    return jnp.arange(len(from_above)) + from_above.astype(int) - from_below.astype(int)


def follow(leg: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Turn replicas round at both ends; one that arrives at the bottom has made a round trip.

    A replica sets out from its first visit of the bottom: half trips before that do not count.
    """
    trips = (leg[0] == 2).astype(jnp.int32)
    top = jnp.where(leg[-1] == 0, 0, 2)
    return leg.at[0].set(1).at[-1].set(top), trips
