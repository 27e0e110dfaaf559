"""Samples of a trained run."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Key
from ..config._calls import build
from ..energies import (
    JEM,
    AbstractConditionalEnergy,
    AbstractNoiseConditionalEnergy,
    Gaussian,
    freeze,
)
from ..evaluation import adaptive_smc
from ..samplers import AbstractSampler, Ancestral, sample_levels
from ..samplers import run as move
from ..samplers._langevin import AbstractLangevin
from ..training import TrainState
from ._folder import OpenRun
from ._folder import open as open_run
from ._kept_chains import KeptChains, at_labels, chains_over_levels, from_kept
from ._run import Run, averaged, of_class

_ISLANDS = 8
_MOVES = 10
CORRECTIONS = 5
"""How many steps the sampler of a run takes at each noise level, if not told."""
_LEVELS_BELOW = 12
"""At how many levels samples stop on the way down from one level to the lowest."""
_SAME = 1.001
_AT_ONCE = 1024
"""How many samples of an energy over noise levels are drawn together, for the memory."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Samples, the label of each if the energy is conditional, and where they come from."""

    x: np.ndarray
    y: np.ndarray | None
    source: str


@dataclasses.dataclass(frozen=True)
class Chains:
    """How to move the chains of samples, where it differs from the training."""

    num_steps: int | None = None
    """How many steps from noise; `None` takes the chains of the training."""
    num_steps_without_noise: int = 0
    """How many last steps have no noise, for Langevin chains."""
    sampler: AbstractSampler | None = None
    """Another sampler, for chains from noise."""


def sample(
    run: str | Path | OpenRun,
    num: int,
    *,
    label: int | None = None,
    num_steps: int | None = None,
    num_steps_without_noise: int = 0,
    sampler: Any = None,
    best: bool = False,
    seed: int = 0,
) -> tuple[np.ndarray, str]:
    """Draw samples of a trained run; its data are not needed.

    Without `num_steps` and `sampler` these are the persistent chains of the training, moved on
    where more are asked for than there are; or chains from noise as the training had them. An
    energy that was trained without chains is sampled by sequential Monte Carlo from a Gaussian with
    the moments of its data. Samples of an energy over noise levels go down its levels and have the
    noise of the lowest one; at each level the sampler takes steps in units of it. If the training
    had persistent chains at one level, by `trainer.objectives`, samples begin with these.

    Args:
        run: the folder of a run, or what `open` has returned.
        num: how many samples, at least 1.
        label: of which class, for a conditional energy or a classifier; by default all, equally.
        num_steps: how many steps chains take that start from noise; at each level, if the energy
            has noise levels (5 if not given).
        num_steps_without_noise: how many steps without noise follow, for Langevin chains.
        sampler: a sampler for chains from noise, or a call of one such as
            `{"kind": "MALA", "step_size": 0.1}`.
        best: as for `open`, if a folder is given.
        seed: random seed.

    Returns:
        Samples `(num, *shape)` in the units of the model, which `open(folder).to_units` turns into
        those of the data, and where they come from, in words.

    Raises:
        ValueError: if the folder holds no good run, the energy does not have this label, or the
            chains have no noise to leave out.

    Warns:
        ConvergenceWarning: if sequential Monte Carlo has not converged.
    """
    _checks.at_least("num", num, 1)
    if num_steps is not None:
        _checks.at_least("num_steps", num_steps, 1)
    opened = run if isinstance(run, OpenRun) else open_run(run, best=best)
    if isinstance(sampler, dict):
        sampler = build(sampler, path="sampler")
    chains = Chains(num_steps, num_steps_without_noise, sampler)
    key = jax.random.key(seed)
    drawn = draw(opened.run, opened.state, num, label=label, chains=chains, key=key)
    return drawn.x, drawn.source


def draw(
    run: Run,
    state: TrainState,
    num: int,
    *,
    label: int | None = None,
    chains: Chains = Chains(),  # frozen
    key: Key,
) -> Drawn:
    """Samples of a state of a run; see `sample`."""
    start_key, run_key = jax.random.split(key)
    check_label(state.energy, label)
    own = chains.num_steps is not None or chains.sampler is not None
    if isinstance(state.energy, AbstractNoiseConditionalEnergy):
        fix = "samples of an energy over noise levels have the noise of the lowest one: give 0"
        steps = chains.num_steps_without_noise
        _checks.require(steps == 0, "num_steps_without_noise", steps, fix)
        found = None if own or label is not None else chains_over_levels(run, state)
        if found is None:
            return _by_levels(run, state, num, label, chains, run_key)
        x, _, source = from_kept(found[0], num, start_key, run_key)
        return _down_from(run, state, x, found[1], source, run_key)
    quiet = _without_noise(chains.sampler or run.sampler, chains.num_steps_without_noise)
    kept = state.negatives_state is not None and hasattr(run.trainer.negatives, "num_steps")
    # persistent chains of a classifier have no label
    fresh = not kept or (label is not None and isinstance(state.energy, JEM))
    if not own and run.num_chain_steps is None:
        x, y, source = _by_smc(run, state, num, label, run_key)
    elif own or fresh:
        x, y, source = _from_noise(run, state, num, label, chains, (start_key, run_key))
    else:
        # with the current parameters: the chains have followed these, and not the averaged ones
        energy, steps = freeze(state.energy, state.norm_state), run.num_chain_steps or 1
        num_axes = len(run.facts.shape)
        buffer = KeptChains(state.negatives_state, energy, run.sampler, steps, num_axes)
        x, y, source = from_kept(buffer, num, start_key, run_key, label=label)
    source += "" if label is None else f", of class {label}"
    if quiet is not None:
        energy, steps = averaged(state), chains.num_steps_without_noise
        if isinstance(energy, JEM) and label is not None:
            energy = energy.at(label)
        x, _ = move(at_labels(energy, y), quiet, jnp.asarray(x), num_steps=steps, key=run_key)
        source += f", and {steps} steps without noise"
    return Drawn(np.asarray(x), None if y is None else np.asarray(y), source)


def _without_noise(sampler: AbstractSampler, num_steps: int) -> AbstractSampler | None:
    """The same sampler without noise; `None` for no steps."""
    _checks.at_least("num_steps_without_noise", num_steps, 0)
    if num_steps == 0:
        return None
    if not isinstance(sampler, AbstractLangevin):
        fix = f"{type(sampler).__name__} has no noise to leave out: give 0"
        _checks.invalid("num_steps_without_noise", num_steps, fix)
    # with a noise scale of its own, 0, there is no temperature
    return dataclasses.replace(sampler, noise_scale=0.0, temperature=1.0)


def _down_from(
    run: Run, state: TrainState, x: np.ndarray, sigma: float, source: str, key: Key
) -> Drawn:
    """Chains at one noise level, brought down to the lowest."""
    energy = of_class(averaged(state), None)
    lowest = float(energy.levels.sigma[0])
    source += f", at noise level {sigma:.3g}"
    if sigma < _SAME * lowest:
        return Drawn(x, None, source)
    levels = np.geomspace(lowest, sigma, _LEVELS_BELOW)
    options: dict[str, Any] = {"predictor": Ancestral(), "sigma": levels, "key": key}
    x = np.asarray(sample_levels(energy, len(x), start=x, **options).x)
    return Drawn(x, None, f"{source}, down to {lowest:.3g}")


def spread_labels(energy: Any, num: int, label: int | None = None) -> jax.Array | None:
    """`num` labels, each equally often or all one; `None` for an energy without."""
    if not isinstance(energy, AbstractConditionalEnergy) or energy.num_labels is None:
        return None
    every = jnp.arange(num, dtype=jnp.int32) % energy.num_labels
    return every if label is None else jnp.full_like(every, label)


def _from_noise(
    run: Run, state: TrainState, num: int, label: int | None, chains: Chains, keys: tuple[Key, Key]
) -> tuple[Any, Any, str]:
    steps, sampler = chains.num_steps or run.num_chain_steps, chains.sampler or run.sampler
    _checks.require(steps is not None, "num_steps", steps, "give how many steps the chains take")
    energy, start = averaged(state), run.starts(num, key=keys[0])
    y = spread_labels(energy, num, label)
    tied = at_labels(energy, y) if label is None else energy.at(label)
    x, _ = move(tied, sampler, start, num_steps=int(steps or 1), key=keys[1])
    name = f"{type(sampler).__name__} " if chains.sampler is not None else ""
    return x, y, f"{name}chains of {steps} steps from noise on the averaged energy"


def _by_smc(
    run: Run, state: TrainState, num: int, label: int | None, key: Key
) -> tuple[Any, Any, str]:
    """Samples of an energy without chains of its own, by tempering and resampling."""
    energy = averaged(state)
    y = spread_labels(energy, num, label)
    labels = [label] if label is not None or y is None else range(energy.num_labels)
    base = Gaussian(run.facts.mean, np.maximum(run.facts.variance, 1e-6))
    parts, each = [], -(-num // len(labels))
    for i, one in enumerate(labels):
        found = adaptive_smc(
            energy if one is None else energy.at(one),
            base,
            num_particles=max(64, -(-each // _ISLANDS)),
            num_islands=_ISLANDS,
            num_steps=_MOVES,
            key=jax.random.fold_in(key, i),
        )
        # particles of an island stand in a block, and are related
        order = np.random.default_rng(i).permutation(len(found.x))
        parts.append(np.asarray(found.x)[order[:each]])
    # example i is of label i modulo their number, as `spread_labels` has it
    x = np.stack(parts, 1).reshape(-1, *run.facts.shape)[:num]
    return x, y, "sequential Monte Carlo from a Gaussian with the moments of the data"


def _by_levels(
    run: Run, state: TrainState, num: int, label: int | None, chains: Chains, key: Key
) -> Drawn:
    """Samples of an energy over noise levels, from the highest level to the lowest."""
    energy, corrector = of_class(averaged(state), label), chains.sampler or run.sampler
    steps = chains.num_steps or CORRECTIONS
    options: dict[str, Any] = {"predictor": Ancestral(), "corrector": corrector, "num_steps": steps}
    rounds = [
        sample_levels(energy, min(num, _AT_ONCE), **options, key=jax.random.fold_in(key, i)).x
        for i in range(-(-num // _AT_ONCE))
    ]
    sigma = energy.levels.sigma
    source = f"{sigma.size} noise levels down to {float(sigma[0]):.3g}, with {steps} steps of "
    source += type(corrector).__name__ + " at each"
    source += "" if label is None else f", of class {label}"
    return Drawn(np.concatenate([np.asarray(x) for x in rounds])[:num], None, source)


def check_label(energy: Any, label: int | None) -> None:
    """Check that the energy has this label."""
    if label is None:
        return
    over_levels = isinstance(energy, AbstractNoiseConditionalEnergy)
    num_labels = getattr(energy, "num_classes" if over_levels else "num_labels", None)
    fix = "the energy of this run has no labels: train one of kind Conditional or JEM"
    _checks.require(num_labels is not None, "label", label, fix)
    ok = num_labels is not None and 0 <= label < num_labels
    _checks.require(ok, "label", label, f"labels are 0 to {(num_labels or 0) - 1}")
