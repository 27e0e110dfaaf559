"""Diffusion recovery: chains that sample data given their noisy copies."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Number, Scalar, X
from ...energies import AbstractConditionalEnergy
from ...samplers import AbstractSampler
from ...samplers._fields import cast, number
from .._batch import Examples
from ._base import AbstractNegatives, NegativesInfo, move


class Recovered(AbstractConditionalEnergy):
    """`E(x) + |x̃ − x|² / (2σ²)`: the energy of `x` given its noisy copy `x̃`.

    The condition is `x̃`. With a small `σ` it has one narrow mode, which a short chain can sample.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    condition_shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int | None = eqx.field(static=True)
    energy: EnergyFn
    sigma: Number

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        return self.energy(x) + jnp.sum((y - x) ** 2) / (2 * self.sigma**2)


class DiffusionRecovery(AbstractNegatives[None]):
    """Negatives of diffusion recovery likelihood, for the contrastive loss.

    Noise is added to each example, `x̃ = x + σ ξ`. A chain that starts at `x̃` samples `p(x | x̃)`,
    whose energy is `E(x) + |x̃ − x|²/(2σ²)`; the loss has the gradient of `log p(x | x̃)`. The start
    is not a sample of that density, so each chain has to converge within its steps.

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
        _checks.at_least("num_steps", self.num_steps, 1)
        _checks.positive("sigma", self.sigma)

    def init(self, shape: tuple[int, ...], *, key: Key) -> None:
        """Nothing is kept from update to update."""
        del shape, key

    def step(
        self, energy: EnergyFn, positives: Examples, state: None, *, key: Key
    ) -> tuple[Examples, None, NegativesInfo]:
        """Chains that start at the noisy data, in the order of the positives."""
        x = positives.x
        noise_key, run_key = jax.random.split(key)
        sigma = cast(self.sigma, x)
        noisy = x + sigma * jax.random.normal(noise_key, x.shape, x.dtype)
        if isinstance(energy, AbstractConditionalEnergy):
            fix = "recovery takes an energy of x alone: fix the condition with `at`"
            _checks.invalid("energy", type(energy).__name__, fix)
        shape = x.shape[1:]
        recovered = Recovered(shape, shape, None, energy, sigma).at_each(noisy)
        never = jnp.zeros(len(noisy), bool)
        moved, info = move(recovered, self.sampler, self.num_steps, noisy, x, never, run_key)
        return Examples(moved, positives.y), state, info
