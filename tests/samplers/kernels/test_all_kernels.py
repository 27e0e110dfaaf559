"""Kernels alone and in each wrapper: promises, and densities that stay as they are."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_mean, points

from ebmx.energies import Gaussian
from ebmx.samplers import (
    GHMC,
    HMC,
    MALA,
    AdjustedMCLMC,
    Annealed,
    Cycle,
    EllipticalSlice,
    JitteredHMC,
    Mixture,
    Moments,
    PreconditionedMALA,
    Reflected,
    ReplicaExchange,
    StretchMove,
    run,
    sample,
)

NUM, VARIANCE = 20_000, np.array([1.0, 0.25])
MATRIX = np.array([[0.8, 0.3], [0.3, 1.0]])
PRIOR = Gaussian(np.array([0.3, -0.2]), 2.0)
KERNELS = {
    "preconditioned-mala": PreconditionedMALA(0.5, MATRIX),
    "ghmc": GHMC(0.5, MATRIX, alpha=0.5),
    "ghmc-diagonal": GHMC(0.5, np.array([0.5, 2.0]), alpha=0.3, delta=0.3),
    "adjusted-mclmc": AdjustedMCLMC(1.2, 2, np.array([1.0, 0.3])),
    "jittered-hmc": JitteredHMC(0.6, 1.8),
    "elliptical-slice": EllipticalSlice(PRIOR),
}
SCHEDULE = optax.linear_schedule(0.3, 0.6, 5)
WRAPPERS = {
    "cycle": lambda s: Cycle((s, MALA(0.5))),
    "mixture": lambda s: Mixture((s, MALA(0.5))),
    "annealed": lambda s: Annealed(s, step_size=SCHEDULE),
    "reflected": lambda s: Reflected(s, (-9.0, np.array([9.0, np.inf]))),
}
LADDER = np.array([1.0, 3.0], np.float32)
WRAPPED = [
    pytest.param(kernel, wrapper, marks=[pytest.mark.slow] * (kernel != "ghmc"))
    for kernel in KERNELS
    for wrapper in WRAPPERS
    if kernel != "elliptical-slice" or wrapper in ("cycle", "mixture")
]
every_kernel = pytest.mark.parametrize("name", KERNELS)


def bowl(x):
    return 0.5 * jnp.sum(x**2 / VARIANCE.astype(x.dtype))


def exact(seed=0):
    return points(NUM, (2,), seed) * np.sqrt(VARIANCE).astype(np.float32)[None]


def assert_exact(x):
    x = np.asarray(x, np.float64)
    assert_mean(x, np.zeros(2))
    assert_mean(x**2 / VARIANCE, np.ones(2))
    assert_mean(x**4 / VARIANCE**2, np.full(2, 3.0))
    assert_mean(x[:, 0] * x[:, 1], 0.0)


@eqx.filter_jit
def restarted(sampler, x, key, num_steps):
    """Three calls of `run`, each with a new state."""

    def once(x, key):
        return run(bowl, sampler, x, num_steps=num_steps, key=key)

    return jax.lax.scan(once, x, jax.random.split(key, 3))


@every_kernel
@pytest.mark.parametrize("num_steps", [1, 7])
def test_the_density_stays_with_new_states_and_with_old_ones(name, num_steps, getkey):
    new, info = restarted(KERNELS[name], exact(), getkey(), jnp.asarray(num_steps))
    assert_exact(new)
    assert np.mean(np.any(new != exact(), 1)) > 0.5
    if KERNELS[name].reports_acceptance:
        assert 0.3 < np.mean(info.acceptance) < 0.995


@pytest.mark.medium
@pytest.mark.parametrize(("kernel", "wrapper"), WRAPPED)
def test_the_density_stays_in_each_wrapper(kernel, wrapper, getkey):
    sampler = WRAPPERS[wrapper](KERNELS[kernel])
    assert sampler.is_invariant
    assert sampler.is_restartable
    new, _ = restarted(sampler, exact(), getkey(), jnp.asarray(3))
    assert_exact(new)


@pytest.mark.medium
@pytest.mark.parametrize(
    "name", [n if n == "ghmc" else pytest.param(n, marks=pytest.mark.slow) for n in KERNELS]
)
def test_a_ladder_samples_the_density(name, getkey):
    ladder = ReplicaExchange(KERNELS[name], LADDER)
    options = {"num_warmup": 40, "num_samples": 20, "save": Moments()}
    got = sample(bowl, ladder, exact()[:2500], key=getkey(), **options)
    square = np.asarray(got.values.square / 20 + got.values.mean**2)
    assert_mean(square / VARIANCE, np.ones(2))
    assert 0.2 < float(np.mean(got.state.swap_rates)) < 1


def test_a_ladder_does_not_take_ensembles():
    with pytest.raises(ValueError, match=r"sampler=StretchMove: .*restartable"):
        ReplicaExchange(StretchMove(4), LADDER)
    with pytest.raises(ValueError, match=r"sampler=ReplicaExchange: .*restartable"):
        ReplicaExchange(ReplicaExchange(MALA(0.1), LADDER), LADDER)


PROMISES = {
    # is_restartable, is_equivariant, reports_acceptance
    "preconditioned-mala": (True, True, True),
    "ghmc": (True, True, True),
    "ghmc-diagonal": (True, True, True),
    "adjusted-mclmc": (True, True, True),
    "jittered-hmc": (True, True, True),
    "elliptical-slice": (True, False, False),
    "stretch-move": (False, False, True),
}


@pytest.mark.parametrize("name", PROMISES)
def test_promises(name):
    sampler = StretchMove(4) if name == "stretch-move" else KERNELS[name]
    restartable, equivariant, acceptance = PROMISES[name]
    assert sampler.is_invariant
    assert sampler.reports_new_energy
    assert sampler.is_restartable == restartable
    assert sampler.is_equivariant == equivariant
    assert sampler.reports_acceptance == acceptance
    if not equivariant:
        with pytest.raises(ValueError, match="do not start from the position"):
            Reflected(sampler, (-1.0, 1.0))


@every_kernel
def test_an_energy_that_was_multiplied_is_taken_from_the_state(name, getkey):
    sampler, x, key = KERNELS[name], jnp.array([0.5, -0.2]), getkey()
    state = sampler.init(bowl, x, key=key)
    half = lambda x: bowl(x) / 2  # noqa: E731
    scaled = sampler.retemper(half, x, state, jnp.float32(0.5), key=key)
    # the key of `init`, so that what is random is the same
    want = sampler.init(half, x, key=key)
    for one, other in zip(jax.tree.leaves(scaled), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


WRONG = [
    (lambda: GHMC(0.1, alpha=0.0), r"alpha=0\.0"),
    (lambda: GHMC(0.1, alpha=1.5), r"alpha=1\.5"),
    (lambda: GHMC(0.1, delta=-0.1), r"delta=-0\.1"),
    (lambda: GHMC(0.1, np.array([1.0, -1.0])), "inverse_mass_matrix"),
    (lambda: GHMC(-0.1), r"step_size=-0\.1"),
    (lambda: AdjustedMCLMC(0.1, 0), "num_integration_steps=0"),
    (lambda: AdjustedMCLMC(0.1, 2, MATRIX), r"inverse_mass_matrix\.shape=\(2, 2\): .*no matrix"),
    (lambda: AdjustedMCLMC(0.1).kernel(jnp.zeros(1)), r"x\.shape=\(1,\): .*two coordinates"),
    (lambda: JitteredHMC(0.1, 0.0), r"trajectory_length=0\.0"),
    (lambda: JitteredHMC(0.1, 1.0, max_num_integration_steps=0), "max_num_integration_steps=0"),
    (lambda: PreconditionedMALA(0.1, -MATRIX), "inverse_mass_matrix"),
    (lambda: EllipticalSlice(HMC(0.1)), "prior='?HMC'?: .*Gaussian"),
    (lambda: StretchMove(2), "num_walkers=2"),
    (lambda: StretchMove(5), "num_walkers=5: give an even number"),
    (lambda: StretchMove(4, stretch=1.0), r"stretch=1\.0: give a finite number above 1"),
    (lambda: StretchMove(4, spread=0.0), r"spread=0\.0"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_wrong_arguments_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
