"""What negatives ask of their sampler: that it can restart, its bounds, its acceptance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_forms import call
from moves import init, step

from ebmx.energies import BernoulliRBM, Gaussian
from ebmx.samplers import MALA, Annealed, BlockGibbs, Cycle, Langevin, ReplicaExchange, StepInfo
from ebmx.samplers._run import PerChain
from ebmx.training import (
    CD,
    PCD,
    DiffusionRecovery,
    NegativesInfo,
    ReplayBuffer,
    ShortRun,
    StepSizeAdaptation,
    Trainer,
    UInt8,
    UniformNoise,
    Watchdog,
)
from ebmx.training._metrics import chain_metrics
from ebmx.training.negatives._base import saturated_fraction

LADDER = ReplicaExchange(MALA(0.1), jnp.array([1.0, 4.0]))
NO_RESTART = "its state cannot be made again from the chain's position, .* there is TemperedPCD"
CLIPPED = Langevin(0.01, grad_clip=1.0)
ADAPTATION = StepSizeAdaptation()
BAD = {
    "cd": (lambda: CD(LADDER), f"sampler=ReplicaExchange: {NO_RESTART}"),
    "pcd": (lambda: PCD(LADDER, 1, 8), f"sampler=ReplicaExchange: {NO_RESTART}"),
    "within": (lambda: PCD(Cycle((MALA(0.1), LADDER)), 1, 8), f"sampler=Cycle: {NO_RESTART}"),
    "displacement": (
        lambda: PCD(Cycle((CLIPPED, CLIPPED)), 10),
        r"num_steps=10: .* = 0.1 cannot cross the range of the noise, 2",
    ),
    "displacement of annealed": (
        lambda: ShortRun(Annealed(CLIPPED, temperature=optax.linear_schedule(2.0, 1.0, 5)), 10),
        "num_steps=10: .* cannot cross the range of the noise, 2",
    ),
    "no bounds": (
        lambda: PCD(Cycle((MALA(0.1),)), storage=UInt8()),
        "storage=UInt8: positions are stored within a range",
    ),
    "one bound": (
        lambda: PCD(Langevin(0.1, bounds=(-1.0, None)), storage=UInt8()),
        r"bounds=\(-1.0, inf\): positions are stored within a range",
    ),
    "bounds of coordinates": (
        lambda: PCD(Langevin(0.1, bounds=(np.array([-1.0, -2.0]), 1.0)), storage=UInt8()),
        r"bounds=\(\[-1.0, -2.0\], 1.0\): positions are stored within a range",
    ),
    "no acceptance": (
        lambda: PCD(Langevin(0.1), adaptation=ADAPTATION),
        "adaptation=Langevin: Langevin reports no acceptance to adapt to: give MALA or HMC",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_samplers_that_do_not_fit_are_refused(name):
    make, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        make()


def test_chains_that_start_far_from_the_density_may_be_of_any_sampler():
    assert ShortRun(LADDER, 2).sampler is LADDER
    steps = Annealed(CLIPPED, step_size=optax.linear_schedule(2.0, 1.0, 5))
    assert ShortRun(steps, 10).sampler is steps
    assert DiffusionRecovery(LADDER, 0.5).sampler is LADDER


def test_bounds_of_wrapped_samplers_are_enough_for_a_storage():
    bounded = Langevin(0.1, bounds=(-0.5, np.array([0.5, 1.0])))
    for sampler in (
        bounded,
        Cycle((bounded,)),
        Annealed(bounded, temperature=optax.linear_schedule(2.0, 1.0, 5)),
    ):
        assert PCD(sampler, storage=UInt8()).storage.high == 1


X = np.float32([[-1.0, 2.0], [0.5, 3.0], [-2.0, 0.0], [1.0, 1.0]])
INFINITE = np.float32(np.inf)
SHARES = [
    ((-1.0, 1.0), 6 / 8),
    ((None, 1.0), 4 / 8),
    ((-1.0, None), 2 / 8),
    ((None, None), 0.0),
    ((np.float32([-1, -INFINITE]), np.float32([INFINITE, 2])), 4 / 8),
]


@pytest.mark.parametrize(("bounds", "share"), SHARES)
def test_saturated_are_values_at_finite_bounds(bounds, share):
    sampler = Langevin(0.1, bounds=bounds, report_acceptance=True)
    own = eqx.filter_vmap(lambda scale: eqx.tree_at(lambda s: s.step_size, sampler, scale))
    for one in (sampler, Cycle((sampler, sampler)), PerChain(own(jnp.ones(4)))):
        assert float(saturated_fraction(one, jnp.asarray(X))) == share


@pytest.mark.medium
def test_saturated_chains_with_step_sizes_of_their_own_are_counted(getkey):
    # chains at rest, half of whose values are at the bounds
    sampler = Langevin(0.1, temperature=0.0, bounds=(-1.0, 1.0), report_acceptance=True)
    negatives = PCD(sampler, 1, 8, 0.0, adaptation=ADAPTATION)
    start = np.tile(np.float32([1.0, 0.25]), (8, 1))
    state = ReplayBuffer(jnp.asarray(start), jnp.zeros(8, jnp.int32), jnp.zeros(8))
    energy = Gaussian(jnp.array([1.0, 0.25]))
    _, _, info = step(negatives, energy, jnp.zeros((8, 2)), state, getkey())
    assert float(info.saturated) == 0.5


def flat(x):
    return 0.0 * jnp.sum(x)


@pytest.mark.medium
def test_step_sizes_on_a_flat_energy_stop_at_their_limit_and_it_is_told(getkey):
    negatives = PCD(MALA(0.1), 1, 4, 0.0, adaptation=ADAPTATION)
    state, key, metrics = init(negatives, (2,), getkey()), getkey(), {}
    shares = []
    for number in range(60):
        out, state, info = step(
            negatives, flat, jnp.zeros((4, 2)), state, jax.random.fold_in(key, number)
        )
        shares.append(float(info.at_limit))
    # the acceptance is 1: gains 4, 4/2, 4/3 … times 0.426 add up to log 1000 in 16 updates or so
    np.testing.assert_allclose(np.exp(state.log_scales), 1000, rtol=1e-4)
    assert shares[:6] == [0.0] * 6
    assert shares[-1] == 1
    metrics = call(chain_metrics, out.x, info)
    assert float(metrics["step_sizes_at_limit"]) == 1
    (alarm, *_) = Watchdog().alarms({"step_sizes_at_limit": 1.0})
    assert alarm.startswith(
        "100% of the step sizes at the limit of their adaptation: the energy is"
    )


MACHINE = BernoulliRBM(0.1 * jnp.ones((3, 2)), jnp.zeros(3), jnp.zeros(2))


@pytest.mark.medium
def test_gibbs_chains_report_no_gradient_and_nothing_is_nan():
    noise = UniformNoise(0.0, 1.0)
    trainer = Trainer(optax.sgd(0.1), PCD(BlockGibbs(), 2, 8, 0.1, noise))
    x, key = np.float32(np.eye(3)[[0, 1, 2, 0]]), jax.random.key(0)
    with jax.debug_nans(True):
        state = call(lambda: trainer.init(MACHINE, key=key))
        state, metrics = call(trainer.step, state, x, key=key)
    assert "chain_grad_norm" not in metrics
    assert np.all(np.isfinite(list(metrics.values())))
    assert not np.array_equal(state.energy.weight, MACHINE.weight)


def test_chains_that_became_non_finite_are_counted_and_leave_the_means():
    dead = jnp.array([False, True, True, False])
    grad_norm, acceptance = np.float32([1, np.nan, np.inf, 3]), np.float32([0.5, np.nan, 0, 0.5])
    info = StepInfo(jnp.zeros(4), jnp.asarray(grad_norm), jnp.asarray(acceptance), dead)
    chains = NegativesInfo(info, jnp.zeros(4, bool), dead, jnp.zeros(()))
    metrics = call(chain_metrics, X, chains)
    np.testing.assert_allclose(metrics["chain_grad_norm"], 2.0)
    np.testing.assert_allclose(metrics["acceptance"], 0.25)
    assert float(metrics["dead_chains"]) == 2
    one = eqx.tree_at(lambda i: i.chains.grad_norm, chains, jnp.array([5, *[jnp.nan] * 3]))
    assert float(call(chain_metrics, X, one)["chain_grad_norm"]) == 5
    none = eqx.tree_at(lambda i: i.chains.grad_norm, chains, jnp.full(4, jnp.nan))
    assert float(call(chain_metrics, X, none)["chain_grad_norm"]) == np.inf


@pytest.mark.medium
def test_a_chain_whose_gradient_is_nan_is_dead(getkey):
    # √|x| has an energy of 0 and no gradient at 0, where MALA would stay for ever
    negatives = PCD(MALA(0.1), 1, 8, 0.0)
    positions = jnp.asarray(np.where(np.arange(8)[:, None] % 2 == 0, 0, 1.0) * np.ones((8, 2)))
    state = ReplayBuffer(positions.astype(jnp.float32), jnp.zeros(8, jnp.int32))
    _, after, info = step(negatives, cusp, jnp.zeros((8, 2)), state, getkey())
    assert int(np.sum(info.dead)) == 4
    assert np.all(np.any(np.asarray(after.positions) != 0, 1))


def cusp(x):
    return jnp.sqrt(jnp.sum(x**2))
