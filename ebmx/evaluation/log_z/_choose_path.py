"""Which path is between a base and an energy, and which sampler goes along it."""

from typing import Any

from ... import _checks
from ...energies import (
    AbstractExactEnergy,
    AbstractNoiseConditionalEnergy,
    Bernoulli,
    BernoulliRBM,
    Function,
    Gaussian,
    GaussianMixture,
    Uniform,
)
from ...energies._discrete import BINARY, CATEGORICAL, check_kind, discrete_part
from ...samplers import DMALA, HMC, AbstractSampler, BlockGibbs
from ...samplers._base import check_invariant
from ._annealing_path import AbstractPath, GeometricPath, LevelPath, RBMPath


def path_of(energy: Any, base: AbstractExactEnergy | None) -> AbstractPath:
    """The path between a base and an energy, or that of the levels of an energy."""
    if isinstance(energy, AbstractNoiseConditionalEnergy):
        fix = "an energy over noise levels begins at its highest level: leave the base out"
        _checks.require(base is None, "base", type(base).__name__, fix)
        fix = "choose a class first: energy.at_label(label), or at_label(None) for all"
        _checks.require(energy.num_classes is None, "energy.num_classes", energy.num_classes, fix)
        return LevelPath(energy)
    fix = (
        "give an energy with `log_z` and `sample`: Gaussian, Uniform, fit_gaussian(x), Bernoulli, "
    )
    fix += "Categorical"
    if not isinstance(base, AbstractExactEnergy):
        _checks.invalid("base", type(base).__name__, fix)
    shape = getattr(energy, "shape", base.shape)
    fix = f"the energy takes examples of shape {shape}: give a base of the same shape"
    _checks.require(base.shape == shape, "base.shape", base.shape, fix)
    _check_space(energy, base)
    if isinstance(energy, BernoulliRBM) and isinstance(base, Bernoulli):
        return RBMPath(base, energy)
    return GeometricPath(base, energy if hasattr(energy, "shape") else Function(energy, shape))


def _check_space(energy: Any, base: AbstractExactEnergy) -> None:
    """Check that the base of an energy of discrete examples is one of the same kind."""
    part = discrete_part(energy)
    name = type(part).__name__
    if isinstance(part, BINARY):
        fix = f"the sites of {name} are zeros and ones: give Bernoulli or fit_bernoulli(x)"
        _checks.require(isinstance(base, BINARY), "base", type(base).__name__, fix)
    if isinstance(part, CATEGORICAL):
        fix = f"the sites of {name} are categories: give Categorical or fit_categorical(x)"
        _checks.require(isinstance(base, CATEGORICAL), "base", type(base).__name__, fix)
    # a density of numbers beside a discrete base, such as a Gaussian, has another log Z
    continuous = isinstance(energy, AbstractExactEnergy) and part is None
    fix = f"{type(energy).__name__} is a density of real numbers: give a Gaussian, or Uniform"
    _checks.require(not (continuous and _is_discrete(base)), "base", type(base).__name__, fix)


def _is_discrete(base: Any) -> bool:
    return discrete_part(base) is not None


def sampler_for(path: AbstractPath, sampler: AbstractSampler | None) -> AbstractSampler:
    """The given sampler, or the default one of the path."""
    base = getattr(path, "base", None)
    if sampler is not None:
        check_invariant(sampler)
        fix = "the base is discrete: give DMALA, GibbsWithGradients or Gibbs (one of your own "
        fix += "declares `is_discrete`)"
        ok = sampler.is_discrete or not _is_discrete(base)
        _checks.require(ok, "sampler", type(sampler).__name__, fix)
        fix = f"{type(base).__name__} is no density of discrete examples: give Bernoulli or "
        fix += "Categorical as the base, or a sampler of real numbers such as HMC"
        ok = not (sampler.is_discrete and isinstance(base, Gaussian | GaussianMixture | Uniform))
        _checks.require(ok, "sampler", type(sampler).__name__, fix)
        own = getattr(sampler, "categorical", None)
        if own is not None:
            check_kind(base, own, "sampler.categorical")
        return sampler
    if isinstance(path, RBMPath):
        return BlockGibbs()
    if _is_discrete(base):
        return DMALA(0.2, categorical=isinstance(base, CATEGORICAL))
    return HMC(0.5, 5)
