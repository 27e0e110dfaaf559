"""Trainings in phases: objectives that begin and end at given updates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points
from steps import same, step

from ebmx.energies import MLP
from ebmx.samplers import MALA
from ebmx.training import (
    CD,
    PCD,
    Checkpoints,
    DataOnly,
    Objective,
    Trainer,
    fit,
    restore,
    score_matching_loss,
)

KEY = jax.random.key(1)
SGD = optax.sgd(0.1)
NETWORK = MLP((2,), (4,), key=KEY)
BATCH = np.asarray(points(8, (2,)))


def phases():
    """Contrastive divergence, then score matching from persistent chains' data."""
    first = Objective(CD(MALA(0.05), 2), stop=3)
    second = Objective(PCD(MALA(0.05), 2, 16), start=2, stop=6, name="pcd")
    third = Objective(DataOnly(), score_matching_loss, start=5, name="scores")
    return Trainer(optax.adam(0.01), objectives=[first, second, third])


def fitted(trainer, state, num_steps, **more):
    batches = [BATCH] * num_steps
    options = {"key": KEY, "progress": False, "log_every": 2} | more
    return fit(trainer, state, batches, num_steps=num_steps, **options)


@pytest.mark.medium
def test_objectives_begin_and_end_at_their_updates():
    trainer = phases()
    assert trainer.boundaries == (2, 3, 5, 6)
    seen = []
    state, history = fitted(
        trainer, trainer.init(NETWORK, key=KEY), 8,
        callbacks=[lambda step, state, metrics: seen.append((step, {*metrics}))],
    )  # fmt: skip
    here = {name: np.isfinite(values).nonzero()[0].tolist() for name, values in history.items()}
    assert here["loss"] == [*range(8)]
    assert here["contrastive_loss"] == here["restarts"] == [0, 1, 2]
    assert here["pcd_loss"] == here["pcd_distinct"] == [2, 3, 4, 5]
    assert here["scores_loss"] == [5, 6, 7]
    assert [step for step, _ in seen] == [2, 3, 4, 5, 6, 8]
    assert "pcd_loss" not in seen[0][1]
    assert "pcd_loss" in seen[1][1]
    # chains have moved in their own phase alone: four updates of all, or of some twice
    assert int(jnp.sum(state.objective_states[1].ages > 0)) > 0
    assert int(jnp.max(state.objective_states[1].ages)) <= 4


@pytest.mark.medium
def test_a_training_in_phases_goes_on_bit_for_bit_across_a_boundary(tmp_path):
    trainer = phases()
    whole, _ = fitted(trainer, trainer.init(NETWORK, key=KEY), 8)
    for cut in (2, 4, 5):
        folder = tmp_path / str(cut)
        fitted(trainer, trainer.init(NETWORK, key=KEY), cut, checkpoints=Checkpoints(folder))
        loaded = restore(folder, trainer.init(NETWORK, key=jax.random.key(3)))
        assert same(fitted(trainer, loaded, 8 - cut)[0], whole)


@pytest.mark.medium
def test_a_step_by_hand_needs_to_know_its_phase():
    trainer = phases()
    state = trainer.init(NETWORK, key=KEY)
    with pytest.raises(ValueError, match=r"state.step=.*trainer.at_step\(number\)"):
        step(trainer, state, BATCH, KEY)
    by_hand, metrics = step(trainer.at_step(0), state, BATCH, KEY)
    assert "contrastive_loss" in metrics
    assert same(by_hand.energy, fitted(trainer, state, 1)[0].energy)


def test_each_update_needs_an_objective():
    late = Trainer(SGD, objectives=[Objective(CD(MALA(0.1)), start=2)])
    with pytest.raises(ValueError, match="no objective is active at update 0"):
        fitted(late, late.init(NETWORK, key=KEY), 3)
    with pytest.raises(ValueError, match="negatives=None: give negatives, or obj"):
        Trainer(SGD)
    with pytest.raises(ValueError, match="stop=2: "):
        Objective(CD(MALA(0.1)), start=2, stop=2)
