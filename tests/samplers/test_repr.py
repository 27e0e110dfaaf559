"""What samplers look like when they are printed."""

import numpy as np
import optax
import pytest

from ebmx.energies import Gaussian
from ebmx.samplers import (
    HMC,
    MALA,
    Annealed,
    Cycle,
    Independence,
    Langevin,
    PreconditionedLangevin,
    ReplicaExchange,
)

SHOWN = {
    "MALA(step_size=0.1)": lambda: MALA(0.1),
    "HMC(step_size=0.5, num_integration_steps=3, inverse_mass_matrix=[1., 2.])": lambda: HMC(
        0.5, 3, np.array([1.0, 2.0])
    ),
    "bounds=(-1.0, inf)": lambda: Langevin(0.1, bounds=(-1.0, None)),
    "temperatures=[1., 4.]": lambda: ReplicaExchange(MALA(0.1), [1.0, 4.0]),
    "samplers=(MALA(step_size=0.1), Independence(proposal=Gaussian(": lambda: Cycle(
        (MALA(0.1), Independence(Gaussian(np.zeros(1))))
    ),
    "preconditioner=2.0": lambda: PreconditionedLangevin(0.1, 2.0),
    "sampler=MALA(step_size=0.1)": lambda: Annealed(
        MALA(0.1), step_size=optax.constant_schedule(0.1)
    ),
    "inverse_mass_matrix=f32[9]": lambda: HMC(0.5, 3, np.ones(9)),
}


@pytest.mark.parametrize("text", SHOWN)
def test_values_are_shown(text):
    shown = " ".join(repr(SHOWN[text]()).replace("(\n", "(").replace("\n)", ")").split())
    assert text in shown.replace("( ", "(")
