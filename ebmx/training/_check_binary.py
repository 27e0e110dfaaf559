"""Checks of examples for energies of discrete data, and of noise on them."""

from typing import Any

import jax
import numpy as np

from .. import _checks
from ..energies._discrete import CATEGORICAL, check_kind, discrete_part
from ..samplers._run import check_moves
from .negatives._base import AbstractNegatives
from .negatives._discrete import DiscreteNeighbours, FlippedTwice


def check_binary(energy: Any, x: Any, name: str) -> None:
    """Refuse examples outside of [0, 1] for energies of zeros and ones, or of categories.

    Such as a `BernoulliRBM`, an `Ising` or a `Potts`, alone or composed with others.

    Under a trace nothing is checked, since the values are not known.
    """
    part = discrete_part(energy)
    if part is None or not _checks.is_concrete(x):
        return
    values = np.asarray(jax.device_get(x))
    fix = (
        f"{type(part).__name__} takes zeros and ones, or numbers between them: load them by "
        "ebmx.data.load(..., span=(0, 1)), or map [-1, 1] by (x + 1) / 2"
    )
    ok = bool(values.min() >= 0 and values.max() <= 1)
    _checks.require(ok, name, f"values from {values.min():.3g} to {values.max():.3g}", fix)
    if isinstance(part, CATEGORICAL) and values.ndim > 1:
        sums = values.sum(-1, dtype=np.float64)
        found = f"sums over the last axis from {sums.min():.3g} to {sums.max():.3g}"
        fix = f"{type(part).__name__} takes one-hot categories: give jax.nn.one_hot(x, num)"
        _checks.require(bool(np.allclose(sums, 1, atol=1e-3)), name, found, fix)


def check_space(trainer: Any, energy: Any) -> None:
    """Refuse negatives of the other kind of examples, and Gaussian noise on zeros and ones."""
    _check_negatives(trainer.data_noise, energy, trainer.negatives)
    for objective in trainer.objectives:
        _check_negatives(trainer.data_noise, energy, objective.negatives)


def _check_negatives(scale: Any, energy: Any, negatives: AbstractNegatives | None) -> None:
    if isinstance(negatives, DiscreteNeighbours | FlippedTwice):
        check_kind(energy, negatives.categorical, "negatives.categorical")
    sampler = getattr(getattr(negatives, "negatives", negatives), "sampler", None)
    if sampler is not None:
        check_moves(energy, sampler)
    if not _checks.is_concrete(scale) or not np.any(np.asarray(scale)):
        return
    discrete = getattr(sampler, "is_discrete", False)
    discrete = discrete or isinstance(negatives, DiscreteNeighbours | FlippedTwice)
    part = discrete_part(energy)
    owner = type(sampler or negatives).__name__ if part is None else type(part).__name__
    fix = f"{owner} takes zeros and ones, which noise would change: give 0"
    _checks.require(part is None and not discrete, "data_noise", scale, fix)
