"""Diffusion recovery: chains that undo a known noise."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._arguments import guarded
from ..._types import EnergyFn, Key, Number, Scalar, X
from ...energies import AbstractConditionalEnergy
from ...samplers import AbstractSampler
from ...samplers._fields import cast, number
from .._batch import Batch, Examples, as_examples
from ._base import AbstractNegatives, NegativesInfo, check_chain, move


class Recovered(AbstractConditionalEnergy):
    """`E(x) + |x̃ − x|² / (2σ²)`: the energy of what a noisy `x̃` was before its noise.

    The condition is `x̃`. With a small `σ` it has one narrow mode, which a short chain can sample.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    condition_shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int | None = eqx.field(static=True)
    energy: EnergyFn
    sigma: Number

    def __init__(self, energy: EnergyFn, shape: tuple[int, ...], sigma: Number):
        self.shape = self.condition_shape = shape
        self.num_labels = None
        self.energy = energy
        self.sigma = sigma

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        return self.energy(x) + jnp.sum((y - x) ** 2) / (2 * self.sigma**2)


@guarded
class Recovery(AbstractNegatives[None]):
    """Negatives of diffusion recovery likelihood, for the contrastive loss.

    Each datum is made noisy, `x̃ = x + σ ξ`, and a chain that starts at `x̃` samples what it may have
    been, under `E(x) + |x̃ − x|²/(2σ²)`. The gradient is that of `log p(x | x̃)`. The start is no
    sample of that density, so each chain has to converge within its steps, by any sampler.

    Gao et al. (2021), "Learning energy-based models by diffusion recovery likelihood".

    Args:
        sampler: a sampler; a step size near `0.1 σ²` suits a Langevin chain.
        sigma: the standard deviation of the noise, in units of the data.
        num_steps: how many steps, at least 1.

    Raises:
        ValueError: if a number is out of its range.
    """

    sampler: AbstractSampler
    sigma: Number = number()
    num_steps: int = eqx.field(static=True, default=30)

    def __check_init__(self):
        check_chain(self.sampler, self.num_steps)
        _checks.positive("sigma", self.sigma)

    def init(self, shape: tuple[int, ...], *, key: Key) -> None:
        """Nothing is kept from update to update."""
        del shape, key

    def step(
        self, energy: EnergyFn, x: Batch, state: None, *, key: Key
    ) -> tuple[Batch, None, NegativesInfo]:
        """Chains that start at the noisy data, in the order of the positives."""
        batch = as_examples(x)
        noise_key, run_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, batch.x.shape, batch.x.dtype)
        sigma = cast(self.sigma, batch.x)
        noisy = batch.x + sigma * noise
        if isinstance(energy, AbstractConditionalEnergy):
            fix = "recovery takes an energy of x alone: fix the condition with `at`"
            _checks.invalid("energy", type(energy).__name__, fix)
        recovered = Recovered(energy, batch.x.shape[1:], sigma).at_each(noisy)
        never = jnp.zeros(len(noisy), bool)
        moved, info = move(recovered, self.sampler, self.num_steps, noisy, batch.x, never, run_key)
        return moved if batch.y is None else Examples(moved, batch.y), state, info
