"""Which losses go with which negatives, and whether their settings agree."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _checks
from ..samplers._langevin import AbstractLangevin
from .losses._binary_contrastive import binary_contrastive_loss
from .losses._combine import WeightedSum
from .losses._contrastive import contrastive_loss
from .losses._energy_matching import transport_matching_loss
from .losses._improved_cd import sampler_divergence_loss
from .losses._noise_contrastive import (
    energy_discrepancy_loss,
    minimum_probability_flow_loss,
    negative_log_likelihood_loss,
    noise_contrastive_loss,
)
from .losses._noise_levels import (
    level_classification_loss,
    level_derivative_loss,
    noise_level_loss,
)
from .losses._pseudo_likelihood import pseudo_likelihood_loss, ratio_matching_loss
from .losses._score_matching import denoising_score_matching_loss, sliced_score_matching_loss
from .negatives._base import AbstractNegatives
from .negatives._chain_free import (
    DataOnly,
    Neighbours,
    NoiseSamples,
    Perturbed,
    PerturbedTwice,
    QuadraturePoints,
    RandomProjections,
)
from .negatives._discrete import DiscreteNeighbours, FlippedTwice
from .negatives._jarzynski import Jarzynski
from .negatives._num_steps_adaptation import NumStepsAdaptation
from .negatives._persistent import PCD
from .negatives._perturbed_levels import AdaptiveLevels, PerturbedLevels
from .negatives._recovery import DiffusionRecovery
from .negatives._restarted import CD, ShortRun
from .negatives._split import SplitNegatives
from .negatives._tempered import TemperedPCD
from .negatives._transport import TransportPairs

_CHAINS = (CD, ShortRun, PCD, TemperedPCD, Jarzynski, DiffusionRecovery, NumStepsAdaptation)
_DISCRETE = (DiscreteNeighbours, FlippedTwice)
_NOISY = (NoiseSamples, Perturbed, PerturbedTwice, Neighbours, *_DISCRETE)
_OVER_LEVELS = (PerturbedLevels, AdaptiveLevels)
_OTHERS = (*_NOISY, *_OVER_LEVELS, DataOnly, RandomProjections, QuadraturePoints, TransportPairs)
_MADE_FOR: dict[Callable, tuple[type, ...]] = {
    # noise may replace samples of a model, quadrature points or directions cannot
    contrastive_loss: (*_CHAINS, *_NOISY),
    binary_contrastive_loss: (*_CHAINS, *_NOISY),
    sampler_divergence_loss: (*_CHAINS, *_NOISY),
    denoising_score_matching_loss: (Perturbed, *_OVER_LEVELS),
    noise_level_loss: _OVER_LEVELS,
    level_classification_loss: _OVER_LEVELS,
    level_derivative_loss: _OVER_LEVELS,
    sliced_score_matching_loss: (RandomProjections,),
    noise_contrastive_loss: (NoiseSamples,),
    energy_discrepancy_loss: (PerturbedTwice, FlippedTwice),
    minimum_probability_flow_loss: (Neighbours, DiscreteNeighbours),
    **dict.fromkeys((pseudo_likelihood_loss, ratio_matching_loss), (DiscreteNeighbours,)),
    negative_log_likelihood_loss: (QuadraturePoints,),
    transport_matching_loss: (TransportPairs,),
}
"""The negatives of this library that a loss is for; other losses take any."""


def check_pair(negatives: AbstractNegatives, loss: Callable) -> None:
    """Check that a loss is for these negatives, and that their common settings agree.

    Losses and negatives of other libraries pass. Split negatives fit if all of their sources do.
    """
    if isinstance(negatives, SplitNegatives):
        for source in negatives.sources:
            check_pair(source, loss)
        return
    if isinstance(loss, WeightedSum):
        for part in loss.losses:
            check_pair(negatives, part)
        return
    settings: dict[str, Any] = {}
    while isinstance(loss, functools.partial | eqx.Partial):
        settings, loss = {**loss.keywords, **settings}, loss.func
    # a user's loss may hold arrays, which have no hash, so losses are compared one by one
    loss = plain_function(loss)
    wanted = next((kinds for one, kinds in _MADE_FOR.items() if one is loss), None)
    if wanted is None:
        return
    name, kind = getattr(loss, "__name__", ""), type(negatives)
    fix = f"{name} is for {', '.join(one.__name__ for one in wanted)}"
    ok = isinstance(negatives, wanted) or not isinstance(negatives, _CHAINS + _OTHERS)
    _checks.require(ok, "negatives", kind.__name__, fix)
    if isinstance(negatives, Perturbed) and settings.get("sigma") is not None:
        _require_same("sigma", settings["sigma"], negatives.sigma, "Perturbed")
    if isinstance(negatives, NoiseSamples) and "noise" in settings:
        _require_same("noise", settings["noise"], negatives.noise, "NoiseSamples")
    if wanted == (DiscreteNeighbours,) and isinstance(negatives, DiscreteNeighbours):
        categorical, owner = settings.get("categorical", False), "DiscreteNeighbours"
        _require_same("categorical", categorical, negatives.categorical, owner)
    sampler = getattr(getattr(negatives, "negatives", negatives), "sampler", None)
    if isinstance(sampler, AbstractLangevin) and "step_size" in settings:
        _require_same("step_size", settings["step_size"], sampler.step_size, type(sampler).__name__)


def plain_function(loss: Callable) -> Callable:
    """The function that a loss is, below settings and the wrapper that checks its arguments."""
    while isinstance(loss, functools.partial | eqx.Partial):
        loss = loss.func
    return inspect.unwrap(loss)


def _require_same(name: str, value: Any, other: Any, owner: str) -> None:
    fix = f"{owner} has {name}={other}: give the loss the same"
    _checks.require(_is_same(value, other), f"loss.{name}", value, fix)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two trees of numbers agree to six digits; traced numbers are not compared."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if _checks.is_concrete(a) and _checks.is_concrete(b):
            a, b = np.asarray(a), np.asarray(b)
            if a.shape != b.shape or not np.allclose(a, b, rtol=1e-6, atol=0):
                return False
    return True
