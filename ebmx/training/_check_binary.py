"""A check of examples for energies of binary data."""

from typing import Any

import jax
import numpy as np

from .. import _checks
from ..energies import BernoulliRBM, Mixture, Normalised, Product, Weighted


def check_binary(energy: Any, x: Any, name: str) -> None:
    """Refuse examples outside of [0, 1] for a `BernoulliRBM`, alone or composed with others.

    Under a trace nothing is checked, since the values are not known.
    """
    if not _is_binary(energy) or not _checks.is_concrete(x):
        return
    values = np.asarray(jax.device_get(x))
    fix = (
        "a BernoulliRBM takes zeros and ones, or numbers between them: load them by "
        "ebmx.data.load(..., span=(0, 1)), or map [-1, 1] by (x + 1) / 2"
    )
    ok = bool(values.min() >= 0 and values.max() <= 1)
    _checks.require(ok, name, f"values from {values.min():.3g} to {values.max():.3g}", fix)


def _is_binary(energy: Any) -> bool:
    if isinstance(energy, Weighted | Normalised):
        return _is_binary(energy.energy)
    if isinstance(energy, Product | Mixture):
        return any(map(_is_binary, energy.energies))
    return isinstance(energy, BernoulliRBM)
