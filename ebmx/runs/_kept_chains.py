"""Samples that are the persistent chains of a training."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._types import Key
from ..energies import AbstractConditionalEnergy, freeze
from ..samplers import AbstractSampler
from ..samplers import run as move
from ..training import ReplayBuffer, TrainState
from ..training.negatives._jarzynski import Populations
from ..training.negatives._storage import decode
from ._run import Run, of_class


class KeptChains(NamedTuple):
    """Persistent chains, and how to move them on."""

    chains: Any
    energy: Any
    sampler: AbstractSampler
    num_steps: int
    num_axes: int
    """Of one example."""


def chains_over_levels(run: Run, state: TrainState) -> tuple[KeptChains, float] | None:
    """The persistent chains of an objective at a noise level, and the level; `None` without."""
    energy: Any = freeze(state.energy, state.norm_state)
    for objective, chains in zip(run.trainer.objectives, state.objective_states, strict=True):
        negatives: Any = objective.negatives
        if objective.sigma is None or objective.stop is not None:
            continue
        # before its first update the buffer holds noise
        if isinstance(chains, ReplayBuffer) and bool(jnp.any(chains.ages > 0)):
            sigma = float(np.asarray(objective.sigma))
            here = of_class(energy, None).at(sigma)
            sampler = adapted(negatives.sampler, chains)
            options = here, sampler, negatives.num_steps, len(energy.shape)
            return KeptChains(chains, *options), sigma
    return None


def adapted(sampler: Any, chains: Any) -> AbstractSampler:
    """The sampler with the step size that persistent chains have found; itself if none was sought.

    That of one with an adaptation is where they began, and by the end may be far off.
    """
    if isinstance(chains, Populations):
        found = chains.log_scale
    elif isinstance(chains, ReplayBuffer) and chains.log_scales is not None:
        old = np.asarray(chains.ages) > 0
        found = np.median(np.asarray(chains.log_scales)[old]) if old.any() else 0.0
    else:
        return sampler
    if not hasattr(sampler, "step_size"):
        return sampler
    return dataclasses.replace(sampler, step_size=sampler.step_size * float(np.exp(found)))


def from_kept(
    kept: KeptChains, num: int, start_key: Key, run_key: Key, *, label: int | None = None
) -> tuple[Any, Any, str]:
    """Persistent chains, moved on where more are asked for."""
    x, y, where = _persistent(kept.chains, kept.num_axes, num, label, start_key)
    rounds, energy, steps = [x], at_labels(kept.energy, y), kept.num_steps
    while len(rounds) * len(x) < num:
        run_key, key = jax.random.split(run_key)
        rounds.append(move(energy, kept.sampler, rounds[-1], num_steps=steps, key=key)[0])
    if len(rounds) > 1:
        where += f", moved on by {steps} steps for each further set"
    labels = None if y is None else np.tile(np.asarray(y), len(rounds))[:num]
    return np.concatenate([np.asarray(x) for x in rounds])[:num], labels, where


def at_labels(energy: Any, y: Any) -> Any:
    """The energy of each example under its label; any other energy as it is."""
    tied = y is not None and isinstance(energy, AbstractConditionalEnergy)
    return energy.at_each(jnp.asarray(y)) if tied else energy


def _persistent(
    chains: Any, num_axes: int, num: int, label: int | None, key: Key
) -> tuple[jax.Array, jax.Array | None, str]:
    """Up to `num` persistent chains of examples of so many axes, and their labels if any."""
    if isinstance(chains, Populations):
        weights = jax.nn.softmax(chains.training.log_weights)
        total = len(weights)
        index = jax.random.choice(key, total, (min(num, total),), p=weights)
        return chains.training.positions[index], None, "the weighted chains, resampled"
    buffer: ReplayBuffer = chains
    slots = jnp.arange(buffer.capacity)
    if label is not None and buffer.labels is not None:
        slots = jnp.flatnonzero(buffer.labels == label)
    index = jax.random.permutation(key, slots)[:num]
    stored = buffer.positions[index]
    x = decode(buffer.storage, stored, key=jax.random.fold_in(key, 0))
    if x.ndim > 1 + num_axes:
        x = x[:, 0]  # of a ladder, the replica at the lowest temperature
    labels = None if buffer.labels is None else buffer.labels[index]
    return x, labels, "the persistent chains of the buffer"
