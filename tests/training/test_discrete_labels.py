"""Labelled bits: conditional energies and classifiers, trained with exact probabilities known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from discrete import all_bits, probabilities
from steps import step

import ebmx
from ebmx.energies import JEM, MLP, Conditional
from ebmx.samplers import DMALA, Gibbs
from ebmx.training import (
    CD,
    PCD,
    BernoulliNoise,
    DataOnly,
    DiscreteNeighbours,
    Examples,
    Objective,
    PackedBits,
    StepSizeAdaptation,
    Trainer,
    contrastive_loss,
    cross_entropy_loss,
    pseudo_likelihood_loss,
)

KEY, BITS, LABELS = jax.random.key(0), 4, 3
STATES = all_bits(BITS)
JOINT = np.random.default_rng(0).dirichlet(np.full(LABELS * 16, 0.7)).reshape(LABELS, 16)
FEATURES = MLP((BITS,), (16,), out_size=8, key=KEY)
CONDITIONAL = Conditional(FEATURES, num_labels=LABELS, key=KEY)
PACKED = {"noise": BernoulliNoise(), "storage": PackedBits((BITS,))}


def trained(energy, negatives, loss, num_steps, **options):
    rng = np.random.default_rng(1)
    index = rng.choice(JOINT.size, 20_000, p=JOINT.ravel())
    trainer = Trainer(
        optax.adam(optax.linear_schedule(0.02, 0.0, num_steps)), negatives, loss, **options
    )
    state = trainer.init(energy, key=KEY)
    for number in range(num_steps):
        rows = index[rng.choice(len(index), 512)]
        batch = Examples(jnp.asarray(STATES[rows % 16]), jnp.asarray(rows // 16, jnp.int32))
        state, metrics = step(trainer, state, batch, jax.random.fold_in(KEY, number))
    assert int(state.skipped) == 0
    return state, metrics


def distance(one, other):
    """The total variation."""
    return 0.5 * np.sum(np.abs(one - other))


WAYS = {
    "packed": (PCD(DMALA(0.5), 5, 1536, 0.02, num_labels=LABELS, **PACKED), contrastive_loss),
    "sweeps": (CD(Gibbs(sweep=True), 3), contrastive_loss),
    "without chains": (DiscreteNeighbours(BITS), pseudo_likelihood_loss),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", WAYS)
def test_the_probabilities_under_each_label_are_learned(name):
    state, _ = trained(CONDITIONAL, *WAYS[name], 400)
    for label, row in enumerate(JOINT):
        found = probabilities(ebmx.energy(state.energy.at(label), STATES))
        assert distance(found, row / row.sum()) < 0.12
        before = probabilities(ebmx.energy(CONDITIONAL.at(label), STATES))
        assert distance(before, row / row.sum()) > 0.25


@pytest.mark.medium
def test_a_classifier_learns_the_joint_probabilities_of_bits_and_labels():
    classifier = JEM(MLP((BITS,), (16,), out_size=LABELS, key=KEY))
    objective = Objective(DataOnly(), cross_entropy_loss)
    chains = PCD(DMALA(0.5), 5, 1024, 0.02, **PACKED)
    state, _ = trained(classifier, chains, contrastive_loss, 400, objectives=(objective,))
    logits = np.asarray(jax.vmap(state.energy.logits)(STATES), np.float64).T
    joint = np.exp(logits - logits.max())
    assert distance(joint / joint.sum(), JOINT) < 0.12


@pytest.mark.medium
def test_steps_on_a_nearly_linear_energy_stop_at_the_longest():
    """Where longer steps would be the same: nothing is at a limit, and the watchdog is silent."""
    noise = BernoulliNoise()
    chains = PCD(DMALA(5.0), 1, 512, 0.0, noise, adaptation=StepSizeAdaptation(gain=1.0))
    trainer = Trainer(optax.sgd(0.0), chains, contrastive_loss)
    state = trainer.init(MLP((BITS,), (2,), key=KEY), key=KEY)
    for number in range(30):
        batch = STATES[np.arange(512) % 16]
        state, metrics = step(trainer, state, batch, jax.random.fold_in(KEY, number))
    sizes = 5.0 * np.exp(np.asarray(state.negatives_state.log_scales))
    np.testing.assert_allclose(sizes.max(), 100.0, rtol=1e-4)
    assert np.median(sizes) > 50
    assert float(metrics["step_sizes_at_limit"]) == 0
