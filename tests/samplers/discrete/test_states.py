"""States, starts and declared properties of the discrete samplers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import DISCRETE, points

import ebmx
from ebmx.energies import Bernoulli, Gaussian, Ising
from ebmx.samplers import (
    DMALA,
    DULA,
    MALA,
    BlockGibbs,
    Cycle,
    Gibbs,
    GibbsWithGradients,
    Independence,
    Mixture,
    Reflected,
    ReplicaExchange,
    run,
    run_replicas,
    warmup,
)

every = pytest.mark.parametrize("name", DISCRETE)
HALF = jnp.float32(0.5)


def near(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@every
def test_what_a_state_caches_follows_the_energy(name, getkey):
    energy, sampler, x = DISCRETE[name]
    if name in ("block-machine",):
        return
    state = sampler.init(energy, x, key=getkey())
    other, wanted = energy / 2.0, sampler.init(energy / 2.0, x, key=getkey())
    near(sampler.retemper(other, x, state, HALF, key=getkey()), wanted)
    near(sampler.refresh(other, x, state, key=getkey()), wanted)
    # and after a step it is that of where the chain is
    x, state, info = sampler.step(energy, x, state, key=getkey())
    near(state, sampler.init(energy, x, key=getkey()))
    if sampler.reports_new_energy:
        np.testing.assert_allclose(info.energy, energy(x), rtol=1e-5)


@every
def test_chains_from_elsewhere_are_those_from_the_nearest_example(name, getkey):
    energy, sampler, x = DISCRETE[name]
    if isinstance(sampler, BlockGibbs):
        return
    key, away = getkey(), 0.3 * np.asarray(points(1, x.shape, seed=2)[0])
    off = jnp.clip(x + np.clip(away, -0.45, 0.45), -1.0, 2.0)
    one, info = run(energy, sampler, x[None], num_steps=4, key=key)
    other, same = run(energy, sampler, off[None], num_steps=4, key=key)
    np.testing.assert_array_equal(one, other)
    near(info, same)


@every
def test_properties_are_those_of_discrete_samplers(name):
    sampler = DISCRETE[name][1]
    assert sampler.is_discrete
    assert not sampler.is_equivariant
    assert sampler.is_restartable
    assert sampler.bounds == (0.0, 1.0)
    adjusted = not isinstance(sampler, DULA)
    assert sampler.is_invariant == sampler.reports_new_energy == adjusted
    assert sampler.reports_acceptance == isinstance(sampler, DMALA | GibbsWithGradients)
    assert Cycle((sampler, sampler)).is_discrete
    assert ReplicaExchange(sampler, np.array([1.0, 2.0])).is_discrete
    assert not Mixture((sampler, MALA(0.1))).is_discrete
    with pytest.raises(ValueError, match="sampler"):
        Reflected(sampler, (0.0, 1.0))


def test_jumps_are_discrete_if_their_proposals_are():
    assert Independence(Bernoulli(np.zeros(2))).is_discrete
    assert not Independence(Gaussian(np.zeros(2))).is_discrete


@pytest.mark.medium
@pytest.mark.parametrize("sampler", [DMALA(0.5), GibbsWithGradients(), Gibbs(), BlockGibbs()])
def test_replicas_that_start_in_equilibrium_stay_there(sampler, getkey):
    """Wrong energies after a swap would carry replicas between the temperatures."""
    energy, temperatures, num = Ising((2, 2), 0.3, 0.2), np.array([1.0, 2.5]), 20_000
    bits = np.array(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij")).reshape(4, -1).T
    states = bits.reshape(16, 2, 2).astype(np.float32)
    energies = np.asarray(ebmx.energy(energy, states), np.float64)
    p = np.exp(-energies[None] / temperatures[:, None])
    p /= p.sum(1, keepdims=True)
    rng = np.random.default_rng(0)
    start = np.stack([states[rng.choice(16, num, p=row)] for row in p], 1)
    ladder = ReplicaExchange(sampler, temperatures)
    x, *_ = run_replicas(energy, ladder, start, num_steps=4, key=getkey())
    codes = np.asarray(x).reshape(num, 2, 4).astype(int) @ [8, 4, 2, 1]
    for rung in range(2):
        counts = np.bincount(codes[:, rung], minlength=16) / num
        assert np.all(np.abs(counts - p[rung]) < 4.5 * np.sqrt(p[rung] * (1 - p[rung]) / num))


@pytest.mark.medium
def test_the_warm_up_finds_the_step_size_of_an_acceptance(getkey):
    energy = Ising((6, 6), 0.35)
    start = (np.asarray(points(64, (6, 6))) > 0).astype(np.float32)
    tuned, x = warmup(energy, DMALA(0.05), start, num_steps=300, key=getkey())
    _, info = run(energy, tuned, x, num_steps=200, key=getkey())
    assert abs(float(jnp.mean(info.acceptance)) - 0.574) < 0.03
    each, _ = warmup(energy, DMALA(0.05), start, num_steps=300, per_chain=True, key=getkey())
    _, info = run(energy, each, x, num_steps=200, key=getkey())
    assert abs(float(jnp.mean(info.acceptance)) - 0.574) < 0.05


@pytest.mark.parametrize("coupling", [0.05, 0.0])
@pytest.mark.parametrize("per_chain", [False, True])
def test_where_no_step_is_too_long_the_warm_up_finds_the_longest(coupling, per_chain, getkey):
    """Of a flat energy, too, which is a proper density of bits: each step is a sample of it."""
    start = np.zeros((64, 3, 3), np.float32)
    weak, options = Ising((3, 3), coupling, 0.1), {"per_chain": per_chain, "num_steps": 100}
    tuned, _ = warmup(weak, DMALA(0.1), start, key=getkey(), **options)
    sizes = tuned.sampler.step_size if per_chain else tuned.step_size
    assert np.all((np.asarray(sizes) > (20 if per_chain else 99)) & (np.asarray(sizes) <= 100.001))
    _, info = run(weak, tuned, start, num_steps=50, key=getkey())
    assert 0.6 < float(jnp.mean(info.acceptance)) <= 1.0
    from_infinity, longest = (
        run(weak, DMALA(size), start, num_steps=1, key=getkey())[0] for size in (1e30, 100.0)
    )
    assert abs(float(jnp.mean(from_infinity) - jnp.mean(longest))) < 4 * np.sqrt(0.5 / 576)


@pytest.mark.medium
def test_a_chain_leaves_where_the_energy_is_not_a_number_and_does_not_go_there(getkey):
    def energy(x):
        value = jnp.sum(x)
        return jnp.where(value > 2.5, jnp.nan, value)

    start = np.ones((500, 3), np.float32)
    for sampler in (Gibbs(sweep=True), GibbsWithGradients(), DMALA(1.0)):
        x, info = run(energy, sampler, start, num_steps=40, key=getkey())
        assert np.all(np.sum(x, 1) < 2.5)
        inside = np.zeros_like(start)
        x, info = run(energy, sampler, inside, num_steps=40, key=getkey())
        assert np.all(np.sum(x, 1) < 2.5)
        assert not np.any(info.divergent)


@pytest.mark.medium
def test_numbers_and_shapes_are_checked(getkey):
    for make, match in (
        (lambda: DMALA(0.0), "step_size=0"),
        (lambda: DULA(-1.0), "step_size=-1"),
        (lambda: DULA(0.1, 0.0), "temperature=0"),
    ):
        with pytest.raises(ValueError, match=match):
            make()
    start = np.ones((2, 3, 1), np.float32)
    for sampler in (Gibbs(True), GibbsWithGradients(True), DMALA(0.1, True), DULA(0.1, 1.0, True)):
        with pytest.raises(ValueError, match=r"x\.shape=\(3, 1\): .*at least two categories"):
            run(lambda x: jnp.sum(x), sampler, start, num_steps=1, key=getkey())
    assert float(DULA(0.1, 2.0).effective_temperature) == 2.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sampler", [DMALA(1.0), GibbsWithGradients()])
def test_a_state_without_a_finite_energy_is_never_entered(sampler, bad, getkey):
    def energy(x):
        return jnp.where(x[0] > 0.5, bad, 0.0) + x[1]

    x, info = run(energy, sampler, jnp.zeros((64, 3)), num_steps=20, key=getkey())
    np.testing.assert_array_equal(x[:, 0], 0)
    assert 0 < np.mean(x[:, 1:]) < 1
    assert np.all((info.acceptance >= 0) & (info.acceptance <= 1))
    assert np.mean(info.acceptance) < 0.9
