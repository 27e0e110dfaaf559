"""Persistent chains with Jarzynski importance weights."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _checks
from ..._types import Count, EnergyFn, Key, Number, Scalar, XBatch
from ...samplers import AbstractSampler
from ...samplers._base import check_invariant
from ...samplers._fields import cast, number
from .._batch import Examples, energies, where_chain
from ._base import AbstractNegatives, NegativesInfo, draw_noise, move
from ._noise import AbstractNoise, UniformNoise
from ._step_size_adaptation import StepSizeAdaptation, fraction_at_limit


class WeightedChains(eqx.Module):
    """Chains with importance weights for the density of the energy that they were last given."""

    # Moved by the sampler.
    positions: Float[Array, "chains *shape"]
    # Updated by each change of the energy.
    log_weights: Float[Array, "chains"]
    last_energies: Float[Array, "chains"]
    """Those of the positions, under the energy of the weights."""
    # Updated when chains are resampled by their weights.
    log_z_before: Scalar
    resamplings: Count

    @property
    def log_z(self) -> Scalar:
        """The running estimate of `log ∫ exp(-E(x)) dx`, in nats."""
        num = len(self.log_weights)
        return self.log_z_before + jax.nn.logsumexp(self.log_weights) - jnp.log(float(num))

    @property
    def effective_fraction(self) -> Scalar:
        """The effective sample size of the weights, as a fraction of the chains."""
        weights = jax.nn.softmax(self.log_weights)
        return 1 / (len(weights) * jnp.sum(weights**2))


class Populations(eqx.Module):
    """The state of `Jarzynski`."""

    training: WeightedChains
    """The chains that the negatives are taken from."""
    held_out: WeightedChains | None
    """Chains that the parameters do not depend on, so that their `log_z` has no bias."""
    log_scale: Scalar
    """The logarithm of the factor on the step size, if it is adapted."""

    @property
    def log_z(self) -> Scalar:
        """The running estimate of `log Z` in nats, from the held-out chains if there are any."""
        return (self.training if self.held_out is None else self.held_out).log_z


class Jarzynski(AbstractNegatives[Populations]):
    """Persistent chains with importance weights that correct for the changes of the energy.

    Each update of the parameters adds `E_old(x) - E_new(x)` to the log weight of a chain at `x`, as
    in annealed importance sampling along the training. So weighted means over the chains are
    consistent estimates even if the chains do not mix, and their normaliser follows. Chains are
    resampled by their weights when the effective sample size is low. The sampler has to leave the
    energy's density invariant, as `MALA` and `HMC` do.

    An update raises the energy where the negatives are, so `log Z` from the same chains is biased.
    Held-out chains, which are not used as negatives, do not have this bias.

    Carbone et al. (2023), "Efficient training of energy-based models using Jarzynski equality".

    Args:
        sampler: a sampler that leaves the density invariant.
        num_steps: how many steps for each update, at least 1.
        num_chains: how many chains for the negatives.
        num_held_out: how many further chains that are used for `log Z` alone.
        noise: where they start; its log density makes `log Z` absolute. Its support has to hold
            that of the model: `log Z` leaves out what lies outside.
        resample_below: resample if the effective sample size is below this fraction, in [0, 1].
        num_negatives: how many negatives an update uses, drawn by weight; all chains with their
            weights, if not given.
        adaptation: tunes one step size for all chains; the density does not depend on it.

    Raises:
        ValueError: if a number is out of its range, the sampler does not leave the density
            invariant or needs more than a position to go on, or the noise has no log density.
    """

    sampler: AbstractSampler
    num_steps: int = eqx.field(static=True, default=10)
    num_chains: int = eqx.field(static=True, default=1024)
    num_held_out: int = eqx.field(static=True, default=0)
    noise: AbstractNoise = eqx.field(default_factory=UniformNoise)
    resample_below: Number = number(default=0.5)
    num_negatives: int | None = eqx.field(static=True, default=None)
    adaptation: StepSizeAdaptation | None = None

    def __check_init__(self):
        _checks.at_least("num_steps", self.num_steps, 1)
        _checks.at_least("num_chains", self.num_chains, 1)
        _checks.at_least("num_held_out", self.num_held_out, 0)
        _checks.probability("resample_below", self.resample_below)
        check_invariant(self.sampler)
        if self.num_negatives is not None:
            _checks.at_least("num_negatives", self.num_negatives, 1)
        if self.adaptation is not None:
            self.adaptation.check(self.sampler)

    def init(self, shape: tuple[int, ...], *, key: Key) -> Populations:
        """Chains of noise, of equal weight."""
        num = self.num_chains
        x = draw_noise(self.noise, num + self.num_held_out, shape, key=key)
        last = -jax.vmap(self.noise.log_density)(x)
        training = _fresh(x[:num], last[:num])
        held_out = _fresh(x[num:], last[num:]) if self.num_held_out > 0 else None
        return Populations(training, held_out, jnp.zeros((), x.dtype))

    def step(
        self, energy: EnergyFn, positives: Examples, state: Populations, *, key: Key
    ) -> tuple[Examples, Populations, NegativesInfo]:
        """Update the weights, resample if they are uneven, run; in the positives' precision."""
        dtype = positives.x.dtype
        first_key, second_key, run_key, pick_key = jax.random.split(key, 4)
        # the weights change with the energy, at the positions before the move; the move leaves the
        # density of the new energy as it is, and so the weights
        training = self._resample(_reweight(energy, state.training, dtype), key=first_key)
        held_out, start = None, training.positions
        if state.held_out is not None:
            held_out = self._resample(_reweight(energy, state.held_out, dtype), key=second_key)
            start = jnp.concatenate([start, held_out.positions])
        sampler = self.sampler
        if self.adaptation is not None:
            sampler = self.adaptation.scale(sampler, jnp.full(len(start), state.log_scale))
        never = jnp.zeros(len(start), bool)
        start = start.astype(dtype)
        moved, info = move(energy, sampler, self.num_steps, start, start, never, run_key)
        (last,) = energies(energy, Examples(moved))
        training = _placed(training, moved[: self.num_chains], last[: self.num_chains])
        if held_out is not None:
            held_out = _placed(held_out, moved[self.num_chains :], last[self.num_chains :])
        log_scale = state.log_scale
        if self.adaptation is not None:
            # of the training chains alone, so that parameters do not depend on held-out chains
            acceptance = info.chains.acceptance[: self.num_chains]
            acceptance = jnp.mean(jnp.where(jnp.isfinite(acceptance), acceptance, 0))
            gain = self.adaptation.gain
            log_scale = self.adaptation.moved(log_scale, gain, acceptance, self.sampler)
            info = dataclasses.replace(info, at_limit=fraction_at_limit(log_scale))
        state = jax.lax.stop_gradient(Populations(training, held_out, log_scale))
        return self._negatives(state.training, dtype, key=pick_key), state, info

    def _resample(self, chains: WeightedChains, *, key: Key) -> WeightedChains:
        uneven = chains.effective_fraction < cast(self.resample_below, chains.log_weights)
        num = len(chains.log_weights)
        index = systematic(jax.nn.softmax(chains.log_weights), num, key=key)
        index = jnp.where(uneven, index, jnp.arange(num, dtype=index.dtype))
        return WeightedChains(
            chains.positions[index],
            jnp.where(uneven, 0.0, chains.log_weights),
            chains.last_energies[index],
            jnp.where(uneven, chains.log_z, chains.log_z_before),
            chains.resamplings + uneven.astype(jnp.int32),
        )

    def _negatives(self, chains: WeightedChains, dtype: Any, *, key: Key) -> Examples:
        x = chains.positions.astype(dtype)
        if self.num_negatives is None:
            return Examples(x, None, chains.log_weights.astype(dtype))
        weights = jax.nn.softmax(chains.log_weights)
        return Examples(x[systematic(weights, self.num_negatives, key=key)])


def _fresh(x: XBatch, last: jax.Array) -> WeightedChains:
    zero, count = jnp.zeros((), x.dtype), jnp.zeros((), jnp.int32)
    return WeightedChains(x, jnp.zeros(len(x), x.dtype), last, zero, count)


def _reweight(energy: EnergyFn, chains: WeightedChains, dtype: Any) -> WeightedChains:
    (now,) = energies(energy, Examples(chains.positions.astype(dtype)))
    now = now.astype(chains.log_weights.dtype)
    weights = chains.log_weights + chains.last_energies - now
    # a chain with a non-finite energy gets weight 0 and moves to the chain of the largest weight;
    # if no energy is finite, chains and weights stay as they are
    weights = jnp.where(jnp.isfinite(weights), weights, -jnp.inf)
    some = jnp.any(jnp.isfinite(weights))
    stays = jnp.isfinite(now) | ~some
    x = where_chain(stays, chains.positions, chains.positions[jnp.argmax(weights)][None])
    weights = jnp.where(some, weights, chains.log_weights)
    return eqx.tree_at(lambda c: (c.positions, c.log_weights), chains, (x, weights))


def _placed(chains: WeightedChains, x: XBatch, last: jax.Array) -> WeightedChains:
    x, last = x.astype(chains.positions.dtype), last.astype(chains.last_energies.dtype)
    last = jnp.where(jnp.isfinite(last), last, chains.last_energies)
    return eqx.tree_at(lambda c: (c.positions, c.last_energies), chains, (x, last))


def systematic(weights: jax.Array, num: int, *, key: Key) -> jax.Array:
    """Systematic resampling: `num` indices by weights that sum to one.

    Each index comes `⌊num w⌋` or `⌈num w⌉` times. Unlike BlackJAX's function, it never returns an
    index of weight 0, however the sum is rounded. Kitagawa (1996), "Monte Carlo filter and smoother
    for non-Gaussian nonlinear state space models".
    """
    ends = jnp.cumsum(weights)
    # in (0, total], so that an index of weight 0 is never drawn
    places = jnp.arange(1, num + 1, dtype=ends.dtype)
    points = (places - jax.random.uniform(key, (), ends.dtype)) / num * ends[-1]
    return jnp.minimum(jnp.searchsorted(ends, points), len(weights) - 1)
