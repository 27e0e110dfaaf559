"""Other numbers of the same shapes do not compile again, whatever their type in Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian
from ebmx.evaluation import (
    adaptive_smc,
    annealed_importance_sampling,
    disconnectivity,
    drift,
    energy_slice,
    hessian_eigenvalues,
    kernel_stein_discrepancy,
    local_minima,
    log_z_by_quadrature,
    minimum_energy_path,
)
from ebmx.samplers import MALA

KEYS = jax.random.split(jax.random.key(0), 2)
SAMPLER = MALA(0.1)
PLANE = Gaussian(jnp.zeros(2))
NUMBERS = (0.5, np.float32(0.4), np.float64(0.3), jnp.float32(0.25), 1)


def points(seed, num=4):
    return np.random.default_rng(seed).normal(size=(num, 2)).astype(np.float32)


def smc(energy, i, v):
    sizes = {"num_particles": 8, "num_islands": 2, "max_temperatures": 3, "num_steps": 1}
    target = min(float(v), 0.9) if isinstance(v, int) else v
    return adaptive_smc(energy, PLANE, target_ess=target, sampler=SAMPLER, key=KEYS[i % 2], **sizes)


def ais(energy, i, v):
    schedule = [0, np.float64(v) / 2, 1] if i % 2 else np.array([0.0, float(v) / 3, 1.0])
    options = {"schedule": schedule, "sampler": SAMPLER, "num_chains": 4}
    return annealed_importance_sampling(energy, PLANE, key=KEYS[i % 2], **options)


CALLS = {
    "local_minima": lambda energy, i, v: local_minima(
        energy, points(i), tolerance=v, max_step=v, merge_distance=v, bounds=(-9 * v, 9)
    ),
    "minimum_energy_path": lambda energy, i, v: minimum_energy_path(
        energy,
        points(i)[0],
        points(i)[1],
        num_points=3,
        tolerance=v,
        bounds=(-9, 9 * v),
        num_steps=3,
    ),
    "disconnectivity": lambda energy, i, v: disconnectivity(
        energy, points(i)[:2], num_points=3, tolerance=v, bounds=(-9, 9 * v), num_steps=3
    ),
    "drift": lambda energy, i, v: drift(
        energy, SAMPLER, points(i), bounds=(-v, v), num_steps=4, key=KEYS[i % 2]
    ),
    "adaptive_smc": smc,
    "annealed_importance_sampling": ais,
    "energy_slice": lambda energy, i, v: energy_slice(
        energy, points(i)[0], points(i + 9)[:2], limits=((-v, 1), (-1, v)), num_points=2
    ),
    "hessian_eigenvalues": lambda energy, i, v: hessian_eigenvalues(
        energy, v * points(i)[0], num_eigenvalues=1, key=KEYS[i % 2]
    ),
    "kernel_stein_discrepancy": lambda energy, i, v: kernel_stein_discrepancy(
        energy, points(i), bandwidth=v, exponent=-float(v) / 2, key=KEYS[i % 2]
    ),
    "log_z_by_quadrature": lambda energy, i, v: log_z_by_quadrature(
        energy, [-v, -1], np.array([v, 1.0]), num_points=4
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CALLS)
def test_a_new_number_does_not_compile_again(name):
    traces = []

    def energy(x):
        traces.append(None)
        return 0.5 * jnp.sum(x**2)

    counts = []
    for i, number in enumerate(NUMBERS):
        CALLS[name](energy, i, number)
        counts.append(len(traces))
    assert counts == [counts[0]] * len(NUMBERS) != [0] * len(NUMBERS)
