"""Replica exchange over a ladder of temperatures."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .._arguments import guarded
from .._types import EnergyFn, Key, X
from ..energies import as_scalar
from ._base import AbstractSampler, StepInfo
from ._langevin import Langevin


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
        return self.accepted / jnp.maximum(self.attempted, 1)


@guarded
class ReplicaExchange(AbstractSampler[Ladder]):
    """Replicas of a chain at rising temperatures, which swap places with their neighbours.

    A step moves each replica by a step of `sampler` on `E / T`, then proposes swaps of the pairs
    (0, 1), (2, 3), … in even steps and (1, 2), (3, 4), … in odd ones, with the acceptance
    `min(1, exp((1/Tᵢ − 1/Tⱼ)(Eᵢ − Eⱼ)))`. It costs as many gradients as there are rungs, and one
    further energy for each. `sample(...).state` holds `swap_rates` and `round_trips`.

    Swendsen and Wang (1986), "Replica Monte Carlo simulation of spin glasses"; Okabe et al. (2001)
    and Syed et al. (2022), "Non-reversible parallel tempering", for the two parities in turn.

    **Arguments:**

    - `sampler`: moves a replica. On the energy of rung `i` its step size is multiplied by
        `temperatures[i]` if `scale_step` is set and it has one.
    - `temperatures`: `(rungs,)`, rising; the first one is that of the samples, 1 as a rule.
    - `scale_step`: whether hot replicas take longer steps. For a step size in squared units of `x`,
        as `MALA` has it.

    **Raises:**

    `ValueError` if there are fewer than two temperatures, or they do not rise, or if the sampler is
    a `Langevin` that reports acceptances: after a swap its last step was one of another energy.
    """

    sampler: AbstractSampler
    temperatures: Float[Array, "rungs"] = eqx.field(converter=jnp.asarray)
    scale_step: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if isinstance(self.sampler, Langevin):
            fix = "its acceptance is wrong after a swap: set report_acceptance=False, or use MALA"
            reports = self.sampler.report_acceptance
            _checks.require(not reports, "sampler.report_acceptance", reports, fix)
        shape, fix = jnp.shape(self.temperatures), "give at least two rising temperatures"
        ok = len(shape) == 1 and shape[0] >= 2
        _checks.require(ok, "temperatures.shape", shape, fix)
        if _checks.is_concrete(self.temperatures):
            _checks.positive("temperatures", self.temperatures)
            ok = bool(jnp.all(jnp.diff(self.temperatures) > 0))
            _checks.require(ok, "temperatures", self.temperatures, fix)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Ladder:
        """All replicas at `x`."""
        # one position for all, so that an energy and a gradient of it are one, too
        rungs = self.temperatures.shape[0]
        keys = jax.random.split(key, rungs)
        init = jax.vmap(lambda t, k: self._at(t).init(_tempered(energy, t), x, key=k))
        upper = jnp.broadcast_to(x, (rungs - 1, *x.shape))
        return self._ladder(upper, init(self.temperatures, keys))

    def init_replicas(
        self, energy: EnergyFn, replicas: Float[Array, "rungs *shape"], *, key: Key
    ) -> Ladder:
        """A ladder with these replicas on its rungs, the lowest temperature first."""
        rungs = self.temperatures.shape[0]
        fix = f"give one replica for each of the {rungs} temperatures"
        _checks.require(len(replicas) == rungs, "replicas.shape", replicas.shape, fix)
        keys = jax.random.split(key, rungs)
        init = jax.vmap(lambda t, x, k: self._at(t).init(_tempered(energy, t), x, key=k))
        return self._ladder(replicas[1:], init(self.temperatures, replicas, keys))

    def _ladder(self, upper: Any, states: Any) -> Ladder:
        rungs = self.temperatures.shape[0]
        return Ladder(
            upper=upper,
            states=states,
            step=jnp.zeros((), jnp.int32),
            accepted=jnp.zeros(rungs - 1, self.temperatures.dtype),
            attempted=jnp.zeros(rungs - 1, jnp.int32),
            leg=(jnp.arange(rungs) == 0).astype(jnp.int32),
            round_trips=jnp.zeros((), jnp.int32),
        )

    def step(
        self, energy: EnergyFn, x: X, state: Ladder, *, key: Key
    ) -> tuple[X, Ladder, StepInfo]:
        """Move all replicas, then swap neighbours of one parity."""
        rungs = self.temperatures.shape[0]
        move_key, swap_key = jax.random.split(key)

        def move(temperature, x, inner, key):
            return self._at(temperature).step(_tempered(energy, temperature), x, inner, key=key)

        replicas = jnp.concatenate([x[None], state.upper])
        keys = jax.random.split(move_key, rungs)
        replicas, inner, infos = jax.vmap(move)(self.temperatures, replicas, state.states, keys)
        energies = jax.vmap(lambda x: as_scalar(energy(x)))(replicas)

        tried, acceptance = _swap_acceptance(energies, self.temperatures, state.step % 2)
        swapped = tried & (jax.random.uniform(swap_key, (rungs - 1,)) < acceptance)
        source = _permutation(swapped)
        factor = self.temperatures[source] / self.temperatures
        inner = _retemper(jax.tree.map(lambda leaf: leaf[source], inner), factor)
        replicas = replicas[source]
        leg, trips = _follow(state.leg[source])
        ladder = Ladder(
            upper=replicas[1:],
            states=inner,
            step=state.step + 1,
            accepted=state.accepted + (tried * acceptance).astype(state.accepted.dtype),
            attempted=state.attempted + tried,
            leg=leg,
            round_trips=state.round_trips + trips,
        )
        info = jax.tree.map(lambda leaf: leaf[0], infos)
        return replicas[0], ladder, eqx.tree_at(lambda i: i.energy, info, energies[source[0]])

    def _at(self, temperature: jax.Array) -> AbstractSampler:
        if not self.scale_step:
            return self.sampler
        step_size: Any = lambda s: s.step_size  # noqa: E731
        return eqx.tree_at(step_size, self.sampler, step_size(self.sampler) * temperature)


def _tempered(energy: EnergyFn, temperature: jax.Array) -> EnergyFn:
    return lambda x: as_scalar(energy(x)) / temperature


def _swap_acceptance(
    energies: jax.Array, temperatures: jax.Array, parity: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Which pairs of neighbours are tried, and the acceptance of each pair."""
    beta = 1 / temperatures
    log_ratio = (beta[:-1] - beta[1:]) * (energies[:-1] - energies[1:])
    acceptance = jnp.exp(jnp.minimum(log_ratio, 0.0))
    tried = jnp.arange(len(energies) - 1) % 2 == parity
    return tried, jnp.where(jnp.isnan(acceptance), 0.0, acceptance)


def _permutation(swapped: jax.Array) -> jax.Array:
    """From which rung each rung takes its replica."""
    none = jnp.zeros(1, bool)
    from_above = jnp.concatenate([swapped, none])
    from_below = jnp.concatenate([none, swapped])
    return jnp.arange(len(from_above)) + from_above - from_below


def _follow(leg: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Turn replicas round at both ends; one that arrives at the bottom has made a round trip.

    A replica sets out from its first visit of the bottom: half trips before that do not count.
    """
    trips = (leg[0] == 2).astype(jnp.int32)
    top = jnp.where(leg[-1] == 0, 0, 2)
    return leg.at[0].set(1).at[-1].set(top), trips


def _retemper(states: Any, factor: jax.Array) -> Any:
    """What samplers remember of an energy `E / T`, at another temperature."""
    if not hasattr(states, "_fields"):
        return states
    scaled = {}
    for name in ("logdensity", "logdensity_grad", "energy", "gradient"):
        if name in states._fields:
            leaf = getattr(states, name)
            scaled[name] = leaf * factor.reshape(-1, *(1,) * (leaf.ndim - 1))
    return states._replace(**scaled)
