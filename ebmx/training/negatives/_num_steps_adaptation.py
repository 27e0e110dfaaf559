"""The number of chain steps in an update, adapted during training."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Number, Scalar
from ...samplers._fields import cast, number
from .._batch import Examples, energies, mean
from ._base import AbstractNegatives, NegativesInfo
from ._persistent import PCD
from ._restarted import CD, ShortRun


class StepsState(eqx.Module):
    """The state of the chains, and the logarithm of their number of steps."""

    chains: Any
    log_steps: Scalar

    @property
    def num_steps(self) -> jax.Array:
        """How many steps the next update takes."""
        return jnp.round(jnp.exp(self.log_steps)).astype(jnp.int32)


class NumStepsAdaptation(AbstractNegatives[StepsState]):
    """Chains that take more steps while they lag behind the energy, and fewer when they do not.

    After each update the gap `g = |mean E(x⁺) − mean E(x⁻)| / std E(x⁺)` is compared with a
    tolerance, and `log num_steps ← log num_steps + η clip(g / tolerance − 1, −1, 1)`. If the chains
    sample a model that fits the data, the expected gap is 0. Another number of steps does not
    compile again.

    Args:
        negatives: `PCD`, `CD` or `ShortRun`; its `num_steps` is the first number of steps.
        lowest: the smallest number of steps, at least 1.
        highest: the largest number of steps.
        tolerance: the gap at which the number stays, in standard deviations of the data's energies.
        gain: `η`, the largest change of `log num_steps` in an update.

    Raises:
        ValueError: if a number is out of its range, or the number of steps could fall so low that
            clipped chains cannot cross the noise's range.
    """

    negatives: PCD | CD | ShortRun
    lowest: int = eqx.field(static=True, default=1)
    highest: int = eqx.field(static=True, default=1000)
    tolerance: Number = number(default=0.25)
    gain: Number = number(default=0.05)

    def __check_init__(self):
        _checks.at_least("lowest", self.lowest, 1)
        _checks.at_least("highest", self.highest, self.lowest)
        begin = self.negatives.num_steps
        fix = f"give a range that holds num_steps={begin} of the negatives"
        ok = self.lowest <= begin <= self.highest
        _checks.require(ok, "lowest, highest", (self.lowest, self.highest), fix)
        _checks.positive("tolerance", self.tolerance)
        _checks.positive("gain", self.gain)
        # its own checks that depend on the number of steps, at the lowest
        dataclasses.replace(self.negatives, num_steps=self.lowest)

    def init(self, shape: tuple[int, ...], *, key: Key) -> StepsState:
        """The state of the chains, and the first number of steps."""
        log_steps = jnp.asarray(math.log(self.negatives.num_steps), jnp.zeros(()).dtype)
        return StepsState(self.negatives.init(shape, key=key), log_steps)

    def step(
        self, energy: EnergyFn, positives: Examples, state: StepsState, *, key: Key
    ) -> tuple[Examples, StepsState, NegativesInfo]:
        """Run the chains for the current number of steps, and adapt it to the gap of energies."""
        negatives, chains, info = self.negatives.step(
            energy, positives, state.chains, key=key, num_steps=state.num_steps
        )
        real, fake = energies(energy, positives, negatives)
        centre = mean(real, positives)
        spread = jnp.sqrt(mean((real - centre) ** 2, positives))
        gap = jnp.abs(centre - mean(fake, negatives)) / jnp.maximum(spread, 1e-6)
        gap, gain = gap.astype(state.log_steps.dtype), cast(self.gain, state.log_steps)
        # clipped, so that a single batch changes the number by a factor of at most exp(gain)
        change = gain * jnp.clip(gap / cast(self.tolerance, gap) - 1, -1, 1)
        change = jnp.where(jnp.isfinite(change), change, gain)
        low, high = math.log(self.lowest), math.log(self.highest)
        log_steps = jnp.clip(state.log_steps + change, low, high)
        info = dataclasses.replace(info, num_steps=state.num_steps)
        return negatives, jax.lax.stop_gradient(StepsState(chains, log_steps)), info
