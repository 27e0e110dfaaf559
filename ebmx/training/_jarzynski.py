"""Persistent chains that know how far behind the energy they are."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .._types import Count, EnergyFn, Key, Number, Scalar, XBatch
from ..samplers import AbstractSampler
from ._examples import Batch, Examples, energies
from ._negatives import AbstractNegatives, NegativesInfo, check_chain, draw_noise, move
from ._noise import AbstractNoise, UniformNoise


class WeightedChains(eqx.Module):
    """A population of chains that stands for the density of the energy it was last given."""

    # Moved by the sampler.
    positions: Float[Array, "chains *shape"]
    # Updated by each change of the energy.
    log_weights: Float[Array, "chains"]
    last_energies: Float[Array, "chains"]
    """Those of the positions under the energy that the weights stand for."""
    # Updated when chains are drawn anew by their weights.
    log_z_before: Scalar
    resamplings: Count

    @property
    def log_z(self) -> Scalar:
        """The running estimate of `log ∫ exp(-E(x)) dx`, in nats."""
        num = len(self.log_weights)
        return self.log_z_before + jax.nn.logsumexp(self.log_weights) - jnp.log(float(num))

    @property
    def effective_share(self) -> Scalar:
        """The effective sample size of the weights, as a share of the chains."""
        weights = jax.nn.softmax(self.log_weights)
        return 1 / (len(weights) * jnp.sum(weights**2))


class Jarzynski(AbstractNegatives[WeightedChains]):
    """Persistent chains with weights that make up for the changes of the energy.

    Each update of the parameters adds `E_old(x) - E_new(x)` to the log weight of a chain at `x`, as
    in annealed importance sampling along the training. So weighted means over the chains are
    consistent estimates even if the chains do not mix, and their normaliser follows. Chains are
    drawn anew by their weights when the effective sample size is low. The sampler must be adjusted,
    such as `MALA` or `HMC`: it has to leave the energy's density as it is.

    The negatives are the chains with their weights, or as many of them as `num_negatives` says,
    drawn by weight.

    Carbone et al. (2023), "Efficient training of energy-based models using Jarzynski equality".

    **Arguments:**

    - `sampler`: an adjusted sampler.
    - `num_steps`: how many steps for each update, at least 1.
    - `num_chains`: how many chains.
    - `noise`: where they start; its log density makes `log Z` absolute.
    - `resample_below`: draw anew if the effective sample size is below this share, in [0, 1].
    - `num_negatives`: how many negatives an update sees; all chains, weighted, if not given.

    **Raises:**

    `ValueError` if a number is out of its range.
    """

    sampler: AbstractSampler
    num_steps: int = eqx.field(static=True, default=10)
    num_chains: int = eqx.field(static=True, default=1024)
    noise: AbstractNoise = eqx.field(default_factory=UniformNoise)
    resample_below: Number = eqx.field(converter=jnp.asarray, default=0.5)
    num_negatives: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_chain(self.sampler, self.num_steps)
        _checks.at_least("num_chains", self.num_chains, 1)
        _checks.probability("resample_below", self.resample_below)
        if self.num_negatives is not None:
            _checks.at_least("num_negatives", self.num_negatives, 1)

    def init(self, shape: tuple[int, ...], *, key: Key) -> WeightedChains:
        """Chains of noise, of equal weight."""
        x = draw_noise(self.noise, self.num_chains, shape, key=key)
        zero = jnp.zeros((), x.dtype)
        last = -jax.vmap(self.noise.log_density)(x)
        count = jnp.zeros((), jnp.int32)
        return WeightedChains(x, jnp.zeros(self.num_chains, x.dtype), last, zero, count)

    def step(
        self, energy: EnergyFn, x: Batch, state: WeightedChains, *, key: Key
    ) -> tuple[Batch, WeightedChains, NegativesInfo]:
        """Weigh, draw anew if the weights have become uneven, run."""
        del x
        resample_key, run_key, pick_key = jax.random.split(key, 3)
        state = self._reweight(energy, state)
        state = self._resample(state, key=resample_key)
        start = state.positions
        never = jnp.zeros(self.num_chains, bool)
        moved, chains = move(energy, self.sampler, self.num_steps, start, start, never, run_key)
        state = eqx.tree_at(
            lambda s: (s.positions, s.last_energies),
            state,
            (moved, energies(energy, Examples(moved))),
        )
        state = jax.lax.stop_gradient(state)
        return self._negatives(state, key=pick_key), state, chains

    def _reweight(self, energy: EnergyFn, state: WeightedChains) -> WeightedChains:
        now = energies(energy, Examples(state.positions))
        weights = state.log_weights + state.last_energies - now
        # a chain where the energy is not finite counts for nothing
        weights = jnp.where(jnp.isfinite(now), weights, -jnp.inf)
        return eqx.tree_at(lambda s: s.log_weights, state, weights)

    def _resample(self, state: WeightedChains, *, key: Key) -> WeightedChains:
        uneven = state.effective_share < self.resample_below
        index = systematic(jax.nn.softmax(state.log_weights), self.num_chains, key=key)
        return WeightedChains(
            jnp.where(_wide(uneven, state.positions), state.positions[index], state.positions),
            jnp.where(uneven, 0.0, state.log_weights),
            state.last_energies,
            jnp.where(uneven, state.log_z, state.log_z_before),
            state.resamplings + uneven,
        )

    def _negatives(self, state: WeightedChains, *, key: Key) -> Batch:
        if self.num_negatives is None:
            return Examples(state.positions, None, state.log_weights)
        index = systematic(jax.nn.softmax(state.log_weights), self.num_negatives, key=key)
        return state.positions[index]


def systematic(weights: jax.Array, num: int, *, key: Key) -> jax.Array:
    """`num` places drawn by weights that sum to one, as evenly as they can be.

    Each place comes `⌊num w⌋` or `⌈num w⌉` times. Kitagawa (1996), "Monte Carlo filter and smoother
    for non-Gaussian nonlinear state space models".
    """
    points = (jnp.arange(num) + jax.random.uniform(key, ())) / num
    return jnp.minimum(jnp.searchsorted(jnp.cumsum(weights), points), len(weights) - 1)


def _wide(flag: Array, x: XBatch) -> Array:
    return flag.reshape((1,) * x.ndim)
