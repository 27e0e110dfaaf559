"""Samplers of bits and categories on composed energies, against sums over all states."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from discrete import all_bits, all_one_hot, probabilities

import ebmx
from ebmx.energies import (
    JEM,
    MLP,
    Bernoulli,
    BernoulliRBM,
    Clamped,
    Conditional,
    Fixed,
    Function,
    Ising,
    Marginal,
    Normalised,
    Potts,
)
from ebmx.samplers import (
    DMALA,
    DULA,
    BlockGibbs,
    Gibbs,
    GibbsWithGradients,
    ReplicaExchange,
    run,
    sample,
)

NUM, BITS = 4_000, 4
KEY = jax.random.key(0)


def steep(network):
    """A network whose energies differ by several nats, which a fresh one's do not."""
    return eqx.tree_at(lambda net: net.layers[0].weight, network, replace_fn=lambda w: 4 * w)


FEATURES = steep(MLP((BITS,), (8,), out_size=4, key=KEY))
CLASSES = JEM(FEATURES)
LABELLED = Conditional(FEATURES, num_labels=3, key=KEY)
MACHINE = BernoulliRBM(np.random.default_rng(0).normal(size=(7, 3)), np.zeros(7), np.ones(3))
FIXED = np.array([1, 0, 0, 1, 0, 0, 1], bool)
EXAMPLES = jnp.asarray([[1.0, 0, 0, 1, 0, 0, 0], [0.0, 0, 0, 1, 0, 0, 1]])
INPAINTED = Clamped(MACHINE, FIXED)
CHAIN = Potts((4,), 3, 0.7, np.array([0.3, 0.0, -0.2]), periodic=False)
ONE_SITE = np.array([[True], [False], [False], [False]])
SITES = jax.nn.one_hot(jnp.array([2, 0, 0, 0]), 3)
COLOURED = Clamped(CHAIN, ONE_SITE, categorical=True)
BITS_OF = all_bits(BITS)


@eqx.filter_jit
def moved(energy, sampler, x, num_steps, key):
    return run(energy, sampler, x, num_steps=num_steps, key=key)[0]


def assert_frequencies(x, states, energy, num_errors=4.5):
    """Check the number of independent chains in each state."""
    places = 3.0 ** np.arange(states[0].size)
    codes, known = (np.reshape(a, (len(a), -1)) @ places for a in (np.asarray(x), states))
    counts = np.sum(codes[:, None] == known[None], 0)
    assert counts.sum() == len(x)
    p = probabilities(ebmx.energy(energy, states))
    error = np.sqrt(p * (1 - p) / len(x)) + 1 / len(x)
    assert np.all(np.abs(counts / len(x) - p) < num_errors * error)


SAMPLERS = {
    "sweep": (Gibbs(sweep=True), 12),
    "gwg": (GibbsWithGradients(), 80),
    "dmala": (DMALA(0.6), 60),
}
ENERGIES = {
    "label": LABELLED.at(1),
    "classes": CLASSES / 0.5,
    "sum": CLASSES.at(2) + Bernoulli(jnp.linspace(-1, 1, BITS)) - Fixed(CLASSES),
    "marginal": Normalised(Marginal(LABELLED), 3.0),
    "inpainted": INPAINTED.at(EXAMPLES[0]),
    "constant": Function(lambda x: CLASSES(x) + 1e4, (BITS,)),
    "flat": Function(lambda x: 1e-3 * x[0], (BITS,)),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("kind", ENERGIES)
def test_chains_from_one_state_end_in_each_as_often_as_they_must(kind, name, getkey):
    sampler, num_steps = SAMPLERS[name]
    x = moved(ENERGIES[kind], sampler, jnp.zeros((NUM, BITS)), jnp.asarray(num_steps), getkey())
    assert_frequencies(x, BITS_OF, ENERGIES[kind])


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_bit_is_drawn_with_its_probability_after_even_and_odd_numbers_of_steps(name, getkey):
    energy, (sampler, _) = Bernoulli(jnp.array([0.4])), SAMPLERS[name]
    for num_steps in (20, 21):
        x = moved(energy, sampler, jnp.zeros((NUM, 1)), jnp.asarray(num_steps), getkey())
        assert_frequencies(x, all_bits(1), energy)


@pytest.mark.medium
def test_each_chain_has_the_label_or_the_fixed_bits_that_it_was_given(getkey):
    labels, num = jnp.arange(NUM) % 3, jnp.asarray(60)
    x = moved(LABELLED.at_each(labels), DMALA(0.6), jnp.zeros((NUM, BITS)), num, getkey())
    for label in range(3):
        assert_frequencies(x[label::3], BITS_OF, LABELLED.at(label))
    fixed = INPAINTED.at_each(EXAMPLES[jnp.arange(NUM) % 2])
    for sampler in (BlockGibbs(), DMALA(0.6)):
        x = moved(fixed, sampler, jnp.zeros((NUM, BITS)), num, getkey())
        for i in range(2):
            assert_frequencies(x[i::2], BITS_OF, INPAINTED.at(EXAMPLES[i]))


def test_constants_do_not_hide_the_blocks_of_a_machine(getkey):
    machine = BernoulliRBM(MACHINE.weight[:BITS], np.zeros(BITS), MACHINE.hidden_bias)
    for energy in (Fixed(machine), Normalised(machine, 2.0)):
        x = moved(energy, BlockGibbs(), jnp.zeros((NUM, BITS)), jnp.asarray(20), getkey())
        assert_frequencies(x, BITS_OF, energy)


@pytest.mark.medium
@pytest.mark.parametrize(
    "sampler",
    [
        Gibbs(categorical=True, sweep=True),
        GibbsWithGradients(categorical=True),
        DMALA(1.0, categorical=True),
    ],
)
def test_some_sites_of_categories_may_be_fixed(sampler, getkey):
    energy, states = COLOURED.at(SITES), all_one_hot(3, 3)
    start = jnp.broadcast_to(COLOURED.free(SITES), (NUM, 3, 3))
    x = moved(energy, sampler, start, jnp.asarray(60), getkey())
    assert_frequencies(x, states, energy)
    whole = COLOURED.fill(x, SITES)
    np.testing.assert_array_equal(whole[:, 0], np.broadcast_to(SITES[0], (NUM, 3)))
    np.testing.assert_array_equal(COLOURED.free(whole), x)
    np.testing.assert_allclose(energy(x[0]), CHAIN(whole[0]), rtol=1e-6)


@pytest.mark.medium
@pytest.mark.parametrize("sampler", [DMALA(0.6), GibbsWithGradients()])
def test_replicas_of_a_flat_and_of_a_clamped_energy_are_exact(sampler, getkey):
    """Chains of a flat energy that changed a site in each step would have one parity."""
    ladder = ReplicaExchange(sampler, np.array([1.0, 3.0]))
    for kind in ("flat", "inpainted"):
        start = jnp.zeros((NUM, BITS))
        drawn = sample(
            ENERGIES[kind], ladder, start, num_samples=1, num_warmup=79, thin=1, key=getkey()
        )
        assert_frequencies(drawn.x, BITS_OF, ENERGIES[kind])


SPINS = Ising((2, 2), 0.3)
NOT_CATEGORIES = (Gibbs(), GibbsWithGradients(), DMALA(0.3), DULA(0.3))
CATEGORIES = (Gibbs(True), GibbsWithGradients(True), DMALA(0.3, True), DULA(0.3, 1.0, True))


@pytest.mark.parametrize("which", range(4))
def test_samplers_of_the_other_kind_of_examples_are_refused(which):
    bits, categories = NOT_CATEGORIES[which], CATEGORIES[which]
    wrong = [
        (categories, SPINS, r"categorical=True: examples of Ising are zeros and ones"),
        (categories, 0.5 * Fixed(SPINS), r"examples of Ising .*categorical=False"),
        (bits, CHAIN / 2.0, r"categorical=False: examples of Potts are one-hot along"),
        (bits, COLOURED.at(SITES), r"examples of Conditioned are one-hot .*categorical=True"),
        (categories, INPAINTED.at(EXAMPLES[0]), r"examples of Conditioned are zeros and ones"),
    ]
    for sampler, energy, match in wrong:
        with pytest.raises(ValueError, match=match):
            sampler.init(energy, jnp.zeros(energy.shape), key=KEY)


@pytest.mark.medium
def test_parts_of_categories_are_refused():
    for energy, mask, options, match in (
        (CHAIN, ONE_SITE, {}, "categorical=False: examples of Potts are one-hot"),
        (MACHINE, FIXED, {"categorical": True}, r"whole sites: give a last axis of size 1"),
        (CHAIN, np.eye(4, 3) > 0, {"categorical": True}, r"mask\.shape=\(4, 3\): .*whole sites"),
        (SPINS, np.array([[True], [False]]), {"categorical": True}, "examples of Ising are zeros"),
    ):
        with pytest.raises(ValueError, match=match):
            Clamped(energy, mask, **options)
