"""Finding step sizes and masses before sampling."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._checks import checked
from .._types import EnergyFn, Key, XBatch
from ..energies import for_each, shape_of
from ._base import AbstractSampler
from ._blackjax import HMC, NUTS
from ._run import PerChain, chain_keys, check_energy


class DualAveraging(eqx.Module):
    """What dual averaging knows: Hoffman and Gelman (2014), section 3.2. Of one number or many."""

    log_step: jax.Array
    log_average: jax.Array
    gradient: jax.Array
    centre: jax.Array
    count: jax.Array
    gain: jax.Array

    @classmethod
    def search(cls, step_size: jax.Array) -> "DualAveraging":
        """Begin at a step size that may be far from the right one, in long strides."""
        log = jnp.log(step_size)
        return cls._begin(log, log + jnp.log(10.0), 20.0)

    def refine(self) -> "DualAveraging":
        """Begin anew near the right step size, in short strides.

        Where the acceptance falls steeply the strides of a search overshoot again and again, and
        the mean of the acceptances is not the acceptance of the mean.
        """
        return self._begin(self.log_average, self.log_average, 2.0)

    @classmethod
    def _begin(cls, log_step: jax.Array, centre: jax.Array, gain: float) -> "DualAveraging":
        zero, count = jnp.zeros_like(log_step), jnp.zeros((), jnp.int32)
        return cls(log_step, log_step, zero, centre, count, jnp.asarray(gain, log_step.dtype))

    def update(self, acceptance: jax.Array, target: float) -> "DualAveraging":
        """Take in the acceptance of one step."""
        count = self.count + 1
        weight = 1 / (count + 10)
        error = target - jnp.where(jnp.isfinite(acceptance), acceptance, 0.0)
        gradient = (1 - weight) * self.gradient + weight * error
        log_step = self.centre - self.gain * jnp.sqrt(count) * gradient
        share = count**-0.75
        average = share * log_step + (1 - share) * self.log_average
        return DualAveraging(log_step, average, gradient, self.centre, count, self.gain)


@guarded
def warmup(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: XBatch,
    *,
    num_steps: int,
    target_acceptance: float | None = None,
    per_chain: bool = False,
    key: Key,
) -> tuple[AbstractSampler, XBatch]:
    """Run chains while their step size is tuned to an acceptance, by dual averaging.

    The search goes in long strides first and in short ones in its second half. For `HMC` and `NUTS`
    it is made twice: once with the masses they have, while the variance of each coordinate, pooled
    over the chains, is estimated; then with that as the inverse mass matrix.

    Hoffman and Gelman (2014), "The no-U-turn sampler".

    **Arguments:**

    - `energy`: an energy, or any callable from one example to a scalar.
    - `sampler`: with a `step_size`, which is where the search starts: `MALA`, `HMC`, `NUTS`,
        `Barker`, or one that reports an acceptance.
    - `x`: where the chains start, `(chains, *shape)`.
    - `num_steps`: how many steps, at least 20.
    - `target_acceptance`: in (0, 1); 0.574 for one gradient a step, 0.8 for `HMC` and `NUTS`.
    - `per_chain`: whether each chain finds a step size of its own. The sampler that comes out is
        then good for these chains in this order.
    - `key`: a key.

    **Returns:**

    The tuned sampler, and the positions after the warm-up.

    **Raises:**

    `ValueError` if a number is out of its range or the sampler has no step size.
    """
    x = _checks.batch(x, "x", shape_of(energy))
    _checks.at_least("num_steps", num_steps, 20)
    names = [field.name for field in dataclasses.fields(sampler)]
    fix = f"{type(sampler).__name__} has the fields {names}: there is no step size to tune"
    _checks.require("step_size" in names, "sampler", type(sampler).__name__, fix)
    with_mass = isinstance(sampler, HMC | NUTS)
    if target_acceptance is None:
        target_acceptance = 0.8 if with_mass else 0.574
    ok = 0 < target_acceptance < 1
    _checks.require(ok, "target_acceptance", target_acceptance, "give a number in (0, 1)")
    target_acceptance = float(target_acceptance)
    mass_key, step_key = jax.random.split(key)
    if with_mass:
        half = num_steps // 2
        step_size, x, variance = _tune(energy, sampler, x, half, target_acceptance, False, mass_key)
        sampler = dataclasses.replace(sampler, step_size=step_size, inverse_mass_matrix=variance)
        num_steps -= half
    step_size, x, _ = _tune(energy, sampler, x, num_steps, target_acceptance, per_chain, step_key)
    if not per_chain:
        return dataclasses.replace(sampler, step_size=step_size), x
    return PerChain(jax.vmap(lambda s: dataclasses.replace(sampler, step_size=s))(step_size)), x


@eqx.filter_jit
@checked
def _tune(
    energy: EnergyFn,
    sampler: Any,
    x: XBatch,
    num_steps: int,
    target: float,
    per_chain: bool,
    key: Key,
) -> tuple[jax.Array, XBatch, jax.Array]:
    """The step size, the positions, and the variances over chains and the latter half of steps."""
    check_energy(energy, x)
    num, half = x.shape[0], num_steps // 2
    keys = chain_keys(jax.random.fold_in(key, 0), num)
    state = for_each(lambda energy, x, k: sampler.init(energy, x, key=k), energy, x, keys)
    shape = (num,) if per_chain else ()
    tuner = DualAveraging.search(jnp.broadcast_to(sampler.step_size, shape).astype(x.dtype))

    def one(energy, x, state, size, key):
        tuned = dataclasses.replace(sampler, step_size=size)
        x, state, info = tuned.step(energy, x, state, key=key)
        return x, state, info.acceptance

    def step(i, carry):
        x, state, tuner, moments = carry
        keys = chain_keys(jax.random.fold_in(key, i + 1), num)
        sizes = jnp.broadcast_to(jnp.exp(tuner.log_step), (num,))
        x, state, acceptance = for_each(one, energy, x, state, sizes, keys)
        tuner = tuner.update(acceptance if per_chain else jnp.mean(acceptance), target)
        tuner = jax.tree.map(functools.partial(jnp.where, i + 1 == half), tuner.refine(), tuner)
        return x, state, tuner, _pooled(moments, x.reshape(num, -1), i - half)

    zero = jnp.zeros(x[0].size, x.dtype)
    begin = (x, state, tuner, (zero, zero))
    x, _, tuner, (_, variance) = jax.lax.fori_loop(0, num_steps, step, begin)
    # a little towards a small number, as few samples make a poor estimate; Stan does the same
    weight = num * (num_steps - half) / (num * (num_steps - half) + 5.0)
    return jnp.exp(tuner.log_average), x, weight * variance + (1 - weight) * 1e-3


def _pooled(
    moments: tuple[jax.Array, jax.Array], x: jax.Array, count: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Mean and variance over steps and chains, after `count` earlier steps; none if negative."""
    mean, variance = moments
    share = jnp.where(count < 0, 0.0, 1 / (jnp.maximum(count, 0) + 1)).astype(x.dtype)
    change = jnp.mean(x, 0) - mean
    # of deviations, not of squares: those lose the digits of a variance far from the origin
    variance = (1 - share) * variance + share * (jnp.var(x, 0) + (1 - share) * change**2)
    return mean + share * change, variance
