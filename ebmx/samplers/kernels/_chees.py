"""The length of trajectories by the ChEES criterion."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._checks import checked
from ..._types import EnergyFn, Key, XBatch
from ...energies._batch import for_each
from .._fields import at_least_single, cast
from .._run import chain_keys, check_energy
from ._dual_averaging import DualAveraging
from ._jittered_hmc import JitteredHMC, fraction_of

RATE, DECAY = 0.05, 0.95


class Flight(NamedTuple):
    """One trajectory of a chain, accepted or not."""

    start: jax.Array
    """`(d,)`, and so the two below; all in units in which masses are one."""
    end: jax.Array
    velocity: jax.Array
    """That at the end."""
    acceptance: jax.Array


class Length(eqx.Module):
    """The state of Adam without momentum, which climbs the criterion in `log T`."""

    log_length: jax.Array
    log_average: jax.Array
    square: jax.Array
    count: jax.Array

    @classmethod
    def begin(cls, length: jax.Array) -> "Length":
        """At this length."""
        log, zero = jnp.log(length), jnp.zeros_like(length)
        return cls(log, log, zero, zero)

    def update(self, slope: jax.Array, longest: jax.Array) -> "Length":
        """A step along the slope, not beyond `longest`; the mean is of the latter half."""
        count = self.count + 1
        square = DECAY * self.square + (1 - DECAY) * slope**2
        size = jnp.sqrt(square / (1 - DECAY**count))
        change = jnp.where(size > 0, RATE * slope / jnp.where(size > 0, size, 1), 0)
        log = jnp.minimum(self.log_length + change, jnp.log(longest))
        # weights that rise with the number of the step forget where the search began
        average = self.log_average + (log - self.log_average) * 2 / (count + 1)
        return Length(log, average, square, count)


def slope_of_criterion(flights: Flight, fraction: jax.Array, length: jax.Array) -> jax.Array:
    """The derivative of `¼ E[(‖x′ − E x′‖² − ‖x − E x‖²)²]` in `log T`, at fractions `u` of `T`.

    A trajectory's end moves by its velocity when it becomes longer. Ends that would be rejected
    count less, as in the paper.
    """
    weight = flights.acceptance / jnp.maximum(jnp.sum(flights.acceptance), 1e-6)
    ends = flights.end - (weight @ flights.end)[None]
    starts = flights.start - jnp.mean(flights.start, 0, keepdims=True)
    change = jnp.sum(ends**2, 1) - jnp.sum(starts**2, 1)
    slopes = fraction * length * change * jnp.sum(ends * flights.velocity, 1)
    return weight @ slopes


@eqx.filter_jit
@checked
def tune_length(
    energy: EnergyFn,
    sampler: JitteredHMC,
    x: XBatch,
    num_steps: int,
    target: jax.Array,
    key: Key,
) -> tuple[JitteredHMC, XBatch]:
    """Step size and length of the trajectories, and the positions.

    The search for the length begins at 1: the sampler's masses make all standard deviations so.
    The step size is tuned beside it, by the harmonic mean of the acceptances of the chains.
    """
    check_energy(energy, x)
    num, dtype = x.shape[0], at_least_single(x.dtype)
    begin_keys = chain_keys(jax.random.fold_in(key, 0), num)
    state = for_each(lambda energy, x, k: sampler.init(energy, x, key=k), energy, x, begin_keys)
    most = sampler.max_num_integration_steps

    def at(tuner: DualAveraging, length: Length) -> JitteredHMC:
        h, longest = jnp.exp(tuner.log_step), jnp.exp(length.log_length)
        return dataclasses.replace(sampler, step_size=h, trajectory_length=longest)

    def step(i: jax.Array, carry: Any) -> Any:
        x, state, tuner, length = carry
        keys, tuned = chain_keys(jax.random.fold_in(key, i + 1), num), at(tuner, length)
        fraction = fraction_of(i)
        x, state, flights = for_each(
            lambda energy, x, state, k: fly(energy, tuned, x, state, fraction, k),
            *(energy, x, state, keys),
        )
        slope = slope_of_criterion(flights, fraction.astype(dtype), jnp.exp(length.log_length))
        harmonic = 1 / jnp.mean(1 / jnp.maximum(flights.acceptance, 1e-6))
        length = length.update(
            jnp.where(jnp.isfinite(slope), slope, 0), most * jnp.exp(tuner.log_step)
        )
        return x, state, tuner.update(harmonic, target), length

    tuner = DualAveraging.search(jnp.asarray(sampler.step_size).astype(dtype)).refine()
    begun = (x, state, tuner, Length.begin(jnp.ones((), dtype)))
    x, _, tuner, length = jax.lax.fori_loop(0, num_steps, step, begun)
    h, longest = jnp.exp(tuner.log_average), jnp.exp(length.log_average)
    return dataclasses.replace(sampler, step_size=h, trajectory_length=longest), x


def fly(
    energy: EnergyFn, sampler: JitteredHMC, x: jax.Array, state: Any, fraction: jax.Array, key: Key
) -> tuple[jax.Array, Any, Flight]:
    """Where a chain is after a trajectory, its state, and the trajectory."""
    kernel = sampler.kernel(x, fraction)
    new, info = kernel.transition(energy, x, state.kernel, key=key)
    dtype = at_least_single(x.dtype)
    end, momentum = (part.reshape(-1).astype(dtype) for part in info.proposal[:2])
    scale = jnp.sqrt(cast(kernel.parameters["inverse_mass_matrix"], end))
    start = x.reshape(-1).astype(dtype)
    # a trajectory that became non-finite tells nothing
    known = jnp.all(jnp.isfinite(end)) & jnp.all(jnp.isfinite(momentum))
    known = known & jnp.isfinite(info.acceptance_rate)
    end, momentum = jnp.where(known, end, start), jnp.where(known, momentum, 0)
    acceptance = jnp.where(known, info.acceptance_rate, 0).astype(dtype)
    # the kernel turns the momentum round at the end; a velocity is `M⁻¹ p`
    flight = Flight(start / scale, end / scale, -momentum * scale, acceptance)
    moved = state._replace(count=state.count + 1, kernel=new._replace(position=None))
    return new.position.astype(x.dtype), moved, flight
