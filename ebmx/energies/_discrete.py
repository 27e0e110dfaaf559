"""The energies of discrete examples."""

from typing import Any

from .. import _checks
from ._base import Product, Weighted
from ._composition import Mixture, Normalised
from ._conditional import Conditioned
from ._tempered import Tempered
from ._trainable import Fixed
from .exact._bernoulli import Bernoulli
from .exact._categorical import Categorical
from .exact._categorical_rbm import CategoricalRBM
from .exact._ising import Ising
from .exact._potts import Potts
from .exact._rbm import BernoulliRBM

BINARY = (Bernoulli, BernoulliRBM, Ising)
"""Energies of zeros and ones."""

CATEGORICAL = (Categorical, CategoricalRBM, Potts)
"""Energies of categories, one-hot along the last axis."""

DISCRETE = (*BINARY, *CATEGORICAL)


def discrete_part(energy: Any) -> Any | None:
    """The energy of discrete examples that an energy is, or is composed of; else `None`."""
    if isinstance(energy, Weighted | Normalised | Fixed | Tempered):
        return discrete_part(energy.energy)
    if isinstance(energy, Product | Mixture):
        return next((one for one in map(discrete_part, energy.energies) if one is not None), None)
    return energy if isinstance(energy, DISCRETE) else None


def is_categorical(energy: Any) -> bool | None:
    """Whether examples of an energy are categories, and not zeros and ones; `None` if not known."""
    if isinstance(energy, Weighted | Normalised | Fixed | Tempered):
        return is_categorical(energy.energy)
    if isinstance(energy, Product | Mixture):
        known = (one for one in map(is_categorical, energy.energies) if one is not None)
        return next(known, None)
    if isinstance(energy, Conditioned):
        # of `Clamped`; a module of constraints needs this one
        return getattr(energy.energy, "categorical", None)
    return isinstance(energy, CATEGORICAL) if isinstance(energy, DISCRETE) else None


def check_kind(energy: Any, categorical: bool, name: str) -> None:
    """Check that what works on zeros and ones, or on categories, fits an energy that is known."""
    known = is_categorical(energy)
    what = "one-hot along the last axis" if known else "zeros and ones"
    part = discrete_part(energy)
    kind = type(energy if part is None else part).__name__
    fix = f"examples of {kind} are {what}: give categorical={known}"
    _checks.require(known in (None, categorical), name, categorical, fix)
