"""What an energy of one image takes, counted in its program: arithmetic and numbers."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np


def flop_of_energy(energy: Any) -> float:
    """Multiplications and additions of E. The gradient takes as many once more."""
    total = 0.0
    for equation in _products(_program(energy)):
        # each output is a sum over all of the weight but its output channels
        out, weight = equation.outvars[0].aval, equation.invars[1].aval
        if equation.primitive.name == "dot_general":
            weight = equation.invars[0].aval
            total += 2.0 * weight.size * out.size / weight.shape[0]
        else:
            total += 2.0 * out.size * math.prod(weight.shape[:3])
    return total


def outputs(energy: Any) -> float:
    """The numbers that convolutions and products of matrices in E return."""
    return float(sum(e.outvars[0].aval.size for e in _products(_program(energy))))


def _program(energy: Any) -> Any:
    return jax.make_jaxpr(energy)(np.zeros(energy.shape, np.float32)).jaxpr


def _products(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("conv_general_dilated", "dot_general"):
            yield equation
        for value in equation.params.values():
            # of a choice by platform, the way that is a convolution
            inner: Any = value[-1] if isinstance(value, tuple) and value else value
            if hasattr(inner, "jaxpr"):
                yield from _products(inner.jaxpr)
