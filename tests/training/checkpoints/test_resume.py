"""Training in two parts with a file between is training in one, whatever the negatives keep."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_forms import Levels, Wells
from helpers import points

from ebmx.data import batches
from ebmx.energies import Gaussian
from ebmx.samplers import MALA, Langevin
from ebmx.training import (
    PCD,
    BFloat16,
    GaussianNoise,
    Jarzynski,
    Perturbed,
    StepSizeAdaptation,
    Trainer,
    UInt8,
    contrastive_loss,
    denoising_score_matching_loss,
    fit,
    load_energy,
    save_energy,
)

BOUNDED = Langevin(0.1, bounds=(-1.0, 1.0), report_acceptance=True)
WELLS = Wells(0.3 * points(3, (2,)), jnp.array([1.0, 2.0, 0.5]))
LABELS = {"capacity": 24, "reinit_prob": 0.3, "num_labels": 3}
TUNED = StepSizeAdaptation()
# of each: the energy, the negatives, the loss, and whether batches have labels
CASES = {
    "labels": (
        WELLS,
        PCD(BOUNDED, 2, **LABELS, storage=BFloat16(), adaptation=TUNED, restart="energy"),
        contrastive_loss,
        True,
    ),
    "weighted": (
        Gaussian(jnp.zeros(2)),
        Jarzynski(
            MALA(0.1),
            2,
            12,
            num_held_out=6,
            noise=GaussianNoise(),
            resample_below=0.99,
            adaptation=TUNED,
        ),
        contrastive_loss,
        False,
    ),
    "levels": (
        Levels([0.2, 0.7], [1.0, 1.0]),
        Perturbed(jnp.array([0.2, 0.7])),
        denoising_score_matching_loss,
        False,
    ),
}


def arrays(tree):
    return jax.tree.leaves(eqx.filter(tree, eqx.is_array))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_training_in_two_parts_is_the_same_to_the_last_bit(name, getkey, tmp_path):
    energy, negatives, loss, labelled = CASES[name]
    trainer = Trainer(optax.adam(0.02), negatives, loss, data_noise=0.01)
    x = np.tanh(np.asarray(points(16, energy.shape)))
    labels = np.arange(16) % 3 if labelled else None
    stream = batches(x, 8, labels=labels, key=getkey())
    data = [next(stream) for _ in range(5)]
    init_key, key = getkey(), getkey()

    def go_on(state, data):
        return fit(trainer, state, data, num_steps=len(data), key=key, log_every=2)[0]

    whole = go_on(trainer.init(energy, key=init_key), data)
    half = go_on(trainer.init(energy, key=init_key), data[:3])
    save_energy(tmp_path / "state.eqx", half)
    found = load_energy(tmp_path / "state.eqx", trainer.init(energy, key=getkey()))
    for a, b in zip(arrays(found), arrays(half), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    end = go_on(found, data[3:])
    assert jax.tree.structure(end) == jax.tree.structure(whole)
    for a, b in zip(arrays(end), arrays(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(end.step) == 5
    assert int(end.skipped) == 0
    assert not np.array_equal(arrays(end.energy)[0], arrays(half.energy)[0])
    if name == "weighted":
        assert int(end.negatives_state.training.resamplings) > 0
        assert np.any(np.asarray(end.negatives_state.held_out.log_weights) != 0)


def test_levels_of_positions_are_saved_as_they_are(getkey, tmp_path):
    negatives = PCD(BOUNDED, 1, **LABELS, storage=UInt8(-1.5, 2.0))
    buffer = negatives.init((3,), key=getkey())
    save_energy(tmp_path / "buffer.eqx", buffer)
    found = load_energy(tmp_path / "buffer.eqx", negatives.init((3,), key=getkey()))
    assert found.positions.dtype == jnp.uint8
    for a, b in zip(arrays(found), arrays(buffer), strict=True):
        np.testing.assert_array_equal(a, b)
    other = eqx.tree_at(lambda b: b.labels, buffer, None)
    with pytest.raises(ValueError, match="not a file of this energy"):
        load_energy(tmp_path / "buffer.eqx", other)
