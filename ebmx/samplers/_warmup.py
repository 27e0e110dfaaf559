"""Tuning of step sizes and masses before sampling."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import ArrayLike

from .. import _checks, _mesh
from .._checks import checked
from .._types import EnergyFn, Key, XBatch
from ..energies._batch import for_each, shape_of
from ._base import AbstractSampler, take_step
from ._blackjax_kernels import HMC, NUTS
from ._fields import at_least_single
from ._reflected import Reflected
from ._run import PerChain, chain_keys, check_energy

_FARTHEST = 80.0  # largest absolute logarithm of a step size, within single precision


class DualAveraging(eqx.Module):
    """The state of dual averaging, of one step size or many: Hoffman and Gelman (2014), 3.2."""

    # Not `blackjax.optimizers.dual_averaging`: its average leaves out the latest step size, which
    # after 20 steps makes the error of the acceptance two to three times as large (0.022 or 0.007
    # from 0.01 towards 0.28); from 60 steps on the two agree. It has no restart either.

    log_step: jax.Array
    log_average: jax.Array
    gradient: jax.Array
    centre: jax.Array
    count: jax.Array
    gain: jax.Array

    @classmethod
    def search(cls, step_size: jax.Array) -> "DualAveraging":
        """Begin far from the right step size, in long strides."""
        log = jnp.log(step_size)
        return cls._begin(log, log + jnp.log(10.0), 20.0)

    def refine(self) -> "DualAveraging":
        """Begin again near the right step size, in short strides.

        Where the acceptance falls steeply, the long strides of a search keep overshooting, and the
        mean of the acceptances is not the acceptance of the mean.
        """
        return self._begin(self.log_average, self.log_average, 2.0)

    @classmethod
    def _begin(cls, log_step: jax.Array, centre: jax.Array, gain: float) -> "DualAveraging":
        zero, count = jnp.zeros_like(log_step), jnp.zeros((), jnp.int32)
        return cls(log_step, log_step, zero, centre, count, jnp.asarray(gain, log_step.dtype))

    def update(self, acceptance: jax.Array, target: jax.Array) -> "DualAveraging":
        """The state after a step with this acceptance."""
        count = self.count + 1
        number = count.astype(self.log_step.dtype)
        weight = 1 / (number + 10)
        error = target - acceptance.astype(self.log_step.dtype)
        gradient = (1 - weight) * self.gradient + weight * error
        log_step = self.centre - self.gain * jnp.sqrt(number) * gradient
        # otherwise unbounded where even the longest steps are accepted more often, as of DMALA
        log_step = jnp.clip(log_step, -_FARTHEST, _FARTHEST)
        fraction = number**-0.75
        average = fraction * log_step + (1 - fraction) * self.log_average
        return DualAveraging(log_step, average, gradient, self.centre, count, self.gain)


def warmup(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: ArrayLike,
    *,
    num_steps: int,
    target_acceptance: float | None = None,
    per_chain: bool = False,
    mesh: Mesh | None = None,
    key: Key,
) -> tuple[AbstractSampler, XBatch]:
    """Tune the step size to a target acceptance by dual averaging, while chains run.

    The first half of the steps searches in long strides, the second half in short ones. For `HMC`
    and `NUTS` there are two searches: the first with the given masses, which estimates the variance
    of each coordinate, pooled over the chains; the second with that as the inverse mass matrix.

    Hoffman and Gelman (2014), "The no-U-turn sampler".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        sampler: a sampler with a `step_size`, from which the search starts: `MALA`, `HMC`, `NUTS`,
            `Barker`, `DMALA`, another that reports an acceptance, or one of these in `Reflected`.
        x: where the chains start, `(chains, *shape)`.
        num_steps: how many steps, at least 20.
        target_acceptance: in (0, 1); 0.574 for one gradient a step, 0.8 for `HMC` and `NUTS`.
        per_chain: whether each chain finds a step size of its own. The returned sampler then fits
            these chains in this order.
        mesh: devices of this process that hold the chains in equal parts, as in `sample`.
        key: a key.

    Returns:
        The tuned sampler, and the positions after the warm-up.

    Raises:
        ValueError: if a number is out of its range, the sampler has no step size, or its acceptance
            is 1 by construction.
        FloatingPointError: if no step size has the target acceptance: on a flat or improper energy
            all steps are accepted, and from a start with a non-finite energy none are.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from ebmx.energies import Gaussian
        >>> from ebmx.samplers import MALA, warmup
        >>> energy, key = Gaussian(jnp.zeros(2), jnp.array([1.0, 4.0])), jax.random.key(0)
        >>> tuned, x = warmup(energy, MALA(0.01), jnp.zeros((32, 2)), num_steps=200, key=key)
        >>> bool(tuned.step_size > 0.1)
        True
    """
    x = _checks.batch(x, "x", shape_of(energy))
    energy, sampler, x, key = _mesh.automatic((energy, sampler, x, key))
    _checks.at_least("num_steps", num_steps, 20)
    names = [field.name for field in dataclasses.fields(_held(sampler))]
    fix = f"{type(sampler).__name__} has the fields {names}: there is no step size to tune"
    _checks.require("step_size" in names, "sampler", type(sampler).__name__, fix)
    fix = "it accepts every step, so that there is nothing to tune: give MALA, HMC, NUTS or Barker"
    _checks.require(sampler.reports_acceptance, "sampler", type(sampler).__name__, fix)
    if mesh is not None:
        x = _mesh.share(x, mesh)
    with_mass = isinstance(_held(sampler), HMC | NUTS)
    if target_acceptance is None:
        target_acceptance = 0.8 if with_mass else 0.574
    ok = not _checks.is_concrete(target_acceptance) or 0 < target_acceptance < 1
    _checks.require(bool(ok), "target_acceptance", target_acceptance, "give a number in (0, 1)")
    target = jnp.asarray(target_acceptance, at_least_single(x.dtype))
    mass_key, step_key = jax.random.split(key)
    with _mesh.implicit():
        if with_mass:
            half = num_steps // 2
            step_size, x, variance, *seen = _tune(energy, sampler, x, half, target, False, mass_key)
            _check_tuned(step_size, *seen)
            sampler = _with(sampler, step_size=step_size, inverse_mass_matrix=variance)
            num_steps -= half
        step_size, x, _, *seen = _tune(energy, sampler, x, num_steps, target, per_chain, step_key)
        _check_tuned(step_size, *seen)
        if not per_chain:
            return _with(sampler, step_size=step_size), x
        return PerChain(eqx.filter_vmap(lambda s: _with(sampler, step_size=s))(step_size)), x


def _held(sampler: Any) -> Any:
    """The sampler that has the step size: the one inside of a `Reflected`."""
    return _held(sampler.sampler) if isinstance(sampler, Reflected) else sampler


def _with(sampler: Any, **values: Any) -> Any:
    """The sampler with other numbers."""
    if isinstance(sampler, Reflected):
        return dataclasses.replace(sampler, sampler=_with(sampler.sampler, **values))
    return dataclasses.replace(sampler, **values)


def _check_tuned(step_size: jax.Array, rate: jax.Array, energy: jax.Array) -> None:
    """Check that some steps were accepted and some rejected, and not by rounding.

    `rate` is the acceptance in the latter half of the steps, `energy` that of the last positions.
    """
    if not _checks.is_concrete(rate):
        return
    sizes, rates = np.atleast_1d(np.asarray(step_size)), np.atleast_1d(np.asarray(rate))
    energies = np.abs(np.asarray(energy))
    lost = energies * np.finfo(np.promote_types(energies.dtype, np.float32)).eps > 0.05
    lost = lost if sizes.size > 1 else np.mean(lost, keepdims=True) > 0.5
    always, never = rates > 0.995, ~(rates > 0.005)
    failed = ~np.isfinite(sizes) | ~(sizes > 0) | always | never | lost
    if not failed.any():
        return
    worst = int(np.flatnonzero(failed)[0])
    if lost[worst] and not always[worst]:
        why = "differences of energies are lost in rounding: the energy is unbounded below, or "
        why += "subtract a large constant from it"
    elif never[worst]:
        why = "energy or gradient is not finite where the chains are: see sample(...).result"
    else:
        why = "the energy is flat or improper where the chains are: use Box or add a Gaussian"
    chains = f"{failed.sum()} of {failed.size} chains: " if failed.size > 1 else ""
    raise FloatingPointError(
        f"{chains}no step size has the acceptance that is wanted: it is {rates[worst]:.3g} at "
        f"step_size={sizes[worst]:.3g}, where energies of x are up to {energies.max():.3g}; {why}"
    )


@eqx.filter_jit
@checked
def _tune(
    energy: EnergyFn,
    sampler: Any,
    x: XBatch,
    num_steps: int,
    target: jax.Array,
    per_chain: bool,
    key: Key,
) -> tuple[jax.Array, XBatch, jax.Array, jax.Array, jax.Array]:
    """The step size, the positions, the variances, the acceptance, and the last energies.

    Variances and acceptance are over the latter half of the steps, variances pooled over chains.
    """
    check_energy(energy, x)
    num, half = x.shape[0], num_steps // 2
    keys = chain_keys(jax.random.fold_in(key, 0), num)
    state = for_each(lambda energy, x, k: sampler.init(energy, x, key=k), energy, x, keys)
    shape = (num,) if per_chain else ()
    dtype = at_least_single(x.dtype)
    first = jnp.asarray(_held(sampler).step_size)
    tuner = DualAveraging.search(jnp.broadcast_to(first, shape).astype(dtype))

    def one(energy, x, state, size, key):
        tuned = _with(sampler, step_size=size)
        x, state, info = take_step(tuned, energy, x, state, key=key)
        # a proposal whose acceptance is not a number is rejected
        acceptance = jnp.where(jnp.isfinite(info.acceptance), info.acceptance, 0)
        return x, state, acceptance.astype(dtype), info.energy

    def step(i, carry):
        x, state, tuner, moments, rate, _ = carry
        keys = chain_keys(jax.random.fold_in(key, i + 1), num)
        sizes = jnp.broadcast_to(jnp.exp(tuner.log_step), (num,))
        x, state, acceptance, energies = for_each(one, energy, x, state, sizes, keys)
        acceptance = acceptance if per_chain else jnp.mean(acceptance)
        tuner = tuner.update(acceptance, target)
        tuner = jax.tree.map(functools.partial(jnp.where, i + 1 == half), tuner.refine(), tuner)
        moments = _pooled(moments, x.reshape(num, -1).astype(dtype), i - half)
        rate = rate + jnp.where(i >= half, acceptance, 0) / (num_steps - half)
        return x, state, tuner, moments, rate, energies

    zero = jnp.zeros(x[0].size, dtype)
    sizes = jnp.broadcast_to(first, (num,))
    shapes = jax.eval_shape(lambda: for_each(one, energy, x, state, sizes, keys)[3])
    energies = jnp.zeros(shapes.shape, shapes.dtype)
    begin = (x, state, tuner, (zero, zero), jnp.zeros(shape, dtype), energies)
    x, _, tuner, (_, variance), rate, energies = jax.lax.fori_loop(0, num_steps, step, begin)
    # shrunk towards a small number, since few samples make a poor estimate; as in Stan
    weight = num * (num_steps - half) / (num * (num_steps - half) + 5.0)
    variance = weight * variance + (1 - weight) * 1e-3
    return jnp.exp(tuner.log_average), x, variance, rate, energies


def _pooled(
    moments: tuple[jax.Array, jax.Array], x: jax.Array, count: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Mean and variance over steps and chains, after `count` earlier steps; none if negative."""
    mean, variance = moments
    later = (jnp.maximum(count, 0) + 1).astype(x.dtype)
    fraction = jnp.where(count < 0, 0, 1 / later)
    change = jnp.mean(x, 0) - mean
    # of deviations, not of squares: those lose the digits of a variance far from the origin
    spread = jnp.var(x, 0) + (1 - fraction) * change**2
    variance = (1 - fraction) * variance + fraction * spread
    return mean + fraction * change, variance
