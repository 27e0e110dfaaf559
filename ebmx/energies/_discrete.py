"""The energies of discrete examples."""

from typing import Any

from ._base import Product, Weighted
from ._composition import Mixture, Normalised
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
    if isinstance(energy, Weighted | Normalised):
        return discrete_part(energy.energy)
    if isinstance(energy, Product | Mixture):
        return next((one for one in map(discrete_part, energy.energies) if one is not None), None)
    return energy if isinstance(energy, DISCRETE) else None
