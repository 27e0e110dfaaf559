"""Energies of discrete examples, trained by chains of their samplers."""

import equinox as eqx
import jax
import numpy as np
import optax
import pytest
from discrete import all_bits, all_one_hot, probabilities
from steps import step

import ebmx
from ebmx.energies import MLP, Categorical, Ising, Potts, trainable
from ebmx.samplers import (
    DMALA,
    DULA,
    Annealed,
    BlockGibbs,
    Cycle,
    Gibbs,
    GibbsWithGradients,
    ReplicaExchange,
)
from ebmx.training import (
    CD,
    PCD,
    BFloat16,
    ShortRun,
    StepSizeAdaptation,
    TemperedPCD,
    Trainer,
    UInt8,
    UniformNoise,
)

KEY, NOISE = jax.random.key(0), UniformNoise(0.0, 1.0)
RNG = np.random.default_rng(0)


def drawn(energy, states, num):
    p = probabilities(ebmx.energy(energy, states))
    return states[RNG.choice(len(states), num, p=p)]


def trained(energy, negatives, x, num_steps, rate):
    trainer = Trainer(optax.sgd(rate), negatives)
    state = trainer.init(energy, key=KEY)
    path = []
    for number in range(num_steps):
        batch = x[RNG.choice(len(x), 256)]
        state, metrics = step(trainer, state, batch, jax.random.fold_in(KEY, number))
        path.append(state.energy)
    assert int(state.skipped) == 0
    assert all(np.isfinite(value) for value in jax.tree.leaves(metrics))
    return path, metrics


NEGATIVES = {
    "pcd-blocks": PCD(BlockGibbs(), 1, 1024, 0.0, NOISE),
    "pcd-dmala": PCD(DMALA(0.5), 8, 1024, 0.02, NOISE, storage=BFloat16()),
    "pcd-bytes": PCD(GibbsWithGradients(), 12, 1024, 0.0, NOISE, storage=UInt8(0.0, 1.0)),
    "pcd-adapted": PCD(DMALA(0.05), 8, 1024, 0.02, NOISE, adaptation=StepSizeAdaptation()),
    "cd": CD(Gibbs(sweep=True), 5),
    "short-run": ShortRun(Cycle((DMALA(0.5), Gibbs())), 20, NOISE),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", NEGATIVES)
def test_the_coupling_of_a_lattice_is_learned(name):
    """The estimate of maximum likelihood, where moments of data and of the model agree."""
    states = all_bits(3, 4) if name not in ("pcd-blocks",) else all_bits(2, 4)
    sides = states.shape[1:]
    x = drawn(Ising(sides, 0.25, -0.1), states, 20_000)
    start = Ising(sides, 0.0, 0.0)
    path, metrics = trained(start, NEGATIVES[name], x, 250, 0.01)
    coupling = np.mean([one.coupling for one in path[-100:]])
    field = np.mean([one.field for one in path[-100:]])
    # of 20,000 examples the standard errors are 0.003 at most; the rest is noise of the chains
    assert abs(coupling - 0.25) < 0.02
    assert abs(field + 0.1) < 0.02
    assert float(metrics.get("saturated", 0.0)) == 0.0


@pytest.mark.medium
def test_categories_are_learned_by_tempered_chains():
    states = all_one_hot(2, 2, 3)
    field = np.array([0.4, 0.0, -0.4])
    x = drawn(Potts((2, 2), 3, 0.4, field), states, 20_000)
    ladder = ReplicaExchange(DMALA(0.5, categorical=True), np.array([1.0, 2.0]))
    negatives = TemperedPCD(ladder, 8, 512, 0.0, NOISE)
    path, _ = trained(Potts((2, 2), 3, 0.0, np.zeros(3)), negatives, x, 250, 0.02)
    found = np.mean([one.field - one.field.mean() for one in path[-100:]], 0)
    assert abs(np.mean([one.coupling for one in path[-100:]]) - 0.4) < 0.03
    np.testing.assert_allclose(found, field, atol=0.05)


@pytest.mark.medium
def test_a_network_learns_a_density_of_bits():
    """Its probabilities of all states, by which a wrong sampler would show."""
    states = all_bits(4)
    wanted = probabilities(2.0 * RNG.normal(size=16))
    x = states[RNG.choice(16, 20_000, p=wanted)]
    network = MLP((4,), (32,), key=KEY)
    rate = optax.linear_schedule(0.02, 0.0, 600)
    trainer = Trainer(optax.adam(rate), PCD(DMALA(0.5), 5, 1024, 0.02, NOISE))
    state = trainer.init(network, key=KEY)
    for number in range(600):
        batch = x[RNG.choice(len(x), 512)]
        state, _ = step(trainer, state, batch, jax.random.fold_in(KEY, number))
    found = probabilities(ebmx.energy(state.energy, states))
    assert 0.5 * np.sum(np.abs(found - wanted)) < 0.06
    before = probabilities(ebmx.energy(network, states))
    assert 0.5 * np.sum(np.abs(before - wanted)) > 0.3


@pytest.mark.medium
def test_a_base_of_categories_learns_frequencies():
    x = all_one_hot(2, 3)[[0, 0, 0, 4, 8, 8, 1, 5]]
    negatives = PCD(DMALA(0.8, categorical=True), 2, 1024, 0.0, NOISE)
    start = Categorical(np.zeros((2, 3)))
    assert any(jax.tree.leaves(trainable(start)))
    path, _ = trained(start, negatives, x, 300, 0.5)
    mean = np.mean([one.mean for one in path[-100:]], 0)
    np.testing.assert_allclose(mean, x.mean(0), atol=0.03)


@pytest.mark.medium
def test_a_schedule_of_temperatures_finds_the_ground_state(getkey):
    schedule = optax.linear_schedule(4.0, 0.1, 150)
    energy = Ising((6, 6), 0.5, 0.02)
    start = (RNG.uniform(size=(64, 6, 6)) > 0.5).astype(np.float32)
    annealed = Annealed(DULA(0.2), temperature=schedule)
    assert annealed.is_discrete
    run = eqx.filter_jit(lambda x, key: ebmx.run(energy, annealed, x, num_steps=200, key=key))
    x, _ = run(start, getkey())
    lowest = float(energy(np.ones((6, 6), np.float32)))
    reached = np.mean(np.asarray(ebmx.energy(energy, x)) < lowest + 2 * 0.02 * 36 + 1e-3)
    assert reached > 0.4
