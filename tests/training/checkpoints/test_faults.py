"""What docs/reliability.md promises when something goes wrong."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fault_worker import MOMENTS, X, go_on, plain, start, trainer

import ebmx
from ebmx.energies import AbstractEnergy
from ebmx.samplers import Langevin
from ebmx.training import PCD, Checkpoints, Trainer, UniformNoise, fit, restore

KEY = jax.random.key(3)
TRAINER = trainer()


class Cliff(AbstractEnergy):
    """An energy without a value beyond a line that chains cross."""

    shape: tuple[int, ...] = eqx.field(static=True)
    weight: jax.Array

    def __call__(self, x):
        return self.weight * jnp.sqrt(0.5 - x[0])


def update(state, batches, trainer=TRAINER, **options):
    return fit(
        trainer,
        state,
        batches,
        num_steps=len(batches),
        key=KEY,
        log_every=1,
        progress=False,
        **options,
    )


def all_finite(tree):
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("step", range(1, 5))
def test_data_that_is_not_finite_skips_its_update_and_no_other(value, step):
    batches = [X[8 * i : 8 * i + 8].copy() for i in range(5)]
    batches[step][3, 1] = value
    state, history = update(start(), batches)
    assert all_finite((state.energy, state.ema, state.opt_state, state.negatives_state))
    assert int(state.step) == 5
    np.testing.assert_array_equal(history["skipped"], np.arange(5) >= step)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("step", range(4))
def test_a_chain_that_is_not_finite_is_restarted_and_counted(value, step):
    batches = [X[:8], X[8:16], X[16:24], X[24:32]]
    state = start()
    if step > 0:
        state, _ = update(state, batches[:step])
    positions = state.negatives_state.positions.at[2, 0].set(value).at[5].set(value)
    state = eqx.tree_at(lambda s: s.negatives_state.positions, state, positions)
    state, history = update(state, batches[step:])
    assert all_finite((state.energy, state.ema, state.opt_state, state.negatives_state))
    assert int(state.skipped) == 0
    np.testing.assert_array_equal(history["dead_chains"], [2] + [0] * (3 - step))


@pytest.mark.medium
def test_an_energy_without_a_value_kills_chains_and_not_the_training():
    negatives = PCD(Langevin(0.1), 2, capacity=8, noise=UniformNoise(-1.0, 0.4))
    trainer = Trainer(optax.adam(0.01), negatives)
    state = trainer.init(Cliff((2,), jnp.asarray(-1.0)), key=KEY)
    state, history = update(state, [-np.abs(X[:8])] * 9, trainer)
    assert all_finite((state.energy, state.ema, state.opt_state, state.negatives_state))
    assert history["dead_chains"].sum() > 0
    assert 0 <= int(state.skipped) < 9


class Hole(AbstractEnergy):
    """An energy that has no value in a half-plane, where its gradient is as elsewhere."""

    shape: tuple[int, ...] = eqx.field(static=True)
    weight: jax.Array

    def __call__(self, x):
        hole = jnp.where(x[0] > 5.0, jnp.nan, 0.0)
        return self.weight * jnp.sum(x**2) / 2 + jax.lax.stop_gradient(hole)


@pytest.mark.parametrize("step", range(4))
def test_a_finite_chain_without_an_energy_is_restarted_and_counted(step):
    batches, state = [X[:8]] * 4, TRAINER.init(Hole((2,), jnp.asarray(1.0)), key=KEY)
    if step > 0:
        state, _ = update(state, batches[:step])
    positions = state.negatives_state.positions.at[2, 0].set(50.0).at[5, 0].set(60.0)
    state = eqx.tree_at(lambda s: s.negatives_state.positions, state, positions)
    state, history = update(state, batches[step:])
    assert int(state.skipped) == 0
    np.testing.assert_array_equal(history["dead_chains"], [2] + [0] * (3 - step))
    assert float(state.negatives_state.positions[:, 0].max()) < 5
    assert np.isfinite(history["fake_energy_mean"]).all()


def steep(energy, positives, negatives):
    """The contrastive loss, with a gradient that is not finite if a value is 77."""
    value, metrics = ebmx.training.contrastive_loss(energy, positives, negatives)
    marked = jnp.any(positives.x == 77.0)
    # zero, and the slope of a root there
    weight = energy.layers[0].weight[0, 0]
    more = jax.lax.cond(marked, lambda w: jnp.sqrt(0.0 * w), lambda w: 0.0 * w, weight)
    return value + more, metrics


# the rate is a part of the optimiser's state
STEEP = Trainer(optax.inject_hyperparams(optax.sgd)(0.01), TRAINER.negatives, steep)
SMOOTH = STEEP.init(start().energy, key=KEY)


@pytest.mark.parametrize("step", range(4))
def test_a_gradient_that_is_not_finite_skips_its_update_and_no_other(step):
    batches = [X[8 * i : 8 * i + 8].copy() for i in range(4)]
    batches[step][0, 0] = 77.0
    state, history = update(SMOOTH, batches, STEEP)
    assert all_finite((state.energy, state.ema, state.opt_state, state.negatives_state))
    assert np.isfinite(history["loss"]).all()
    np.testing.assert_array_equal(np.isfinite(history["grad_norm"]), np.arange(4) != step)
    np.testing.assert_array_equal(history["skipped"], np.arange(4) >= step)


@pytest.mark.parametrize("rate", [np.inf, 3e38])
def test_an_update_that_leaves_the_numbers_is_skipped(rate):
    where = lambda s: s.opt_state.hyperparams["learning_rate"]  # noqa: E731
    state = eqx.tree_at(where, SMOOTH, jnp.asarray(rate, where(SMOOTH).dtype))
    state, _ = update(state, [X[:8]] * 3, STEEP)
    assert all_finite((state.energy, state.ema))
    assert int(state.skipped) > 0


def same(one, two):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs if eqx.is_array(a))


@pytest.fixture(scope="module")
def whole():
    return go_on(start(), 12)


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """What the processes that died, or ran out of disk, have left."""
    folder = tmp_path_factory.mktemp("faults")
    command = [sys.executable, Path(__file__).parents[1] / "fault_worker.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert set(codes.values()) == {-signal.SIGKILL}, (codes, done.stderr)
    return folder


@pytest.mark.slow
def test_a_killed_training_loses_nothing_before_its_last_save(whole, faults):
    folder = faults / "kill"
    state = restore(folder, start())
    # it dies before the save of step 8, maybe while that of step 6 is being written
    assert int(state.step) in (4, 6)
    assert same(go_on(state, 12, folder), whole)
    assert Checkpoints(folder).steps == [8, 10, 12]


@pytest.mark.slow
def test_a_full_disk_costs_the_saves_that_it_hits_and_no_other(whole, faults):
    folder = faults / "disk"
    (warning,) = json.loads(folder.with_suffix(".json").read_text())
    assert warning.startswith("SaveWarning")
    assert "was not written, the last one is 2" in warning
    assert sorted(p.name for p in folder.iterdir()) == ["2", "6", "8"]
    assert same(go_on(restore(folder, start()), 12), whole)


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "steps"), MOMENTS.items())
def test_a_save_that_is_killed_leaves_the_ones_before_it(moment, steps, faults):
    folder = faults / moment
    assert Checkpoints(folder).steps == steps
    for step in steps:
        assert same(restore(folder, plain(0), step=step), plain(step))
    unfinished = [p for p in folder.iterdir() if not p.name.isdigit()]
    assert len(unfinished) == 1
    # the next training clears it away and saves the step that was lost
    writer = Checkpoints(folder).writer(plain(steps[-1]))
    writer.save(plain(5))
    writer.close()
    assert sorted(p.name for p in folder.iterdir()) == ["3", "4", "5"]
    assert same(restore(folder, plain(0)), plain(5))


def test_the_first_batch_is_looked_at_before_anything_is_compiled():
    batch = X[:8].copy()
    batch[0] = np.nan
    with pytest.raises(ValueError, match=r"batches\[0\]=2 non-finite"):
        update(start(), [batch])
    with pytest.raises(ValueError, match="x=2 non-finite"):
        ebmx.data.batches(batch, 4, key=KEY)
