"""Negatives from chains that start at the data or from noise."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Count, EnergyFn, Key, Number
from ...samplers import AbstractSampler
from ...samplers._base import check_restartable
from .._batch import Examples, condition
from ._base import AbstractNegatives, NegativesInfo, check_displacement, draw_noise, move
from ._noise import AbstractNoise, GaussianNoise, UniformNoise


class CD(AbstractNegatives[None]):
    """Contrastive divergence: chains of `num_steps` that start at the positives.

    Hinton (2002), "Training products of experts by minimizing contrastive divergence".

    Args:
        sampler: a sampler.
        num_steps: how many steps, at least 1.

    Raises:
        ValueError: if a number is out of its range, or the sampler cannot go on from a position
            alone: chains that start at samples of the model would leave its density.
    """

    sampler: AbstractSampler
    num_steps: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        _checks.at_least("num_steps", self.num_steps, 1)
        check_restartable(self.sampler)

    def init(self, shape: tuple[int, ...], *, key: Key) -> None:
        """Nothing is kept from update to update."""
        del shape, key

    def step(
        self,
        energy: EnergyFn,
        positives: Examples,
        state: None,
        *,
        key: Key,
        num_steps: Count | None = None,
    ) -> tuple[Examples, None, NegativesInfo]:
        """Chains that start at the positives; one that becomes non-finite returns to its start."""
        start, never = positives.x, jnp.zeros(len(positives.x), bool)
        energy = condition(energy, positives.y)
        steps = self.num_steps if num_steps is None else num_steps
        moved, info = move(energy, self.sampler, steps, start, start, never, key)
        return positives.with_x(moved), state, info


class ShortRun(AbstractNegatives[None]):
    """Short-run chains of `num_steps` that start from noise.

    Nijkamp et al. (2019), "Learning non-convergent non-persistent short-run MCMC toward
    energy-based model". `sampler` and `num_steps` are as for `CD`.

    Args:
        noise: where chains start.

    Raises:
        ValueError: if the sampler clips its gradient such that chains cannot cross the noise's
            range.
    """

    sampler: AbstractSampler
    num_steps: int = eqx.field(static=True, default=60)
    noise: AbstractNoise = eqx.field(default_factory=UniformNoise)

    def __check_init__(self):
        _checks.at_least("num_steps", self.num_steps, 1)
        check_displacement(self.sampler, self.num_steps, width_of(self.noise))

    def init(self, shape: tuple[int, ...], *, key: Key) -> None:
        """Nothing is kept from update to update."""
        del shape, key

    def step(
        self,
        energy: EnergyFn,
        positives: Examples,
        state: None,
        *,
        key: Key,
        num_steps: Count | None = None,
    ) -> tuple[Examples, None, NegativesInfo]:
        """Chains that start from noise, one for each positive, with its condition."""
        _, _, noise_key, run_key = jax.random.split(key, 4)
        x = positives.x
        noise = draw_noise(self.noise, len(x), x.shape[1:], key=noise_key).astype(x.dtype)
        every = jnp.ones(len(x), bool)
        energy = condition(energy, positives.y)
        steps = self.num_steps if num_steps is None else num_steps
        moved, info = move(energy, self.sampler, steps, noise, noise, every, run_key)
        return positives.with_x(moved), state, info


def width_of(noise: AbstractNoise) -> Number:
    """The range that chains from this noise may have to cross."""
    if isinstance(noise, UniformNoise):
        return noise.high - noise.low
    if isinstance(noise, GaussianNoise):
        return 2 * noise.scale
    return 0.0
