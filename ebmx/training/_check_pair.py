"""Which losses go with which negatives, and whether both are set alike."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _checks
from ..samplers import AbstractLangevin
from .losses._combine import WeightedSum
from .losses._contrastive import contrastive_loss
from .losses._energy_matching import transport_matching
from .losses._improved_cd import sampler_divergence
from .losses._noise_contrastive import (
    energy_discrepancy,
    minimum_probability_flow,
    negative_log_likelihood,
    noise_contrastive_loss,
)
from .losses._score_matching import denoising_score_matching, sliced_score_matching
from .negatives._base import AbstractNegatives
from .negatives._chain_free import (
    Directions,
    Grid,
    Neighbours,
    NoiseSamples,
    NoNegatives,
    Perturbed,
    PerturbedTwice,
)
from .negatives._jarzynski import Jarzynski
from .negatives._num_steps_adaptation import AdaptiveSteps
from .negatives._persistent import PCD
from .negatives._recovery import Recovery
from .negatives._restarted import CD, ShortRun
from .negatives._tempered import TemperedPCD
from .negatives._transport import TransportPairs

_CHAINS = (CD, ShortRun, PCD, TemperedPCD, Jarzynski, Recovery, AdaptiveSteps)
_NOISY = (NoiseSamples, Perturbed, PerturbedTwice, Neighbours)
_OTHERS = (*_NOISY, NoNegatives, Directions, Grid, TransportPairs)
_MADE_FOR: dict[Callable, tuple[type, ...]] = {
    # noise may stand for samples of a model, a grid or directions cannot
    contrastive_loss: (*_CHAINS, *_NOISY),
    sampler_divergence: (*_CHAINS, *_NOISY),
    denoising_score_matching: (Perturbed,),
    sliced_score_matching: (Directions,),
    noise_contrastive_loss: (NoiseSamples,),
    energy_discrepancy: (PerturbedTwice,),
    minimum_probability_flow: (Neighbours,),
    negative_log_likelihood: (Grid,),
    transport_matching: (TransportPairs,),
}
"""The negatives of this library that a loss is for; with a loss that is not here, any are right."""


def check_pair(negatives: AbstractNegatives, loss: Callable) -> None:
    """Check that a loss is for these negatives, and that what both are told is the same.

    Args:
        negatives: the source of the second batch; one of another library passes.
        loss: a loss, with or without arguments by `Partial`, or a weighted sum of losses.

    Raises:
        ValueError: if it is another kind of negatives, or a number or a distribution differs.
    """
    if isinstance(loss, WeightedSum):
        for part in loss.losses:
            check_pair(negatives, part)
        return
    settings: dict[str, Any] = {}
    while isinstance(loss, functools.partial | eqx.Partial):
        settings, loss = {**loss.keywords, **settings}, loss.func
    # not by its hash: a loss of the user's may hold arrays
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
    sampler = getattr(getattr(negatives, "negatives", negatives), "sampler", None)
    if isinstance(sampler, AbstractLangevin) and "step_size" in settings:
        _require_same("step_size", settings["step_size"], sampler.step_size, type(sampler).__name__)


def _require_same(name: str, value: Any, other: Any, owner: str) -> None:
    fix = f"{owner} has {name}={other}: give the loss the same"
    _checks.require(_is_same(value, other), f"loss.{name}", value, fix)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two trees of numbers are equal to six digits, as far as the numbers are known."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if _checks.is_concrete(a) and _checks.is_concrete(b):
            a, b = np.asarray(a), np.asarray(b)
            if a.shape != b.shape or not np.allclose(a, b, rtol=1e-6, atol=0):
                return False
    return True
