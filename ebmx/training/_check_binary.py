"""A check of examples for energies of binary data."""

from typing import Any

import jax
import numpy as np

from .. import _checks
from ..energies._discrete import discrete_part


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
