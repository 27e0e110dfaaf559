"""An energy at another temperature."""

from typing import Any

import equinox as eqx
import jax

from .._types import Scalar, X
from ._batch import as_scalar


class Tempered(eqx.Module):
    """`E(x) / T` of any callable, also of one without a `shape`, which `Weighted` needs."""

    energy: Any
    temperature: jax.Array

    def __call__(self, x: X) -> Scalar:
        value = as_scalar(self.energy(x))
        return value / self.temperature.astype(value.dtype)
