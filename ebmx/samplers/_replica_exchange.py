"""Replica exchange over a ladder of temperatures."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from .._types import EnergyFn, Key, Number, Numbers, X
from ..energies._batch import as_scalar
from ..energies._tempered import Tempered
from ._base import AbstractSampler, AbstractWrapper, StepInfo, always, as_carried, take_step
from ._fields import at_least_single, number


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


class ReplicaExchange(AbstractWrapper[Ladder]):
    """Replicas of a chain at rising temperatures, which swap places with their neighbours.

    A step moves each replica by a step of `sampler` on `E / T`, then proposes swaps of the pairs
    (0, 1), (2, 3), … in even steps and (1, 2), (3, 4), … in odd ones, with the acceptance
    `min(1, exp((1/Tᵢ − 1/Tⱼ)(Eᵢ − Eⱼ)))`. It costs as many steps of the sampler as there are rungs.
    A sampler that does not report the energy of its new position costs one more energy for each
    rung; one that caches more than energy and gradient makes a new state after each swap.
    `sample(...).state` holds `swap_rates` and `round_trips`.

    If the sampler has an `effective_temperature` of its own, rung `i` is at its product with
    `temperatures[i]`.

    A call of `run` or `sample` begins with all replicas at `x`, which is a burn-in and not
    invariant. To continue exactly, give `sample` the state of earlier samples; `run_replicas`
    starts from given replicas, and `TemperedPCD` trains with them.

    Swendsen and Wang (1986), "Replica Monte Carlo simulation of spin glasses"; Okabe et al. (2001)
    and Syed et al. (2022), "Non-reversible parallel tempering", for the two parities in turn.

    Args:
        sampler: moves a replica. On the energy of rung `i` its step size is multiplied by
            `temperatures[i]` if `scale_step` is set and it has one.
        temperatures: `(rungs,)`, rising; the first one is that of the samples, 1 as a rule.
        scale_step: whether hot replicas take longer steps. For a step size in squared units of `x`,
            as `MALA` has it; not with a `noise_scale`, which would put all rungs at one
            temperature.

    Raises:
        ValueError: if there are fewer than two temperatures, or they do not rise, or if the
            temperature of the sampler is 0 or changes from step to step.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.samplers import MALA, ReplicaExchange
        >>> ladder = ReplicaExchange(MALA(0.1), temperatures=[1.0, 3.0, 9.0])
        >>> wells = lambda x: 8 * (x[0] ** 2 - 1) ** 2
        >>> start, key = jnp.ones((64, 1)), jax.random.key(0)  # all chains in one well
        >>> samples = ebmx.sample(wells, ladder, start, num_warmup=500, num_samples=10, key=key)
        >>> bool(abs(jnp.mean(samples.values > 0) - 0.5) < 0.2)
        True
    """

    sampler: AbstractSampler
    temperatures: Numbers = number()
    scale_step: bool = eqx.field(static=True, default=False)

    # where the other replicas are is not known from the chain's position
    is_restartable = always(False)
    reports_new_energy = always(True)  # swaps need it

    def __check_init__(self):
        shape, fix = jnp.shape(self.temperatures), "give at least two rising temperatures"
        ok = len(shape) == 1 and shape[0] >= 2
        _checks.require(ok, "temperatures.shape", shape, fix)
        if _checks.is_concrete(self.temperatures):
            _checks.positive("temperatures", self.temperatures)
            ok = bool(np.all(np.diff(np.asarray(self.temperatures, np.float64)) > 0))
            _checks.require(ok, "temperatures", self.temperatures, fix)
        steps = "step_size" in [field.name for field in dataclasses.fields(self.sampler)]
        fix = "the sampler has no step_size that could be scaled: leave scale_step out"
        _checks.require(steps or not self.scale_step, "scale_step", self.scale_step, fix)
        effective = self._effective_temperatures()
        if _checks.is_concrete(effective):
            known, kind = np.asarray(effective, np.float64), type(self.sampler).__name__
            ok = bool(np.all((known > 0) & np.isfinite(known)))
            fix = "its temperature must stay, and be above 0"
            _checks.require(ok, "sampler", kind, fix)
            fix = "all rungs have one temperature: give `temperature` in place of `noise_scale`"
            _checks.require(bool(np.all(np.diff(known) > 0)), "sampler.noise_scale", kind, fix)

    def _effective_temperatures(self) -> Any:
        """The temperatures of the rungs, `(rungs,)`."""
        own = [self._at(temperature).effective_temperature for temperature in self.temperatures]
        if all(map(_checks.is_concrete, (self.temperatures, *own))):
            # NumPy's, which jax_debug_nans lets pass
            return np.asarray(self.temperatures) * np.asarray([np.asarray(t) for t in own])
        return self.temperatures * jnp.stack([jnp.asarray(t, self.temperatures.dtype) for t in own])

    @property
    def max_drift(self) -> Number:
        """Infinite: a swap may bring a replica from anywhere."""
        return jnp.asarray(jnp.inf)

    @property
    def effective_temperature(self) -> Number:
        """That of the lowest rung."""
        return self._effective_temperatures()[0]

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Ladder:
        """All replicas at `x`."""
        upper = jnp.broadcast_to(x, (self.temperatures.shape[0] - 1, *x.shape))
        # the rungs share one position, so that XLA computes one energy and one gradient of it
        return self._ladder(energy, x, None, upper, key)

    def init_replicas(
        self, energy: EnergyFn, replicas: Float[Array, "rungs *shape"], *, key: Key
    ) -> Ladder:
        """A ladder with these replicas on its rungs, the lowest temperature first."""
        rungs = self.temperatures.shape[0]
        fix = f"give one replica for each of the {rungs} temperatures"
        _checks.require(len(replicas) == rungs, "replicas.shape", replicas.shape, fix)
        return self._ladder(energy, replicas, 0, replicas[1:], key)

    def _ladder(
        self, energy: EnergyFn, x: jax.Array, axis: int | None, upper: jax.Array, key: Key
    ) -> Ladder:
        """A ladder that starts at `x`, which has this axis of rungs, or none."""
        rungs = self.temperatures.shape[0]

        def init(t, x, k):
            return self._at(t).init(Tempered(energy, t), x, key=k)

        keys = jax.random.split(key, rungs)
        return Ladder(
            upper=upper,
            states=jax.vmap(init, in_axes=(0, axis, 0))(self.temperatures, x, keys),
            step=jnp.zeros((), jnp.int32),
            accepted=jnp.zeros(rungs - 1, self.temperatures.dtype),
            attempted=jnp.zeros(rungs - 1, jnp.int32),
            leg=(jnp.arange(rungs) == 0).astype(jnp.int32),
            round_trips=jnp.zeros((), jnp.int32),
        )

    def refresh(self, energy: EnergyFn, x: X, state: Ladder, *, key: Key) -> Ladder:
        """The upper replicas stay where they are; the lowest one is at `x`."""
        replicas = jnp.concatenate([x[None], state.upper])
        keys = jax.random.split(key, len(replicas))

        def refresh(t, x, inner, k):
            return self._at(t).refresh(Tempered(energy, t), x, inner, key=k)

        states = jax.vmap(refresh)(self.temperatures, replicas, state.states, keys)
        return state._replace(states=states)

    def step(
        self, energy: EnergyFn, x: X, state: Ladder, *, key: Key
    ) -> tuple[X, Ladder, StepInfo]:
        """Move all replicas, then swap neighbours of one parity."""
        rungs = self.temperatures.shape[0]
        move_key, swap_key, state_key = jax.random.split(key, 3)

        def move(temperature, x, inner, key):
            tempered = Tempered(energy, temperature)
            return take_step(self._at(temperature), tempered, x, inner, key=key)

        replicas = jnp.concatenate([x[None], state.upper])
        keys = jax.random.split(move_key, rungs)
        replicas, inner, infos = jax.vmap(move)(self.temperatures, replicas, state.states, keys)
        if self.sampler.reports_new_energy:
            energies = infos.energy * self.temperatures.astype(infos.energy.dtype)
        else:
            energies = jax.vmap(lambda x: as_scalar(energy(x)))(replicas)

        effective = self._effective_temperatures()
        tried, acceptance = _swap_acceptance(energies, effective, state.step % 2)
        dtype = at_least_single(acceptance.dtype)
        uniform = jax.random.uniform(swap_key, (rungs - 1,), dtype)
        source = _permutation(tried & (uniform < acceptance.astype(dtype)))
        replicas = replicas[source]
        inner = self._take(energy, replicas, inner, source, state_key)
        leg, trips = _follow(state.leg[source])
        ladder = Ladder(
            upper=replicas[1:],
            states=inner,
            step=state.step + 1,
            accepted=state.accepted + jnp.where(tried, acceptance, 0).astype(state.accepted.dtype),
            attempted=state.attempted + tried.astype(state.attempted.dtype),
            leg=leg,
            round_trips=state.round_trips + trips,
        )
        # of the replica that is the lowest now; the acceptance is of rung 0
        norm, lowest = infos.grad_norm, source[0]
        if norm is not None:
            norm = (norm * self.temperatures.astype(norm.dtype))[lowest]
        divergent = jnp.any(infos.divergent)
        info = StepInfo(energies[lowest], norm, infos.acceptance[0], divergent)
        return replicas[0], ladder, info

    def _take(
        self, energy: EnergyFn, replicas: jax.Array, states: Any, source: jax.Array, key: Key
    ) -> Any:
        """The states of the replicas that each rung has now, at its temperature."""
        moved = jax.tree.map(lambda leaf: leaf[source], states)
        factors = self.temperatures[source] / self.temperatures

        def retemper(t, x, inner, factor, k):
            new = self._at(t).retemper(Tempered(energy, t), x, inner, factor, key=k)
            return as_carried(new, inner)

        keys = jax.random.split(key, len(replicas))
        return jax.vmap(retemper)(self.temperatures, replicas, moved, factors, keys)

    def _at(self, temperature: jax.Array) -> AbstractSampler:
        if not self.scale_step:
            return self.sampler
        step_size: Any = lambda s: s.step_size  # noqa: E731
        old = jnp.asarray(step_size(self.sampler))
        return eqx.tree_at(step_size, self.sampler, old * temperature.astype(old.dtype))


def _swap_acceptance(
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


def _permutation(swapped: jax.Array) -> jax.Array:
    """From which rung each rung takes its replica."""
    none = jnp.zeros(1, bool)
    # pairs of one parity have no rung in common, so that a rung moves by one at most
    from_above = jnp.concatenate([swapped, none])
    from_below = jnp.concatenate([none, swapped])
    return jnp.arange(len(from_above)) + from_above.astype(int) - from_below.astype(int)


def _follow(leg: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Turn replicas round at both ends; one that arrives at the bottom has made a round trip.

    A replica sets out from its first visit of the bottom: half trips before that do not count.
    """
    trips = (leg[0] == 2).astype(jnp.int32)
    top = jnp.where(leg[-1] == 0, 0, 2)
    return leg.at[0].set(1).at[-1].set(top), trips
