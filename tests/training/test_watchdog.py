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
from ebmx.training import CD, DivergedError, Trainer, Watchdog

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


# of each alarm: what is just within its limit, and just beyond it
LIMITS = {
    "energies of size 1e+03": (
        {"real_energy_mean": -1000.0, "fake_energy_mean": -1000.0},
        {"real_energy_mean": -1001.0, "fake_energy_mean": -1000.0},
    ),
    "energies of size 1e+03:": (
        {"real_energy_mean": 1000.0, "fake_energy_mean": 1000.0},
        {"real_energy_mean": 1000.0, "fake_energy_mean": 1001.0},
    ),
    "a gap of 101": (
        {"real_energy_mean": -50.0, "fake_energy_mean": 50.0},
        {"real_energy_mean": -50.0, "fake_energy_mean": 51.0},
    ),
    "a gap of 101 ": (
        {"real_energy_mean": 50.0, "fake_energy_mean": -50.0},
        {"real_energy_mean": 50.0, "fake_energy_mean": -51.0},
    ),
    "99% of the negatives": ({"saturated": 0.98}, {"saturated": 0.99}),
    "only 49% of the chains": ({"distinct": 0.5}, {"distinct": 0.49}),
    "chain gradients of 9e-09: the energy": (
        {"chain_grad_norm": 1e-8},
        {"chain_grad_norm": 9e-9},
    ),
    "chain gradients of 1.1e+06: clip": ({"chain_grad_norm": 1e6}, {"chain_grad_norm": 1.1e6}),
    "51% of the step sizes": ({"step_sizes_at_limit": 0.5}, {"step_sizes_at_limit": 0.51}),
    "21 updates skipped": ({"skipped": 20.0}, {"skipped": 21.0}),
}


@pytest.mark.parametrize("words", LIMITS)
def test_an_alarm_begins_beyond_its_limit_and_is_the_only_one(words):
    within, beyond = LIMITS[words]
    assert Watchdog().alarms(GOOD | within) == []
    # what a training does not report is well
    for metrics in (GOOD | beyond, beyond):
        (alarm,) = Watchdog().alarms(metrics)
        assert alarm.startswith(words.strip())
    assert Watchdog().alarms({}) == []


def test_what_is_not_reported_is_well_under_strict_limits_too():
    limits = {"max_energy": 0.5, "max_gap": 0.5, "max_saturated": 0.5, "max_skipped": 0}
    dog = Watchdog(**limits, min_distinct=1.0, min_chain_grad_norm=0.5, max_chain_grad_norm=1.5)
    assert dog.alarms({}) == []


def test_an_alarm_has_to_last():
    dog, bad = Watchdog(patience=2), GOOD | BAD["a gap of"]
    assert (dog.last_good, dog.count) == (None, 0)
    for step, metrics, good, count in (
        (50, GOOD, 50, 0),
        (100, bad, 50, 1),
        (150, GOOD, 150, 0),
        (200, bad, 150, 1),
    ):
        dog(step, None, metrics)
        assert (dog.last_good, dog.count) == (good, count)
    with pytest.raises(DivergedError, match=r"by step 250, the last good step was 150: a gap of"):
        dog(250, None, bad)
    with pytest.raises(DivergedError, match=r"by step 10, no step was good: a gap of"):
        Watchdog(patience=1)(10, None, bad)


@pytest.mark.medium
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
            progress=False,
            key=jax.random.key(0),
        )
    assert jnp.all(jnp.isfinite(state.energy.layers[0].weight))


def test_limits_are_checked():
    with pytest.raises(ValueError, match="max_gap=0"):
        Watchdog(max_gap=0)
