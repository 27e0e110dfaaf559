"""Log Z from ladders with a base, against exact values, and its sums step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from ebmx.energies import DoubleWell, Gaussian
from ebmx.evaluation import ConvergenceWarning, log_z_by_tempering
from ebmx.evaluation.log_z._tempering_sums import (
    Sums,
    added,
    integrated,
    nothing,
    stepping_stones,
)
from ebmx.samplers import MALA, Langevin, ReplicaExchange
from ebmx.samplers.tempering._ladder import Sweep

DIM, WIDE, NARROW = 3, 4.0, 0.4
BASE, ENERGY = Gaussian(jnp.zeros(DIM), WIDE), Gaussian(jnp.zeros(DIM), NARROW)
TEMPERATURES = np.array([1.0, 2.0, 4.5, 12.0, np.inf], np.float32)
BETAS = 1 / TEMPERATURES.astype(np.float64)
PRECISIONS = BETAS / NARROW + (1 - BETAS) / WIDE
LADDER = ReplicaExchange(MALA(0.4), TEMPERATURES, base=BASE)


def replicas(num):
    """Exact samples of each rung."""
    noise = np.random.default_rng(3).normal(size=(num, 5, DIM))
    return (noise / np.sqrt(PRECISIONS)[:, None]).astype(np.float32)


@pytest.mark.medium
def test_log_z_of_a_gaussian(getkey):
    want = float(ENERGY.log_z)
    found = log_z_by_tempering(ENERGY, LADDER, replicas(128), num_steps=400, key=getkey())
    assert abs(found.log_z - want) < 4 * found.standard_error < 0.1
    assert abs(found.thermodynamic_log_z - want) < 4 * found.thermodynamic_error + 0.005 < 0.1
    np.testing.assert_allclose(found.schedule, BETAS)
    np.testing.assert_allclose(found.barrier, found.rejection.sum())
    # π^-½ Γ(2) / Γ(3/2) for each e-fold of the variance; a sum over few pairs is not quite it
    np.testing.assert_allclose(found.barrier, np.log(WIDE / NARROW) / np.pi * 2, rtol=0.07)
    assert found.x.shape == (128, 5, DIM)
    assert found.round_trips.shape == (128,)
    assert found.round_trips.mean() > 5
    assert found.acceptance[-1] == pytest.approx(1)
    assert str(found).startswith(f"log Z = {found.log_z:.4f} ± {found.standard_error:.4f}, by ")
    # the error is that of means over chains: of a quarter of them it is twice as large
    fewer = log_z_by_tempering(ENERGY, LADDER, replicas(128)[:32], num_steps=400, key=getkey())
    assert 1.3 < fewer.standard_error / found.standard_error < 3


@pytest.mark.medium
def test_log_z_of_wells(getkey):
    energy, base = DoubleWell((DIM,), 5.0), Gaussian(jnp.zeros(DIM), 1.0)
    ladder = ReplicaExchange(MALA(0.05), TEMPERATURES, True, base)
    start = np.repeat(replicas(128)[:, -1:], 5, 1) / 2
    begun = log_z_by_tempering(energy, ladder, start, num_steps=400, key=getkey())
    found = log_z_by_tempering(energy, ladder, begun.x, num_steps=400, key=getkey())
    assert abs(found.log_z - float(energy.log_z)) < 4 * found.standard_error < 0.15


def told(num_steps, chains):
    """Differences of energies on each rung as they are of the Gaussians, one of them infinite."""
    chi = np.random.default_rng(5).chisquare(DIM, (num_steps, chains, 5)) / PRECISIONS
    energies = 0.5 * chi * (1 / NARROW - 1 / WIDE)
    energies[3, 0, -1] = np.inf
    return energies


def test_sums_are_those_of_numpy():
    energies = told(50, 2)

    def one(energies):
        def step(i, sums):
            sweep = Sweep(jnp.full(5, 0.5), energies[i], jnp.full(4, 0.25))
            return added(sums, sweep, jnp.asarray(TEMPERATURES), i)

        return jax.lax.fori_loop(0, 50, step, nothing(5, jnp.float32))

    moved = jnp.asarray(energies.swapaxes(0, 1), jnp.float32)
    found = jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(moved))
    known = np.where(np.isinf(energies), np.nan, energies)
    np.testing.assert_allclose(found.mean, np.nanmean(known, 0), rtol=1e-5)
    count = np.sum(np.isfinite(energies), 0)
    np.testing.assert_allclose(found.square, np.nanvar(known, 0) * count, rtol=1e-4)
    np.testing.assert_array_equal(found.infinite, 50 - count)
    half = (BETAS[:-1] - BETAS[1:]) / 2
    down = logsumexp(-half * energies[..., 1:], axis=0)
    up = logsumexp(half * energies[..., :-1], axis=0)
    np.testing.assert_allclose(jax.vmap(lambda s: s.value)(found.down), down, rtol=1e-4)
    np.testing.assert_allclose(jax.vmap(lambda s: s.value)(found.up), up, rtol=1e-4)
    np.testing.assert_allclose(found.swaps, 12.5)
    np.testing.assert_allclose(found.acceptance, 25)


def test_unknown_and_infinite_energies_weighnothing():
    energies = jnp.array([-jnp.inf, 1.0, jnp.nan, jnp.inf, jnp.inf])
    sums = nothing(5, jnp.float32)
    for i in range(2):
        sums = added(sums, Sweep(jnp.ones(5), energies, jnp.ones(4)), jnp.asarray(TEMPERATURES), i)
    half = (BETAS[:-1] - BETAS[1:]) / 2
    want = np.log(2) + np.array([-half[0], -np.inf, -np.inf, -np.inf])
    np.testing.assert_allclose(sums.down.value, want, rtol=1e-5)
    np.testing.assert_allclose(
        sums.up.value[:3], [-np.inf, np.log(2) + half[1], -np.inf], rtol=1e-5
    )
    np.testing.assert_array_equal(sums.infinite, [2, 0, 2, 2, 2])


def of_gaussians(chains):
    """The sums of an endless run, the same for each chain."""
    scale = 1 / NARROW - 1 / WIDE
    mean, variance = DIM * scale / PRECISIONS / 2, DIM * scale**2 / PRECISIONS**2 / 2
    half = (BETAS[:-1] - BETAS[1:]) / 2 * scale
    down = -DIM / 2 * np.log1p(half / PRECISIONS[1:])
    up = -DIM / 2 * np.log1p(-half / PRECISIONS[:-1])
    rows = mean, variance, np.zeros(5), down, up, np.zeros(4), np.zeros(5)
    return Sums(*(np.repeat(row[None], chains, 0) for row in rows))


def test_both_estimates_of_exact_sums_are_exact():
    want = float(ENERGY.log_z - BASE.log_z)
    stones, error = stepping_stones(of_gaussians(6))
    np.testing.assert_allclose(stones, want, rtol=1e-6)
    np.testing.assert_allclose(error, 0, atol=1e-9)
    integral, error = integrated(of_gaussians(6), BETAS, 1)
    np.testing.assert_allclose(-integral, want, atol=0.002)
    np.testing.assert_allclose(error, 0, atol=1e-9)


def test_a_constant_in_the_energy_is_integrated_exactly():
    sums = of_gaussians(6)
    shifted = sums._replace(mean=sums.mean + 1e4)
    without, _ = integrated(sums, BETAS, 1)
    np.testing.assert_allclose(integrated(shifted, BETAS, 1)[0], without + 1e4, rtol=1e-10)


def test_errors_are_those_of_means_over_chains():
    sums, noise = of_gaussians(5), np.random.default_rng(1).normal(size=(5, 4))
    jittered = sums._replace(down=sums.down + 1e-3 * noise)
    _, error = stepping_stones(jittered)
    # to first order the logarithm of a mean is the mean of logarithms
    want = 1e-3 * noise.sum(1).std(ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(error, want, rtol=0.01)
    shifts = np.arange(5.0)[:, None]
    _, error = integrated(sums._replace(mean=sums.mean + 1e-6 * shifts), BETAS, 1)
    np.testing.assert_allclose(error, 1e-6 * np.arange(5).std(ddof=1) / np.sqrt(5), rtol=0.05)
    one = np.zeros((5, 5))
    one[2, -1] = 1
    assert integrated(sums._replace(infinite=one), BETAS, 1) == (np.inf, np.inf)


@pytest.mark.medium
def test_rungs_that_do_not_swap_are_told(getkey):
    far = Gaussian(jnp.full(DIM, 9.0), 0.1)
    ladder = ReplicaExchange(MALA(0.1), [1.0, np.inf], base=BASE)
    with pytest.warns(ConvergenceWarning, match="rungs 0 and 1 reject"):
        log_z_by_tempering(far, ladder, np.full((4, 2, DIM), 9.0), num_steps=5, key=getkey())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sampler": ReplicaExchange(MALA(0.1), np.arange(1.0, 6.0))}, r"sampler\.base=None"),
        ({"sampler": MALA(0.1)}, "sampler=MALA: give a ReplicaExchange"),
        (
            {"sampler": ReplicaExchange(Langevin(0.1), TEMPERATURES, base=BASE)},
            r"sampler\.sampler=Langevin: .*invariant",
        ),
        ({"replicas": jnp.zeros((4, 3, DIM))}, r"replicas\.shape=.*5 rungs"),
        ({"replicas": jnp.zeros((1, 5, DIM))}, r"len\(replicas\)=1"),
        ({"num_steps": 0}, "num_steps=0"),
    ],
)
def test_arguments_are_checked(options, named, getkey):
    usual = {"energy": ENERGY, "sampler": LADDER, "replicas": jnp.zeros((4, 5, DIM))}
    with pytest.raises(ValueError, match=named):
        log_z_by_tempering(**usual | {"num_steps": 5, "key": getkey()} | options)
