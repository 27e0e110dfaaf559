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
from ..energies import JEM, AbstractNoiseConditionalEnergy, freeze
from ..samplers import AbstractSampler, Ancestral, sample_levels
from ..samplers import run as move
from ..samplers._langevin import AbstractLangevin
from ..training import TrainState
from ._draw import CORRECTIONS, by_levels, by_smc, check_label, from_noise
from ._folder import OpenRun
from ._folder import open as open_run
from ._kept_chains import KeptChains, adapted, at_labels, chains_over_levels, from_kept
from ._run import Run, averaged, of_class

_LEVELS_BELOW = 12
"""At how many levels samples stop on the way down from one level to the lowest."""
_SAME = 1.001


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
        x, y, source = by_smc(averaged(state), run.sampler, run.facts, num, label, key=run_key)
    elif own or fresh:
        x, y, source = _from_noise(run, state, num, label, chains, (start_key, run_key))
    else:
        # with the current parameters: the chains have followed these, and not the averaged ones
        energy, steps = freeze(state.energy, state.norm_state), run.num_chain_steps or 1
        num_axes = len(run.facts.shape)
        moved = state.negatives_state
        sampler = adapted(run.sampler, moved)
        buffer = KeptChains(moved, energy, sampler, steps, num_axes)
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


def _from_noise(
    run: Run, state: TrainState, num: int, label: int | None, chains: Chains, keys: tuple[Key, Key]
) -> tuple[Any, Any, str]:
    steps, sampler = chains.num_steps or run.num_chain_steps, chains.sampler or run.sampler
    _checks.require(steps is not None, "num_steps", steps, "give how many steps the chains take")
    start, steps = run.starts(num, key=keys[0]), int(steps or 1)
    x, y = from_noise(averaged(state), sampler, start, steps, label, key=keys[1])
    name = f"{type(sampler).__name__} " if chains.sampler is not None else ""
    return x, y, f"{name}chains of {steps} steps from noise on the averaged energy"


def _by_levels(
    run: Run, state: TrainState, num: int, label: int | None, chains: Chains, key: Key
) -> Drawn:
    """Samples of an energy over noise levels, from the highest level to the lowest."""
    energy, corrector = averaged(state), chains.sampler or run.sampler
    steps = chains.num_steps or CORRECTIONS
    x, sigma = by_levels(energy, corrector, num, steps, label, key=key), energy.levels.sigma
    source = f"{sigma.size} noise levels down to {float(sigma[0]):.3g}, with {steps} steps of "
    source += type(corrector).__name__ + " at each"
    source += "" if label is None else f", of class {label}"
    return Drawn(x, None, source)
