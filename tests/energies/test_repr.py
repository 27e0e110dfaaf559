"""What energies look like when they are printed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import (
    MLP,
    Box,
    Conditional,
    DoubleWell,
    Function,
    Gaussian,
    Ring,
    SpectralNorm,
    Transformed,
)
from ebmx.energies.bijections import Exp

KEY = jax.random.key(0)

SHOWN = {
    "Ring(radius=2.0, scale=0.1)": lambda: Ring(2.0, 0.1),
    "DoubleWell(shape=(2,), height=0.5)": lambda: DoubleWell((2,), 0.5),
    "Gaussian(shape=(2,), location=[1. , 0.5], whiten=[2., 2.])": lambda: Gaussian(
        np.array([1.0, 0.5]), 0.25
    ),
    "Gaussian(shape=(9,), location=f32[9], whiten=f32[9])": lambda: Gaussian(np.zeros(9)),
    "low=[-1., -1.]": lambda: Box(Ring(), -1.0, 1.0),
    "weight=0.5": lambda: 0.5 * Ring(),
    "function=<function sum>": lambda: Function(jnp.sum, (2,)) + Ring(),
    "bijection=Exp": lambda: Transformed(Ring(), Exp()),
    "out_size='scalar'": lambda: MLP((2,), (3,), key=KEY),
    "weight=f32[3,2]": lambda: MLP((2,), (3,), key=KEY),
    "num_labels=2": lambda: Conditional(
        MLP((2,), (3,), out_size=2, key=KEY), num_labels=2, key=KEY
    ),
    "inference=False": lambda: eqx.nn.make_with_state(SpectralNorm)(
        MLP((2,), (3,), key=KEY), key=KEY
    )[0],
}


@pytest.mark.parametrize("text", SHOWN)
def test_values_are_shown(text):
    assert text in repr(SHOWN[text]())


def test_traced_numbers_have_no_values():
    texts = []

    @jax.jit
    def energy(radius):
        ring = Ring(radius)
        texts.append(repr(ring))
        return ring(jnp.ones(2))

    energy(2.0)
    assert texts == ["Ring(radius=f32[], scale=f32[])"]
