"""Tuning of step sizes and masses before sampling."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import ArrayLike

from .. import _checks, _mesh
from .._types import EnergyFn, Key, XBatch
from ..energies._batch import shape_of
from ._base import AbstractSampler
from ._fields import at_least_single
from ._run import PerChain, check_moves
from .kernels._blackjax_kernels import HMC, NUTS
from .kernels._chees import tune_length
from .kernels._ghmc import GHMC
from .kernels._jittered_hmc import JitteredHMC
from .kernels._microcanonical import AdjustedMCLMC
from .kernels._search import held, tune, with_numbers

# Besag (1994) and Roberts and Rosenthal (1998) for one gradient a step; Betancourt, Byrne and
# Girolami (2014) for trajectories; Beskos et al. (2013) for those of jittered lengths.
_TARGETS = {HMC: 0.8, NUTS: 0.8, GHMC: 0.9, AdjustedMCLMC: 0.9, JitteredHMC: 0.651}


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

    The first half of the steps searches in long strides, the second half in short ones. In the
    first half a chain that has been rejected ten times in a row, as far out in a light tail, takes
    shorter steps than the others until it has come in. Samplers with an `inverse_mass_matrix` have
    two searches: the first with the given masses, which estimates the variance of each coordinate,
    pooled over the chains; the second with that as the inverse mass matrix. For
    `PreconditionedMALA` it is the inverse Fisher information instead. Between the two, a quarter of
    the steps tunes the trajectory length of `JitteredHMC`, unless it is in `Reflected`.

    Hoffman and Gelman (2014), "The no-U-turn sampler"; Titsias (2023), "Optimal preconditioning and
    Fisher adaptive Langevin sampling"; Hoffman, Radul and Sountsov (2021), "An adaptive-MCMC scheme
    for setting trajectory lengths in Hamiltonian Monte Carlo".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        sampler: a sampler with a `step_size`, from which the search starts: `MALA`, `HMC`, `NUTS`,
            `Barker`, `DMALA`, another that reports an acceptance, or one of these in `Reflected`.
        x: where the chains start, `(chains, *shape)`.
        num_steps: how many steps, at least 20.
        target_acceptance: in (0, 1). By default 0.8 for `HMC` and `NUTS`, 0.651 for `JitteredHMC`,
            0.9 for `GHMC` and `AdjustedMCLMC`, and 0.574 for others.
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
            of real numbers all steps are accepted, and from a start with a non-finite energy none
            are.

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
    names = [field.name for field in dataclasses.fields(held(sampler))]
    fix = f"{type(sampler).__name__} has the fields {names}: there is no step size to tune"
    _checks.require("step_size" in names, "sampler", type(sampler).__name__, fix)
    fix = "it accepts every step, so that there is nothing to tune: give MALA, HMC, NUTS or Barker"
    _checks.require(sampler.reports_acceptance, "sampler", type(sampler).__name__, fix)
    check_moves(energy, sampler)
    if mesh is not None:
        x = _mesh.share(x, mesh)
    if target_acceptance is None:
        target_acceptance = usual_acceptance(held(sampler))
    ok = not _checks.is_concrete(target_acceptance) or 0 < target_acceptance < 1
    _checks.require(bool(ok), "target_acceptance", target_acceptance, "give a number in (0, 1)")
    target = jnp.asarray(target_acceptance, at_least_single(x.dtype))
    mass_key, step_key = jax.random.split(key)
    with _mesh.implicit():
        if "inverse_mass_matrix" in names:
            half = num_steps // 2
            step_size, x, inverse, *seen = tune(energy, sampler, x, half, target, False, mass_key)
            _check_tuned(sampler, step_size, *seen)
            sampler = with_numbers(sampler, step_size=step_size, inverse_mass_matrix=inverse)
            num_steps -= half
            if isinstance(sampler, JitteredHMC):
                quarter = num_steps // 2
                length_key, step_key = jax.random.split(step_key)
                sampler, x = tune_length(energy, sampler, x, quarter, target, length_key)
                num_steps -= quarter
        step_size, x, _, *seen = tune(energy, sampler, x, num_steps, target, per_chain, step_key)
        _check_tuned(sampler, step_size, *seen)
        if not per_chain:
            return with_numbers(sampler, step_size=step_size), x
        each = eqx.filter_vmap(lambda size: with_numbers(sampler, step_size=size))(step_size)
        return PerChain(each), x


def _check_tuned(
    sampler: AbstractSampler, step_size: jax.Array, rate: jax.Array, energy: jax.Array
) -> None:
    """Check that some steps were accepted and some rejected, and not by rounding.

    `rate` is the acceptance in the latter half of the steps, `energy` that of the last positions.
    On a flat energy of discrete examples the longest steps are right.
    """
    if not _checks.is_concrete(rate):
        return
    sizes, rates = np.atleast_1d(np.asarray(step_size)), np.atleast_1d(np.asarray(rate))
    energies = np.abs(np.asarray(energy))
    lost = energies * np.finfo(np.promote_types(energies.dtype, np.float32)).eps > 0.05
    lost = lost if sizes.size > 1 else np.mean(lost, keepdims=True) > 0.5
    always, never = rates > 0.995, ~(rates > 0.005)
    improper = always & (not sampler.is_discrete)
    failed = ~np.isfinite(sizes) | ~(sizes > 0) | improper | never | lost
    if not failed.any():
        return
    worst = int(np.flatnonzero(failed)[0])
    if lost[worst] and not always[worst]:
        why = "differences of energies are lost in rounding: the energy is unbounded below, or "
        why += "subtract a large constant from it; or chains are still far out: give more num_steps"
    elif never[worst]:
        why = "energy or gradient is not finite where the chains are: see sample(...).result"
    else:
        why = "the energy is flat or improper where the chains are: use Box or add a Gaussian; or "
        why += "steps still grow: give a larger step_size to begin with, or more num_steps"
    chains = f"{failed.sum()} of {failed.size} chains: " if failed.size > 1 else ""
    raise FloatingPointError(
        f"{chains}no step size has the acceptance that is wanted: it is {rates[worst]:.3g} at "
        f"step_size={sizes[worst]:.3g}, where energies of x are up to {energies.max():.3g}; {why}"
    )


def usual_acceptance(sampler: AbstractSampler) -> float:
    """The acceptance that steps of this kind of sampler are tuned to."""
    known = [rate for kind, rate in _TARGETS.items() if isinstance(sampler, kind)]
    return known[0] if known else 0.574
