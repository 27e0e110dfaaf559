"""Block Gibbs sampling against transition matrices, which are sums over all states."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from discrete import all_bits, all_one_hot, assert_transitions, probabilities, visit

import ebmx
from ebmx.energies import MLP, BernoulliRBM, CategoricalRBM, Clamped, Gaussian, Ising, Potts
from ebmx.samplers import BlockGibbs, ReplicaExchange, run, sample

RNG = np.random.default_rng(0)
WEIGHT = np.array([[1.2, -0.7], [-0.5, 0.9], [0.4, 1.1]])
VISIBLE_BIAS, HIDDEN_BIAS = np.array([-1.0, 0.8, -0.6]), np.array([1.4, -1.1])
MACHINE = BernoulliRBM(WEIGHT, VISIBLE_BIAS, HIDDEN_BIAS)
CUBE, BIASES = RNG.normal(size=(2, 3, 2)), RNG.normal(size=(2, 3))
CATEGORIES = CategoricalRBM(CUBE, BIASES, HIDDEN_BIAS)
ISING = Ising((2, 2), 0.3, np.array([[0.2, -0.4], [0.5, 0.0]]))
OPEN = Ising((3,), -0.8, 0.3, periodic=False)
POTTS = Potts((2,), 3, 0.4, np.array([0.3, 0.0, -0.5]))
NUM = 4_000


def bernoulli(states, logits):
    """The probability of each row of `states` given each row of `logits`."""
    p = 1 / (1 + np.exp(-logits[:, None]))
    return np.prod(np.where(states[None] == 1, p, 1 - p), axis=-1)


def by_hidden_units(states, weight, bias, down):
    hidden = np.array(list(itertools.product([0.0, 1.0], repeat=2)))
    return bernoulli(hidden, states.reshape(len(states), -1) @ weight + bias) @ down(hidden)


def of_machine():
    states = all_bits(3)
    down = lambda hidden: bernoulli(states, hidden @ WEIGHT.T + VISIBLE_BIAS)  # noqa: E731
    return by_hidden_units(states, WEIGHT, HIDDEN_BIAS, down)


def of_categories():
    states = all_one_hot(2, 3)

    def down(hidden):
        p = np.exp(BIASES + np.einsum("vkj,hj->hvk", CUBE, hidden))
        p /= p.sum(-1, keepdims=True)
        return np.prod(np.einsum("svk,hvk->hsv", states, p), axis=-1)

    return by_hidden_units(states, CUBE.reshape(6, 2), HIDDEN_BIAS, down)


def by_visits(energy, states, sites, num_values=None):
    """Visits of the even sites and then of the odd ones; those of one colour do not matter."""
    p = probabilities(ebmx.energy(energy, states))
    return np.linalg.multi_dot([visit(states, p, site, num_values) for site in sites])


CASES = {
    "machine": (MACHINE, all_bits(3), of_machine),
    "categories": (CATEGORIES, all_one_hot(2, 3), of_categories),
    "ising": (ISING, all_bits(2, 2), lambda: by_visits(ISING, all_bits(2, 2), [0, 3, 1, 2])),
    "open": (OPEN, all_bits(3), lambda: by_visits(OPEN, all_bits(3), [0, 2, 1])),
    "weighted": (0.5 * ISING / 0.8, all_bits(2, 2), lambda: by_visits(
        ISING * 0.625, all_bits(2, 2), [3, 0, 2, 1])),
    "potts": (POTTS, all_one_hot(2, 3), lambda: by_visits(POTTS, all_one_hot(2, 3), [0, 1], 3)),
    "hot": (POTTS / 2.0, all_one_hot(2, 3), lambda: by_visits(
        POTTS / 2.0, all_one_hot(2, 3), [0, 1], 3)),
}  # fmt: skip
every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_transitions_have_the_probabilities_of_all_states(name, getkey):
    energy, states, matrix_of = CASES[name]
    start = np.repeat(states, NUM, axis=0)
    x, info = run(energy, BlockGibbs(), start, num_steps=1, key=getkey())
    assert_transitions(start, x, states, matrix_of())
    np.testing.assert_allclose(info.energy, ebmx.energy(energy, x), rtol=1e-5, atol=1e-5)
    assert info.grad_norm is None
    np.testing.assert_array_equal(info.acceptance, 1.0)
    assert not np.any(info.divergent)
    assert x.dtype == start.dtype


@every_case
def test_the_density_is_stationary_and_for_machines_in_balance(name):
    energy, states, matrix_of = CASES[name]
    p, matrix = probabilities(ebmx.energy(energy, states)), matrix_of()
    np.testing.assert_allclose(p @ matrix, p, rtol=1e-5)
    flow = p[:, None] * matrix
    assert np.allclose(flow, flow.T, rtol=1e-5) == (name in ("machine", "categories"))


@pytest.mark.medium
def test_a_ladder_of_temperatures_samples_each_of_them(getkey):
    """At the lowest temperature the model is in order, and chains from zeros do not leave it."""
    energy = Ising((4, 4), 0.6)
    ladder = ReplicaExchange(BlockGibbs(), np.array([1.0, 1.5, 3.0]))
    start = np.zeros((1000, 4, 4), np.float32)
    drawn = sample(energy, ladder, start, num_samples=1, num_warmup=100, key=getkey())
    states = all_bits(4, 4)
    energies = np.asarray(ebmx.energy(energy, states), np.float64)
    for rung, temperature in enumerate((1.0, 1.5, 3.0)):
        x = drawn.x if rung == 0 else drawn.state.upper[:, rung - 1]
        p = probabilities(energies / temperature)
        spins, wanted = np.asarray(x).mean((1, 2)), p @ states.mean((1, 2)) ** 2
        assert abs(np.mean(spins) - 0.5) < 4 * np.std(spins) / np.sqrt(1000)
        assert abs(np.mean(spins**2) - wanted) < 4 * np.std(spins**2) / np.sqrt(1000)
    assert np.all(np.mean(drawn.state.swap_rates, 0) > 0.15)


def test_units_of_an_image_are_those_of_a_vector(getkey):
    key, x = getkey(), jnp.asarray(all_bits(3), float)
    image = BernoulliRBM(WEIGHT, VISIBLE_BIAS.reshape(1, 3, 1), HIDDEN_BIAS)
    flat, _ = run(MACHINE, BlockGibbs(), x, num_steps=2, key=key)
    found, _ = run(image, BlockGibbs(), x.reshape(8, 1, 3, 1), num_steps=2, key=key)
    np.testing.assert_array_equal(found.reshape(8, 3), flat)


def test_units_of_an_image_may_be_clamped(getkey):
    image, bits = BernoulliRBM(WEIGHT, VISIBLE_BIAS.reshape(1, 3), HIDDEN_BIAS), all_bits(3)
    flat = Clamped(MACHINE, np.array([False, True, False])).at(jnp.asarray(bits[2], float))
    tied = Clamped(image, np.array([[False, True, False]])).at(jnp.asarray(bits[2:3], float))
    key, start = getkey(), jnp.zeros((4, 2))
    one, other = (run(e, BlockGibbs(), start, num_steps=3, key=key)[0] for e in (flat, tied))
    np.testing.assert_array_equal(one, other)


def test_other_energies_are_refused(getkey):
    fix = "energy=Gaussian: BlockGibbs samples a BernoulliRBM, CategoricalRBM, Ising or Potts"
    with pytest.raises(ValueError, match=fix):
        run(Gaussian(jnp.zeros(3), 1.0), BlockGibbs(), jnp.zeros((1, 3)), num_steps=1, key=getkey())
    network = MLP((3,), (2,), key=getkey())
    with pytest.raises(ValueError, match=r"energy=Product: .*give Gibbs or DMALA"):
        BlockGibbs().init(MACHINE + network, jnp.zeros(3), key=getkey())


@pytest.mark.parametrize("machine", [MACHINE, CATEGORIES])
def test_a_multiple_of_a_machine_is_refused(machine, getkey):
    x = jnp.zeros(machine.shape)
    with pytest.raises(ValueError, match=r"weight=0\.5: a multiple of the free energy"):
        BlockGibbs().step(0.5 * machine, x, None, key=getkey())
    ladder = ReplicaExchange(BlockGibbs(), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"weight=a traced number: .*give Gibbs"):
        run(machine, ladder, x[None], num_steps=2, key=getkey())


@pytest.mark.parametrize("energy", [Ising((3, 4), 1.0), Potts((4, 3), 2, 1.0)])
def test_odd_sides_have_no_checkerboard(energy, getkey):
    with pytest.raises(ValueError, match=r"shape=\(.*periodic=False, or the sampler Gibbs"):
        BlockGibbs().step(energy, jnp.zeros(energy.shape), None, key=getkey())


def test_a_new_coupling_does_not_trace_again(getkey):
    traces = []

    @eqx.filter_jit
    def swept(energy, x, key):
        traces.append(energy)
        return jax.vmap(lambda x, k: energy.gibbs_sweep(x, key=k))(x, jax.random.split(key, len(x)))

    for coupling in (0.1, 0.2, np.float64(0.3)):
        swept(Ising((2, 2), coupling), jnp.zeros((2, 2, 2)), getkey())
    assert len(traces) == 1
