"""A trained energy with what its use needs: its sampler, units, and where chains start."""

import dataclasses
from typing import Any

import jax
import numpy as np

from ... import _checks
from ..._types import Key
from ...config._tables import Config
from ...energies import AbstractNoiseConditionalEnergy
from ...samplers import AbstractSampler
from ...training import (
    AbstractNoise,
    BernoulliNoise,
    CategoricalNoise,
    GaussianNoise,
    TrainState,
    UniformNoise,
)
from .._draw import CORRECTIONS, by_levels, by_smc, check_label, from_noise
from .._facts import Facts
from .._folder import OpenRun
from .._run import starts

NOISES: dict[str, Any] = {
    one.__name__: one for one in (UniformNoise, GaussianNoise, BernoulliNoise, CategoricalNoise)
}
"""What an export says of where its chains start: a class and its numbers."""
_UPDATES = 10
"""As many updates as a chain from noise takes steps for, where the training had persistent ones."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained energy, as `load_model` returns it."""

    energy: Any
    """A function of one example, and of a label or a noise level if it has these, with averaged
    parameters."""
    sampler: AbstractSampler
    """The sampler of its chains."""
    config: Config = dataclasses.field(repr=False)
    """That of the training: nested tables."""
    facts: Facts = dataclasses.field(repr=False)
    """What is known of the data: shape, range, labels, moments."""
    noise: AbstractNoise
    """Where chains start."""
    num_steps: int | None
    """How many steps chains take from there; `None` if the training had no chains."""

    @classmethod
    def of(cls, opened: OpenRun) -> "Model":
        """The model of a run."""
        run = opened.run
        noise = run.noise if type(run.noise).__name__ in NOISES else UniformNoise()
        kept = _keeps_chains(opened.state, run.trainer.negatives)
        steps = run.num_chain_steps
        num_steps = _UPDATES * steps if kept and steps is not None else steps
        return cls(opened.energy, opened.sampler, opened.config, run.facts, noise, num_steps)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.facts.shape

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, if the data are a table that has them."""
        return self.facts.columns

    @property
    def span(self) -> tuple[float, float]:
        """The ends of the scale of the model: of the range of the data."""
        return self.facts.span

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels, the first of them of label 0, if the data have them."""
        return self.facts.classes

    @property
    def num_labels(self) -> int | None:
        """How many classes the data have; `None` without labels."""
        return self.facts.num_labels

    @property
    def log_jacobian(self) -> float:
        """What to add to a log density on the scale of the model for that in data units: nats."""
        return self.facts.stand_in.log_jacobian

    def to_units(self, x: Any) -> np.ndarray:
        """From the scale of the model to data units.

        Args:
            x: examples `(num, *shape)`, such as samples of the energy.

        Returns:
            An array of that shape.
        """
        return self.facts.stand_in.to_units(np.asarray(x))

    def from_units(self, x: Any) -> np.ndarray:
        """From data units to the scale of the model, on which the energy is defined.

        Args:
            x: examples `(num, *shape)` in data units.

        Returns:
            An array of that shape, float32.
        """
        return self.facts.stand_in.from_units(np.asarray(x))

    def sample(
        self, num: int, *, label: int | None = None, num_steps: int | None = None, key: Key
    ) -> np.ndarray:
        """Draw samples: by chains from noise, or down the noise levels of an energy that has them.

        An energy that was trained without chains is sampled by sequential Monte Carlo from a
        Gaussian with the moments of its data, unless `num_steps` is given.

        Args:
            num: how many samples, at least 1.
            label: of which class, for an energy with labels; by default all, equally.
            num_steps: how many steps the chains take; by default as many as those of the training
                from noise, or as persistent chains in ten updates. At each level, 5 by default, if
                the energy has noise levels.
            key: a key.

        Returns:
            Samples `(num, *shape)` in the units of the model.

        Raises:
            ValueError: if a number is below 1, or the energy does not have this label.
        """
        _checks.at_least("num", num, 1)
        if num_steps is not None:
            _checks.at_least("num_steps", num_steps, 1)
        check_label(self.energy, label)
        if isinstance(self.energy, AbstractNoiseConditionalEnergy):
            steps = num_steps or CORRECTIONS
            return by_levels(self.energy, self.sampler, num, steps, label, key=key)
        steps = num_steps or self.num_steps
        if steps is None:
            return np.asarray(by_smc(self.energy, self.sampler, self.facts, num, label, key=key)[0])
        start_key, run_key = jax.random.split(key)
        start = starts(self.noise, self.shape, num, key=start_key)
        return np.asarray(
            from_noise(self.energy, self.sampler, start, steps, label, key=run_key)[0]
        )


def _keeps_chains(state: TrainState, negatives: Any) -> bool:
    return state.negatives_state is not None and hasattr(negatives, "num_steps")
