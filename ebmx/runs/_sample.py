"""Samples of a trained run."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Key
from ..config._build import build_noise, build_sampler
from ..config._schema import RunConfig
from ..energies import JEM, AbstractConditionalEnergy, freeze
from ..samplers import AbstractLangevin, AbstractSampler, run
from ..training import Populations, ReplayBuffer, TrainState


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Samples, the label of each if the energy is conditional, and where they come from."""

    x: np.ndarray
    y: np.ndarray | None
    source: str


def draw_samples(
    config: RunConfig,
    shape: tuple[int, ...],
    state: TrainState,
    num: int,
    *,
    label: int | None = None,
    denoise: int = 0,
    key: Key,
) -> Drawn:
    """Samples of the model: its persistent chains, or chains from noise if it has none.

    Args:
        config: of the run.
        state: of the run.
        shape: of one example.
        num: how many.
        label: of which class, for a conditional or hybrid energy; of all alike if not given.
        denoise: how many steps without noise the chains take at last, on the averaged energy.
        key: a key.

    Raises:
        ValueError: if the energy knows no labels, or not this one, or `denoise` is not 0 with
            chains that are not of Langevin's kind.
    """
    start_key, run_key = jax.random.split(key)
    _check_label(state.energy, label)
    quiet = _without_noise(config, denoise)
    drawn = _draw(config, shape, state, num, label, start_key, run_key)
    if denoise == 0:
        return drawn
    energy: Any = freeze(state.ema, state.norm_state)
    if isinstance(energy, JEM) and label is not None:
        energy = energy.at(label)
    y = None if drawn.y is None else jnp.asarray(drawn.y)
    x, _ = run(at_labels(energy, y), quiet, jnp.asarray(drawn.x), num_steps=denoise, key=run_key)
    return Drawn(np.asarray(x), drawn.y, f"{drawn.source}, and {denoise} steps without noise")


def _without_noise(config: RunConfig, num_steps: int) -> AbstractSampler:
    """The sampler whose steps are those of the run, but for the noise."""
    _checks.at_least("denoise", num_steps, 0)
    sampler = build_sampler(config.sampler)
    if num_steps == 0 or not isinstance(sampler, AbstractLangevin):
        fix = f"the chains of sampler.kind={config.sampler.kind!r} have no noise to leave out"
        _checks.require(num_steps == 0, "denoise", num_steps, f"{fix}: give 0")
        return sampler
    # the noise has a scale of its own, 0, and then no temperature
    return dataclasses.replace(sampler, noise_scale=0.0, temperature=1.0)


def _draw(
    config: RunConfig,
    shape: tuple[int, ...],
    state: TrainState,
    num: int,
    label: int | None,
    start_key: Key,
    run_key: Key,
) -> Drawn:
    chains = state.negatives_state
    # persistent chains of a hybrid energy are of no class
    if chains is None or (label is not None and isinstance(state.energy, JEM)):
        return _from_noise(config, shape, state, num, label, start_key, run_key)
    steps, sampler = config.negatives.num_steps, build_sampler(config.sampler)
    x, y, where = _persistent(chains, num, label, start_key)
    rounds, energy = [x], at_labels(freeze(state.energy, state.norm_state), y)
    while len(rounds) * len(x) < num:
        run_key, key = jax.random.split(run_key)
        rounds.append(run(energy, sampler, rounds[-1], num_steps=steps, key=key)[0])
    labels = None if y is None else np.concatenate([np.asarray(y)] * len(rounds))[:num]
    more = f", moved by {steps} steps again and again" if len(rounds) > 1 else ""
    return Drawn(np.concatenate(rounds)[:num], labels, f"{where}{_of(label)}{more}")


def at_labels(energy: Any, y: Any) -> Any:
    """The energy of each example under its label; any other energy as it is."""
    return energy.at_each(y) if isinstance(energy, AbstractConditionalEnergy) else energy


def spread_labels(energy: Any, num: int) -> jax.Array | None:
    """Labels `(num,)`, all of them alike; `None` for an energy that is not conditional."""
    if not isinstance(energy, AbstractConditionalEnergy) or energy.num_labels is None:
        return None
    return jnp.arange(num, dtype=jnp.int32) % energy.num_labels


def _from_noise(
    config: RunConfig,
    shape: tuple[int, ...],
    state: TrainState,
    num: int,
    label: int | None,
    start_key: Key,
    run_key: Key,
) -> Drawn:
    noise, steps = build_noise(config.sampler), config.negatives.num_steps
    draw = jax.vmap(lambda key: noise.sample(shape, key=key))
    start = draw(jax.random.split(start_key, num))
    energy = freeze(state.ema, state.norm_state)
    y = spread_labels(energy, num)
    if label is not None:
        energy, y = energy.at(label), jnp.full(num, label, jnp.int32)
    x, _ = run(
        at_labels(energy, y), build_sampler(config.sampler), start, num_steps=steps, key=run_key
    )
    where = f"chains of {steps} steps from noise on the averaged energy"
    return Drawn(np.asarray(x), None if y is None else np.asarray(y), f"{where}{_of(label)}")


def _persistent(
    chains: Any, num: int, label: int | None, key: Key
) -> tuple[jax.Array, jax.Array | None, str]:
    """Up to `num` persistent chains, and their labels if they have any."""
    if isinstance(chains, Populations):
        weights = jax.nn.softmax(chains.training.log_weights)
        total = len(weights)
        index = jax.random.choice(key, total, (min(num, total),), p=weights)
        return chains.training.positions[index], None, "the weighted chains, drawn by their weights"
    buffer: ReplayBuffer = chains
    where = "the persistent chains of the buffer"
    # of a number that the shards need not divide
    buffer = dataclasses.replace(buffer, num_shards=1)
    if label is None or buffer.labels is None:
        x, index = buffer.draw(min(num, buffer.capacity), key=key)
        return x, None if buffer.labels is None else buffer.labels[index], where
    index = jax.random.permutation(key, jnp.flatnonzero(buffer.labels == label))[:num]
    stored = buffer.positions[index]
    x = buffer.storage.decode(stored, key=jax.random.fold_in(key, 0))
    return x, buffer.labels[index], where


def _check_label(energy: Any, label: int | None) -> None:
    if label is None:
        return
    num_labels = getattr(energy, "num_labels", None)
    fix = "the energy of this run has no labels: train with objective.kind conditional or jem"
    _checks.require(num_labels is not None, "label", label, fix)
    ok = num_labels is not None and 0 <= label < num_labels
    _checks.require(ok, "label", label, f"labels are 0 to {(num_labels or 0) - 1}")


def _of(label: int | None) -> str:
    return "" if label is None else f", of class {label}"
