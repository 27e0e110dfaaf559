"""Ladders that end at an exact base, and step sizes of each rung."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_mean, points

from ebmx.energies import (
    Bernoulli,
    Box,
    DoubleWell,
    Gaussian,
    GaussianMixture,
    Ising,
    Uniform,
)
from ebmx.evaluation import log_z_by_enumeration, log_z_by_tempering
from ebmx.samplers import (
    DMALA,
    HMC,
    MALA,
    AbstractSampler,
    BlockGibbs,
    Cycle,
    Independence,
    Langevin,
    Moments,
    Reflected,
    ReplicaExchange,
    StepInfo,
    run_replicas,
    sample,
)

TEMPERATURES = np.array([1.0, 2.0, 5.0, np.inf], np.float32)
BETAS = 1 / TEMPERATURES.astype(np.float64)
BASE, ENERGY = Gaussian(jnp.array([0.5, 0.0]), 4.0), Gaussian(jnp.array([1.0, -1.0]), 0.5)
BITS = Bernoulli(jnp.array([1.0, -0.5]))
PRECISIONS = BETAS / 0.5 + (1 - BETAS) / 4
MEANS = (BETAS[:, None] * [2.0, -2.0] + (1 - BETAS[:, None]) * [0.125, 0.0]) / PRECISIONS[:, None]


def ladder(sampler=None, **options):
    sampler = sampler or MALA(0.4)
    return ReplicaExchange(sampler, TEMPERATURES, base=BASE, **options)


@eqx.filter_jit
def steps(sampler, energy, base, replicas, key):
    """What is where after each of eight steps, what is cached there, and what is told."""
    init_key, steps_key = jax.random.split(key)

    def step(carry, key):
        x, state, info, told = sampler.sweep(energy, *carry, key=key)
        replicas = jnp.concatenate([x[None], state.upper])
        kinds = [jax.vmap(jax.value_and_grad(one))(replicas) for one in (energy, base)]
        return (x, state), (replicas, state, info, told, kinds)

    begin = replicas[0], sampler.init_replicas(energy, replicas, key=init_key)
    return jax.lax.scan(step, begin, jax.random.split(steps_key, 8))[1]


@pytest.mark.parametrize("inner", [MALA(0.4), HMC(0.5, 2)])
def test_caches_and_reports_are_of_each_rung(inner, getkey):
    found = steps(ladder(inner), ENERGY, BASE, points(4, (2,)), getkey())
    _, state, info, told, kinds = jax.tree.map(np.asarray, found)
    (energy, slope), (of_base, slope_of_base) = kinds
    # the last replica is made ready for the rung below
    beta = np.array([1.0, 0.5, 0.2, 0.2])
    value = beta * energy + (1 - beta) * of_base
    gradient = beta[:, None] * slope + (1 - beta[:, None]) * slope_of_base
    np.testing.assert_allclose(state.states.logdensity, -value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state.states.logdensity_grad, -gradient, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(info.energy, energy[:, 0], rtol=1e-4, atol=1e-5)
    # what is told is of the replicas before the swaps: the same numbers in another order
    difference = np.sort(energy - of_base)
    np.testing.assert_allclose(np.sort(told.energies), difference, rtol=1e-3, atol=1e-4)
    ratio = (BETAS[:-1] - BETAS[1:]) * -np.diff(told.energies)
    np.testing.assert_allclose(told.swaps, np.exp(np.minimum(ratio, 0)), rtol=1e-4)
    np.testing.assert_array_equal(told.acceptance[:, -1], 1.0)
    assert len(np.unique(state.leg, axis=0)) > 1


def exact(num):
    return MEANS + np.asarray(points(num, (4, 2))) / np.sqrt(PRECISIONS)[:, None]


def assert_exact(replicas):
    assert_mean(replicas, MEANS)
    assert_mean((replicas - MEANS) ** 2, np.broadcast_to(1 / PRECISIONS[:, None], (4, 2)))


KINDS = {
    "mala": ladder(),
    "sizes": ladder(step_sizes=[0.3, 0.5, 1.0, 7.0]),
    "scaled": ladder(MALA(0.3), scale_step=True),
    "jumps": ladder(Cycle((MALA(0.4), Independence(BASE)))),
}


@pytest.mark.medium
@pytest.mark.parametrize(
    "name", [n if n == "mala" else pytest.param(n, marks=pytest.mark.slow) for n in KINDS]
)
def test_replicas_stay_distributed_as_their_rungs_are(name, getkey):
    start = exact(10_000).astype(np.float32)
    moved, info, rates = run_replicas(ENERGY, KINDS[name], start, num_steps=7, key=getkey())
    moved = np.asarray(moved)
    assert_exact(moved)
    assert np.all(rates.mean(0) > 0.3)
    # an exact draw at each step, from where nothing is left of the start
    last = (moved[:, -1] - MEANS[-1]) * (start[:, -1] - MEANS[-1])
    assert_mean(last, [0.0, 0.0])
    np.testing.assert_allclose(info.energy, jax.vmap(ENERGY)(moved[:, 0]), rtol=1e-3, atol=1e-4)


@pytest.mark.medium
def test_far_modes_have_their_weights(getkey):
    modes = GaussianMixture(jnp.array([[-9.0], [9.0]]), 0.5, jnp.array([0.3, 0.7]))
    temperatures = np.array([1.0, 3.0, 9.0, 40.0, np.inf])
    sampler = ReplicaExchange(MALA(0.3), temperatures, True, Gaussian(jnp.zeros(1), 60.0))
    options = {"num_warmup": 200, "num_samples": 200, "save": Moments()}
    got = sample(modes, sampler, jnp.full((200, 1), -9.0), key=getkey(), **options)
    assert_mean((got.values.mean[:, 0] + 9) / 18, 0.7)
    assert float(jnp.mean(got.state.round_trips)) > 3


@pytest.mark.medium
def test_a_base_within_a_box_makes_no_numbers_that_are_none(getkey):
    # the lowest replica may go where the base has no density, and a box is infinite outside
    box = Uniform(jnp.full(2, -2.0), jnp.full(2, 2.0))
    for energy in (Gaussian(jnp.zeros(2), 4.0), Box(DoubleWell((2,)), -1.0, 3.0)):
        sampler = ReplicaExchange(MALA(1.0), TEMPERATURES, base=box)
        with jax.debug_nans(True):
            got, info, rates = run_replicas(
                energy, sampler, jnp.full((64, 4, 2), 0.5), num_steps=40, key=getkey()
            )
        assert np.all(np.isfinite(got))
        assert np.all(np.abs(got[:, 1:]) <= 2)
        assert np.all(np.isfinite(info.energy))
        assert np.all((rates >= 0) & (rates <= 1))


@pytest.mark.medium
def test_float32_positions_and_bases_in_float64_mode():
    for strict in ("standard", "strict"):
        with jax.enable_x64(True), jax.numpy_dtype_promotion(strict):
            base = Gaussian(np.zeros(2), np.full(2, 3.0))
            sampler = ReplicaExchange(MALA(0.1), TEMPERATURES, base=base)
            x = jax.ShapeDtypeStruct((3, 4, 2), np.float32)
            go = functools.partial(run_replicas, ENERGY, sampler, num_steps=2)
            moved = jax.eval_shape(lambda x, key, go=go: go(x, key=key), x, jax.random.key(0))
            assert moved[0].dtype == np.float32


class Slide(AbstractSampler[None]):
    """Goes down the slope by a step size, without noise."""

    step_size: jax.Array = eqx.field(converter=jnp.asarray)

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        value, slope = jax.value_and_grad(energy)(x)
        return x - self.step_size * slope, None, StepInfo(value, None, 1.0, value > jnp.inf)


@pytest.mark.parametrize("base", [None, BASE])
def test_each_rung_has_its_own_step_size(base, getkey):
    sizes = np.array([0.01, 0.02, 0.05, 0.1], np.float32)
    temperatures = TEMPERATURES if base is not None else np.array([1.0, 2.0, 5.0, 9.0])
    sampler = ReplicaExchange(Slide(1.0), temperatures, base=base, step_sizes=sizes)
    start = np.array([[3.0, 0.0], [5.0, 1.0], [7.0, 2.0], [9.0, 3.0]], np.float32)
    moved, _, _ = run_replicas(ENERGY, sampler, start[None], num_steps=1, key=getkey())
    slopes = jax.vmap(jax.grad(ENERGY))(start) / temperatures[:, None]
    if base is not None:
        slopes += (1 - 1 / TEMPERATURES[:, None]) * jax.vmap(jax.grad(BASE))(start)
    want = start - sizes[:, None] * slopes
    order = lambda x: x[np.argsort(x[:, 1])]  # noqa: E731
    rest = slice(None, None if base is None else -1)
    # swaps change the order, and the last one is drawn from the base
    for one in np.asarray(want)[rest]:
        assert np.min(np.abs(order(np.asarray(moved[0])) - one).sum(1)) < 1e-4


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"temperatures": [1.0, 2.0]}, "temperatures=.*from 1 to infinity"),
        ({"temperatures": [2.0, np.inf]}, "temperatures=.*from 1 to infinity"),
        ({"temperatures": [1.0, 3.0, 2.0, np.inf]}, "temperatures=.*rising"),
        ({"temperatures": [1.0, np.inf], "base": None}, "temperatures=.*needs a base"),
        ({"base": DoubleWell((2,))}, "base=DoubleWell: .*sample"),
        ({"sampler": Langevin(0.1, temperature=0.5)}, "effective_temperature=.*temperature 1"),
        ({"sampler": Reflected(MALA(0.1), (-1.0, 1.0))}, "sampler=Reflected: .*Box"),
        ({"sampler": DMALA(0.1)}, "base=Gaussian: DMALA moves zeros and ones"),
        ({"base": BITS}, "sampler=MALA: samples of Bernoulli are discrete"),
        ({"base": BITS, "sampler": DMALA(0.1, categorical=True)}, "categorical=True: the base is"),
        ({"base": BITS, "sampler": BlockGibbs()}, "sampler=BlockGibbs: .*no blocks"),
        ({"step_sizes": [0.1, 0.2]}, r"step_sizes\.shape=.*each temperature"),
        ({"step_sizes": [0.1, 0.2, 0.0, 1.0]}, "step_sizes=.*above 0"),
        ({"step_sizes": np.ones(4), "scale_step": True}, "scale_step=True.*either"),
        ({"step_sizes": np.ones(4), "sampler": Independence(BASE)}, "step_sizes=Independence"),
    ],
)
def test_a_ladder_with_a_base_is_checked(options, named):
    usual = {"sampler": MALA(0.1), "temperatures": TEMPERATURES, "base": BASE}
    with pytest.raises(ValueError, match=named):
        ReplicaExchange(**usual | options)


def test_what_a_ladder_with_a_base_declares():
    assert ladder().is_invariant
    assert not ladder().is_equivariant
    assert not ladder().is_restartable
    assert ReplicaExchange(MALA(0.1), [1.0, 2.0]).is_equivariant
    np.testing.assert_array_equal(ladder().effective_temperature, 1.0)


@pytest.mark.medium
def test_ladders_of_bits_end_at_independent_bits(getkey):
    energy, base = Ising((2, 3), 0.4, 0.3), Bernoulli(jnp.linspace(-0.5, 0.5, 6).reshape(2, 3))
    bits = ReplicaExchange(DMALA(0.4), TEMPERATURES, base=base)
    replicas = jnp.zeros((500, 4, 2, 3))
    replicas, _, _ = run_replicas(energy, bits, replicas, num_steps=200, key=getkey())
    found = log_z_by_tempering(energy, bits, replicas, num_steps=100, key=getkey())
    exact = log_z_by_enumeration(energy)
    assert abs(found.log_z - exact) < 4 * found.standard_error + 1e-3
    assert found.standard_error < 0.02
    every = ((np.arange(64)[:, None] >> np.arange(6)) & 1).reshape(-1, 2, 3)
    weights = jax.nn.softmax(-jax.vmap(energy)(jnp.asarray(every, float)))
    assert_mean(found.x[:, 0], np.tensordot(weights, every, 1))
