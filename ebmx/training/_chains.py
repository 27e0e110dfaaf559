"""Negatives from chains: started at the data, from noise, or where they last stopped."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import EnergyFn, Key, Number, XBatch
from ..samplers import AbstractSampler
from ._adaptation import StepSizeAdaptation
from ._buffer import ReplayBuffer
from ._negatives import (
    AbstractNegatives,
    NegativesInfo,
    check_chain,
    check_displacement,
    draw_noise,
    move,
    where_chain,
)
from ._noise import AbstractNoise, GaussianNoise, UniformNoise


class CD(AbstractNegatives[None]):
    """Contrastive divergence: chains of `num_steps` that start at the positives.

    Hinton (2002), "Training products of experts by minimizing contrastive divergence".

    **Arguments:**

    - `sampler`: a sampler.
    - `num_steps`: how many steps, at least 1.
    """

    sampler: AbstractSampler
    num_steps: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_chain(self.sampler, self.num_steps)

    def init(self, shape: tuple[int, ...], *, key: Key) -> None:
        """Nothing is kept from update to update."""
        del shape, key

    def step(
        self, energy: EnergyFn, x: XBatch, state: None, *, key: Key
    ) -> tuple[XBatch, None, NegativesInfo]:
        """Chains that start at `x`. One that is not finite falls back to where it started."""
        never = jnp.zeros(x.shape[0], bool)
        x, info = move(energy, self.sampler, self.num_steps, x, x, never, key)
        return x, state, info


class ShortRun(AbstractNegatives[None]):
    """Short-run chains of `num_steps` that start from noise.

    Nijkamp et al. (2019), "Learning non-convergent non-persistent short-run MCMC toward
    energy-based model".

    **Arguments:**

    - `sampler`: a sampler.
    - `num_steps`: how many steps, at least 1.
    - `noise`: where chains start.

    **Raises:**

    `ValueError` if the sampler clips its gradient such that chains cannot cross the noise's range.
    """

    sampler: AbstractSampler
    num_steps: int = eqx.field(static=True, default=60)
    noise: AbstractNoise = eqx.field(default_factory=UniformNoise)

    def __check_init__(self):
        check_chain(self.sampler, self.num_steps)
        check_displacement(self.sampler, self.num_steps, _width(self.noise))

    def init(self, shape: tuple[int, ...], *, key: Key) -> None:
        """Nothing is kept from update to update."""
        del shape, key

    def step(
        self, energy: EnergyFn, x: XBatch, state: None, *, key: Key
    ) -> tuple[XBatch, None, NegativesInfo]:
        """Chains that start from noise; `x` says how many and of which shape."""
        _, _, noise_key, run_key = jax.random.split(key, 4)
        noise = draw_noise(self.noise, x.shape[0], x.shape[1:], key=noise_key).astype(x.dtype)
        all_ = jnp.ones(x.shape[0], bool)
        x, info = move(energy, self.sampler, self.num_steps, noise, noise, all_, run_key)
        return x, state, info


class PCD(AbstractNegatives[ReplayBuffer]):
    """Persistent contrastive divergence: chains that go on where they last stopped.

    A batch of chains is drawn from a buffer without replacement, each is restarted from noise with
    a small probability, moved, and written back into its slot.

    Tieleman (2008), "Training restricted Boltzmann machines using approximations to the likelihood
    gradient"; restarts as in Du and Mordatch (2019), "Implicit generation and modeling with
    energy-based models".

    **Arguments:**

    - `sampler`: a sampler.
    - `num_steps`: how many steps for each update, at least 1.
    - `capacity`: how many chains there are, at least the batch size.
    - `reinit_prob`: the probability that a drawn chain is restarted, in [0, 1].
    - `noise`: where chains start.
    - `adaptation`: tunes a step size for each chain, which lives in the buffer and so goes on
        being tuned from update to update; a restart begins anew from the sampler's `step_size`.

    **Raises:**

    `ValueError` if a number is out of its range, or if the sampler clips its gradient such that
    chains cannot cross the noise's range.
    """

    sampler: AbstractSampler
    num_steps: int = eqx.field(static=True, default=60)
    capacity: int = eqx.field(static=True, default=10_000)
    reinit_prob: Number = eqx.field(converter=jnp.asarray, default=0.05)
    noise: AbstractNoise = eqx.field(default_factory=UniformNoise)
    adaptation: StepSizeAdaptation | None = None

    def __check_init__(self):
        check_chain(self.sampler, self.num_steps)
        check_displacement(self.sampler, self.num_steps, _width(self.noise))
        _checks.at_least("capacity", self.capacity, 1)
        _checks.probability("reinit_prob", self.reinit_prob)
        if self.adaptation is not None:
            self.adaptation.check(self.sampler)

    def init(self, shape: tuple[int, ...], *, key: Key) -> ReplayBuffer:
        """A buffer full of noise."""
        positions = draw_noise(self.noise, self.capacity, shape, key=key)
        scales = None if self.adaptation is None else jnp.zeros(self.capacity)
        return ReplayBuffer(positions, jnp.zeros(self.capacity, jnp.int32), scales)

    def step(
        self, energy: EnergyFn, x: XBatch, state: ReplayBuffer, *, key: Key
    ) -> tuple[XBatch, ReplayBuffer, NegativesInfo]:
        """Draw, restart, run, write back; `x` says how many."""
        num = x.shape[0]
        if num > state.capacity:
            fix = f"give at least the batch size, {num}, or smaller batches"
            _checks.invalid("capacity", state.capacity, fix)
        draw_key, restart_key, noise_key, run_key = jax.random.split(key, 4)
        start, index = state.draw(num, key=draw_key)
        noise = draw_noise(self.noise, num, start.shape[1:], key=noise_key).astype(start.dtype)
        restarted = jax.random.uniform(restart_key, (num,)) < self.reinit_prob
        start = where_chain(restarted, noise, start)
        sampler, log_scales = self.sampler, None
        if self.adaptation is not None and state.log_scales is not None:
            log_scales = jnp.where(restarted, 0, state.log_scales[index])
            sampler = self.adaptation.scale(sampler, log_scales)
        x, info = move(energy, sampler, self.num_steps, start, noise, restarted, run_key)
        ages = jnp.where(info.dead, 0, jnp.where(restarted, 0, state.ages[index]) + 1)
        if self.adaptation is not None and log_scales is not None:
            log_scales = self.adaptation.update(log_scales, info, ages)
        return x, state.write(index, x, ages, log_scales), info


def _width(noise: AbstractNoise) -> Number:
    """The range that chains from this noise may have to cross."""
    if isinstance(noise, UniformNoise):
        return noise.high - noise.low
    if isinstance(noise, GaussianNoise):
        return 2 * noise.scale
    return 0.0
