"""Ladders that tune themselves, against the barrier in closed form."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betainc, gammaln

from ebmx.energies import Function, Gaussian, forty_modes
from ebmx.samplers import (
    HMC,
    MALA,
    Independence,
    Reflected,
    ReplicaExchange,
    run_replicas,
    tune_ladder,
)
from ebmx.samplers.tempering._barrier import (
    LadderReport,
    advised,
    equal_rejection,
    optimal_round_trip_rate,
)

DIM, WIDE, NARROW = 6, 9.0, 0.25
BASE, ENERGY = Gaussian(jnp.zeros(DIM), WIDE), Gaussian(jnp.zeros(DIM), NARROW)
START = jnp.ones((96, DIM))
BARRIER = np.exp(gammaln((DIM + 1) / 2) - gammaln(DIM / 2)) / np.sqrt(np.pi)
"""Of a path from one Gaussian to another about the same centre, for each e-fold of the variance.

`λ(β) = ½ E|U − U'|` with `U = ½ |x|² dp/dβ`, a multiple of χ² with `DIM` degrees of freedom, whose
mean absolute difference is `4 Γ((d+1)/2) / (√π Γ(d/2))`; so `Λ` is a multiple of `log(p₁/p₀)`.
"""


def tuned(temperatures, num_rungs, key, sampler=None, base=BASE, **options):
    ladder = ReplicaExchange(sampler or MALA(0.1), temperatures, base=base)
    return tune_ladder(
        ENERGY, ladder, START, num_steps=1_500, num_rungs=num_rungs, key=key, **options
    )


def rejection(precisions):
    """Of swaps between neighbours that are Gaussians about one centre."""
    ratio = precisions[:-1] / precisions[1:]
    return 1 - 2 * betainc(DIM / 2, DIM / 2, 1 / (1 + ratio))


def assert_tuned(ladder, replicas, report, precisions):
    assert replicas.shape == (len(START), ladder.num_rungs, DIM)
    assert ladder.temperatures[0] == 1
    np.testing.assert_allclose(report.rejection, rejection(precisions), atol=0.02)
    np.testing.assert_allclose(report.rejection, report.rejection.mean(), atol=0.05)
    np.testing.assert_allclose(report.barrier, report.rejection.sum())
    np.testing.assert_array_equal(ladder.step_sizes, report.step_sizes)
    assert report.num_rungs_advised == advised(report.barrier)
    moved = slice(None, None if ladder.base is None else -1)
    np.testing.assert_allclose(report.acceptance[moved], 0.574, atol=0.04)
    # a step size for each spread
    ratio = (report.step_sizes * precisions)[moved]
    np.testing.assert_allclose(ratio / ratio.mean(), 1.0, atol=0.15)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("temperatures", "size"),
    [
        ([1.0, 1.05, np.inf], 20.0),
        pytest.param([1.0, 5e3, 1e4, np.inf], 1e-3, marks=pytest.mark.slow),
    ],
)
def test_bad_temperatures_end_at_the_barrier_of_the_path(temperatures, size, getkey):
    ladder, replicas, report = tuned(temperatures, 10, getkey(), MALA(size))
    beta = 1 / np.asarray(ladder.temperatures, np.float64)
    assert beta[-1] == 0
    assert_tuned(ladder, replicas, report, beta / NARROW + (1 - beta) / WIDE)
    np.testing.assert_allclose(report.barrier, BARRIER * np.log(WIDE / NARROW), rtol=0.06)
    np.testing.assert_allclose(report.acceptance[-1], 1.0, rtol=1e-5)
    assert 0.2 < report.round_trip_rate / report.optimal_round_trip_rate < 1
    assert 10 * 1_500 * 0.5 < report.num_moves < 10 * 1_500


@pytest.mark.slow
def test_without_a_base_temperatures_are_geometric(getkey):
    ladder, replicas, report = tuned([1.0, 1.1, 100.0], 9, getkey(), base=None)
    assert_tuned(ladder, replicas, report, 1 / np.asarray(ladder.temperatures) / NARROW)
    np.testing.assert_allclose(ladder.temperatures, np.geomspace(1, 100, 9), rtol=0.1)
    spread = np.mean(np.asarray(replicas) ** 2, (0, 2)) / NARROW
    np.testing.assert_allclose(spread, ladder.temperatures, rtol=0.25)


@pytest.mark.slow
def test_the_number_of_rungs_is_found(getkey):
    ladder, _, report = tuned([1.0, 30.0, np.inf], None, getkey())
    assert abs(ladder.num_rungs - advised(BARRIER * np.log(WIDE / NARROW))) <= 2
    assert np.all(np.abs(report.rejection - 0.5) < 0.12)


@pytest.mark.slow
def test_other_samplers(getkey):
    # the target is 0.8 for HMC; a sampler without a step size has none
    hmc = Reflected(HMC(0.01, 3), (None, 50.0))
    ladder, _, report = tuned([1.0, 30.0], 4, getkey(), hmc, None)
    np.testing.assert_allclose(report.acceptance, 0.8, atol=0.05)
    ladder, _, report = tuned([1.0, 9.0, np.inf], 6, getkey(), Independence(BASE))
    assert ladder.step_sizes is None
    assert report.step_sizes is None
    np.testing.assert_allclose(report.barrier, BARRIER * np.log(WIDE / NARROW), rtol=0.15)


def test_temperatures_divide_a_known_barrier():
    # Λ(β) = log(1 + 50 β), of which three rungs know
    known = np.array([1.0, 4.0, 20.0, np.inf])
    barrier = lambda t: np.log1p(50 / t)  # noqa: E731
    found, positions = equal_rejection(known, -np.diff(barrier(known)), 9)
    np.testing.assert_allclose(np.log(51) - barrier(found), positions, atol=0.05)
    np.testing.assert_allclose(np.diff(positions), np.log(51) / 8)
    assert found[0] == 1
    assert np.isinf(found[-1])
    # a geometric ladder stays
    even = np.geomspace(1, 81, 5)
    found, _ = equal_rejection(even, np.full(4, 0.3), 5)
    np.testing.assert_allclose(found, even, rtol=1e-6)
    # pairs that never reject, too
    found, _ = equal_rejection(known, np.zeros(3), 6)
    assert np.all(np.diff(found[:-1]) > 0)


def test_what_is_advised():
    assert [advised(barrier) for barrier in (0.0, 0.4, 1.0, 3.2)] == [2, 2, 3, 8]
    assert optimal_round_trip_rate(3.0) == 1 / 8
    report = LadderReport(2.5, np.array([0.4, 0.6]), 6, 0.01, 0.14, np.ones(3), None, 10)
    assert str(report).startswith("barrier 2.50, 3 rungs (6 advised), rejection 0.40 to 0.60, ")


@pytest.mark.medium
def test_a_ladder_that_cannot_move_is_told(getkey):
    nowhere = Function(lambda x: jnp.sum(x) * jnp.nan, (2,))
    ladder = ReplicaExchange(MALA(0.1), [1.0, 2.0])
    with pytest.raises(FloatingPointError, match=r"rung 0 accepts .* not finite"):
        tune_ladder(nowhere, ladder, jnp.ones((4, 2)), num_steps=60, key=getkey())


@pytest.mark.medium
def test_steps_that_grow_too_long_on_the_way_are_shortened():
    # ten steps from far off accept all, and the next ten nothing
    start_key, key = jax.random.split(jax.random.key(0))
    far = 25 * jax.random.normal(start_key, (16, 128))
    ladder = ReplicaExchange(MALA(0.1), [1.0, 1.76, 30.0])
    _, _, report = tune_ladder(forty_modes(128), ladder, far, num_steps=62, num_rungs=3, key=key)
    assert np.all((report.acceptance > 0.2) & (report.acceptance < 0.8))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sampler": MALA(0.1)}, "sampler=MALA: give a ReplicaExchange"),
        ({"num_steps": 59}, "num_steps=59"),
        ({"num_rungs": 1}, "num_rungs=1"),
        ({"target_acceptance": 1.5}, "target_acceptance=1.5"),
        ({"x": jnp.ones((4, 3))}, r"x\.shape"),
    ],
)
def test_arguments_are_checked(options, named, getkey):
    ladder = ReplicaExchange(MALA(0.1), [1.0, np.inf], base=BASE)
    usual = {"energy": ENERGY, "sampler": ladder, "x": START, "num_steps": 60, "key": getkey()}
    with pytest.raises(ValueError, match=named):
        tune_ladder(**usual | options)


WORKER = """
import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp, numpy as np
from ebmx.energies import Gaussian
from ebmx.evaluation import log_z_by_tempering
from ebmx.samplers import MALA, ReplicaExchange, run_replicas, tune_ladder

base, energy, key = Gaussian(jnp.zeros(2), 4.0), Gaussian(jnp.ones(2), 0.5), jax.random.key(0)
ladder = ReplicaExchange(MALA(0.1), [1.0, 4.0, jnp.inf], base=base)
found = []
for mesh in (None, jax.make_mesh((4,), ("data",))):
    options = {"mesh": mesh, "key": key}
    tuned, replicas, report = tune_ladder(
        energy, ladder, jnp.ones((16, 2)), num_steps=60, num_rungs=3, **options
    )
    moved, _, rates = run_replicas(energy, tuned, replicas, num_steps=3, **options)
    log_z = log_z_by_tempering(energy, tuned, replicas, num_steps=20, **options)
    parts = [len({s.device for s in a.addressable_shards}) for a in (replicas, moved, log_z.x)]
    assert parts == [1 if mesh is None else 4] * 3, parts
    assert moved.addressable_shards[0].data.shape[0] == (16 if mesh is None else 4)
    found.append([tuned.temperatures[1], report.barrier, tuned.step_sizes[0], log_z.log_z,
                  log_z.standard_error, jnp.mean(moved), jnp.mean(rates)])
np.testing.assert_allclose(*np.asarray(found, np.float64), rtol=1e-3, atol=1e-3)
"""


@pytest.mark.slow
def test_ladders_on_four_devices_are_those_on_one():
    done = subprocess.run(
        [sys.executable, "-c", WORKER], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.medium
def test_a_mesh_shares_the_replicas(getkey):
    mesh, ladder = jax.make_mesh((1,), ("data",)), ReplicaExchange(MALA(0.1), [1.0, 4.0])
    replicas, key = jnp.ones((3, 2, DIM)), getkey()
    one = run_replicas(ENERGY, ladder, replicas, num_steps=2, key=key)
    other = run_replicas(ENERGY, ladder, replicas, num_steps=2, mesh=mesh, key=key)
    np.testing.assert_allclose(one[0], other[0], rtol=1e-6)
    assert other[0].sharding.mesh.axis_names == ("data",)
