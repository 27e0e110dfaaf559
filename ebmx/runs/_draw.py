"""Samples of an energy alone: from noise, by tempering, or down its noise levels."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Key
from ..energies import (
    AbstractConditionalEnergy,
    AbstractNoiseConditionalEnergy,
    Bernoulli,
    Gaussian,
)
from ..evaluation import adaptive_smc
from ..samplers import AbstractSampler, Ancestral, sample_levels
from ..samplers import run as move
from ._facts import Facts
from ._kept_chains import at_labels
from ._run import of_class

CORRECTIONS = 5
"""How many steps the sampler of a run takes at each noise level, if not told."""
_ISLANDS = 8
_MOVES = 10
_AT_ONCE = 1024
"""How many samples of an energy over noise levels are drawn together, for the memory."""


def check_label(energy: Any, label: int | None) -> None:
    """Check that the energy has this label."""
    if label is None:
        return
    over_levels = isinstance(energy, AbstractNoiseConditionalEnergy)
    num_labels = getattr(energy, "num_classes" if over_levels else "num_labels", None)
    fix = "the energy of this run has no labels: train one that has, such as that of the recipe "
    fix += "digits_conditional or mnist_jem"
    _checks.require(num_labels is not None, "label", label, fix)
    ok = num_labels is not None and 0 <= label < num_labels
    _checks.require(ok, "label", label, f"labels are 0 to {(num_labels or 0) - 1}")


def spread_labels(energy: Any, num: int, label: int | None = None) -> jax.Array | None:
    """`num` labels, each equally often or all one; `None` for an energy without."""
    if not isinstance(energy, AbstractConditionalEnergy) or energy.num_labels is None:
        return None
    every = jnp.arange(num, dtype=jnp.int32) % energy.num_labels
    return every if label is None else jnp.full_like(every, label)


def from_noise(
    energy: Any, sampler: AbstractSampler, start: jax.Array, num_steps: int, label: Any, *, key: Key
) -> tuple[Any, Any]:
    """Chains from these starts, one a sample, and their labels if any."""
    y = spread_labels(energy, len(start), label)
    tied = at_labels(energy, y) if label is None else energy.at(label)
    return move(tied, sampler, start, num_steps=num_steps, key=key)[0], y


def by_smc(
    energy: Any,
    sampler: AbstractSampler,
    facts: Facts,
    num: int,
    label: int | None,
    *,
    key: Key,
) -> tuple[np.ndarray, Any, str]:
    """Samples of an energy without chains of its own, by tempering and resampling.

    Those of zeros and ones are moved by the sampler of the run.
    """
    y = spread_labels(energy, num, label)
    labels = [label] if label is not None or y is None else range(energy.num_labels)
    base: Any = Gaussian(facts.mean, np.maximum(facts.variance, 1e-6))
    moves, words = None, "a Gaussian with the moments of the data"
    if facts.binarise is not None:
        mean = np.clip(facts.mean, 1e-3, 1 - 1e-3)
        base, moves = Bernoulli(np.log(mean) - np.log1p(-mean)), sampler
        words = "independent bits with the means of the data"
    parts, each = [], -(-num // len(labels))
    for i, one in enumerate(labels):
        found = adaptive_smc(
            energy if one is None else energy.at(one),
            base,
            num_particles=max(64, -(-each // _ISLANDS)),
            num_islands=_ISLANDS,
            num_steps=_MOVES,
            sampler=moves,
            key=jax.random.fold_in(key, i),
        )
        # particles of an island stand in a block, and are related
        order = np.random.default_rng(i).permutation(len(found.x))
        parts.append(np.asarray(found.x)[order[:each]])
    # example i is of label i modulo their number, as `spread_labels` has it
    x = np.stack(parts, 1).reshape(-1, *facts.shape)[:num]
    return x, y, f"sequential Monte Carlo from {words}"


def by_levels(
    energy: Any, corrector: AbstractSampler, num: int, num_steps: int, label: Any, *, key: Key
) -> np.ndarray:
    """Samples of an energy over noise levels, from the highest level to the lowest."""
    energy = of_class(energy, label)
    options: dict[str, Any] = {"predictor": Ancestral(), "corrector": corrector}
    options["num_steps"] = num_steps
    rounds = [
        sample_levels(energy, min(num, _AT_ONCE), **options, key=jax.random.fold_in(key, i)).x
        for i in range(-(-num // _AT_ONCE))
    ]
    return np.concatenate([np.asarray(x) for x in rounds])[:num]
