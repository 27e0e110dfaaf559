"""Alarms name what is wrong, and end a training that is lost."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ebmx
from ebmx.energies import MLP
from ebmx.samplers import Langevin
from ebmx.training import CD, DivergedError, NoProgress, Trainer, Watchdog

GOOD = {
    "real_energy_mean": 0.3,
    "fake_energy_mean": 0.5,
    "chain_grad_norm": 0.2,
    "saturated": 0.1,
    "distinct": 1.0,
    "skipped": 0.0,
}
BAD = {
    "energies of size": {"real_energy_mean": 2e3, "fake_energy_mean": 2e3},
    "a gap of": {"fake_energy_mean": 300.0},
    "at the bounds": {"saturated": 0.99},
    "of the chains distinct": {"distinct": 0.1},
    "flat where": {"chain_grad_norm": 0.0},
    "clip them": {"chain_grad_norm": float("nan")},
    "updates skipped": {"skipped": 30.0},
    "nan": {"real_energy_mean": float("nan")},
}


@pytest.mark.parametrize("words", BAD)
def test_each_alarm_is_told_in_words(words):
    assert Watchdog().alarms(GOOD) == []
    assert any(words in alarm for alarm in Watchdog().alarms(GOOD | BAD[words]))


def test_an_alarm_has_to_last():
    dog = Watchdog(patience=2)
    dog(50, None, GOOD)
    dog(100, None, GOOD | BAD["a gap of"])
    dog(150, None, GOOD)
    dog(200, None, GOOD | BAD["a gap of"])
    with pytest.raises(DivergedError, match=r"by step 250, the last good step was 150: a gap of"):
        dog(250, None, GOOD | BAD["a gap of"])


def test_a_training_that_runs_away_is_stopped(getkey):
    energy = MLP((2,), (8,), key=getkey())
    trainer = Trainer(optax.sgd(-50.0), CD(Langevin(0.1)))
    state = trainer.init(energy, key=getkey())
    batches = itertools.repeat(np.ones((4, 2), np.float32))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        ebmx.fit(
            trainer,
            state,
            batches,
            num_steps=400,
            log_every=10,
            callbacks=[Watchdog()],
            progress=NoProgress(),
            key=jax.random.key(0),
        )
    assert jnp.all(jnp.isfinite(state.energy.network.layers[0].weight))


def test_limits_are_checked():
    with pytest.raises(ValueError, match="max_gap=0"):
        Watchdog(max_gap=0)
