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
from fault_worker import go_on, plain, start

import ebmx
from ebmx.energies import MLP, AbstractEnergy
from ebmx.samplers import Langevin
from ebmx.training import PCD, Checkpoints, NoProgress, Trainer, UniformNoise, fit, restore

KEY = jax.random.key(3)
X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
# the buffer is as large as a batch, so each update sees all of it
TRAINER = Trainer(optax.adam(0.01), PCD(Langevin(0.1), 2, capacity=8, reinit_prob=0.0))


class Cliff(AbstractEnergy):
    """An energy without a value beyond a line that chains cross."""

    shape: tuple[int, ...] = eqx.field(static=True)
    weight: jax.Array

    def __call__(self, x):
        return self.weight * jnp.sqrt(0.5 - x[0])


def begin(trainer=TRAINER, energy=None):
    return trainer.init(MLP((2,), (4,), key=KEY) if energy is None else energy, key=KEY)


def update(state, batches, trainer=TRAINER, **options):
    return fit(
        trainer,
        state,
        batches,
        num_steps=len(batches),
        key=KEY,
        log_every=1,
        progress=NoProgress(),
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
    state, history = update(begin(), batches)
    assert all_finite((state.energy, state.ema, state.opt_state, state.negatives_state))
    assert int(state.step) == 5
    np.testing.assert_array_equal(history["skipped"], np.arange(5) >= step)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("step", range(4))
def test_a_chain_that_is_not_finite_is_restarted_and_counted(value, step):
    batches = [X[:8], X[8:16], X[16:24], X[24:32]]
    state = begin()
    if step > 0:
        state, _ = update(state, batches[:step])
    positions = state.negatives_state.positions.at[2, 0].set(value).at[5].set(value)
    state = eqx.tree_at(lambda s: s.negatives_state.positions, state, positions)
    state, history = update(state, batches[step:])
    assert all_finite((state.energy, state.ema, state.opt_state, state.negatives_state))
    assert int(state.skipped) == 0
    np.testing.assert_array_equal(history["dead_chains"], [2] + [0] * (3 - step))


def test_an_energy_without_a_value_kills_chains_and_not_the_training():
    negatives = PCD(Langevin(0.1), 2, capacity=8, noise=UniformNoise(-1.0, 0.4))
    trainer = Trainer(optax.adam(0.01), negatives)
    state = begin(trainer, Cliff((2,), jnp.asarray(-1.0)))
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
    trainer = Trainer(optax.adam(0.01), PCD(Langevin(0.1), 2, capacity=8, reinit_prob=0.0))
    batches, state = [X[:8]] * 4, begin(trainer, Hole((2,), jnp.asarray(1.0)))
    if step > 0:
        state, _ = update(state, batches[:step], trainer)
    positions = state.negatives_state.positions.at[2, 0].set(50.0).at[5, 0].set(60.0)
    state = eqx.tree_at(lambda s: s.negatives_state.positions, state, positions)
    state, history = update(state, batches[step:], trainer)
    assert int(state.skipped) == 0
    np.testing.assert_array_equal(history["dead_chains"], [2] + [0] * (3 - step))
    assert float(state.negatives_state.positions[:, 0].max()) < 5
    assert np.isfinite(history["fake_energy_mean"]).all()


@pytest.mark.parametrize("step", range(4))
def test_a_gradient_that_is_not_finite_skips_its_update_and_no_other(step):
    def loss(energy, positives, negatives):
        value, metrics = ebmx.training.contrastive_loss(energy, positives, negatives)
        marked = jnp.any(positives == 77.0)
        # zero, and the slope of a root there
        weight = energy.network.layers[0].weight[0, 0]
        more = jax.lax.cond(marked, lambda w: jnp.sqrt(0.0 * w), lambda w: 0.0 * w, weight)
        return value + more, metrics

    trainer = Trainer(optax.adam(0.01), TRAINER.negatives, loss)
    batches = [X[8 * i : 8 * i + 8].copy() for i in range(4)]
    batches[step][0, 0] = 77.0
    state, history = update(begin(trainer), batches, trainer)
    assert all_finite((state.energy, state.ema, state.opt_state, state.negatives_state))
    assert np.isfinite(history["loss"]).all()
    np.testing.assert_array_equal(np.isfinite(history["grad_norm"]), np.arange(4) != step)
    np.testing.assert_array_equal(history["skipped"], np.arange(4) >= step)


@pytest.mark.parametrize("rate", [np.inf, 3e38])
def test_an_update_that_leaves_the_numbers_is_skipped(rate):
    trainer = Trainer(optax.sgd(rate), TRAINER.negatives)
    state, _ = update(begin(trainer), [X[:8]] * 3, trainer)
    assert all_finite((state.energy, state.ema))
    assert int(state.skipped) > 0


@pytest.mark.parametrize("part", ["energy", "ema"])
def test_parameters_that_are_not_finite_are_refused(part):
    where = lambda s: getattr(s, part).network.layers[0].weight  # noqa: E731
    state = begin()
    state = eqx.tree_at(where, state, where(state).at[0, 0].set(jnp.nan))
    with pytest.raises(
        ValueError, match=rf"state\.{part}\.network\.layers\[0\]\.weight=not finite"
    ):
        update(state, [X[:8]])


def process(mode, folder):
    worker = Path(__file__).with_name("fault_worker.py")
    command = [sys.executable, worker, mode, folder]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def same(one, two):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs if eqx.is_array(a))


@pytest.fixture(scope="module")
def whole():
    return go_on(start(), 12)


def test_a_killed_training_loses_nothing_before_its_last_save(whole, tmp_path):
    killed = process("kill", tmp_path)
    killed.communicate(timeout=300)
    assert killed.returncode == -signal.SIGKILL
    state = restore(tmp_path, start())
    # it dies before the save of step 8, maybe while that of step 6 is being written
    assert int(state.step) in (4, 6)
    assert same(go_on(state, 12, tmp_path), whole)
    assert Checkpoints(tmp_path).steps == [8, 10, 12]


def test_a_full_disk_costs_the_saves_that_it_hits_and_no_other(whole, tmp_path):
    full = process("disk", tmp_path)
    out, errors = full.communicate(timeout=300)
    assert full.returncode == 0, errors
    (warning,) = json.loads(out.splitlines()[-1])
    assert warning.startswith("SaveWarning")
    assert "was not written, the last one is 2" in warning
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2", "6", "8"]
    assert same(go_on(restore(tmp_path, start()), 12), whole)


MOMENTS = {
    "before its manifest": [2, 3, 4],
    "within its manifest": [2, 3, 4],
    "after its manifest": [2, 3, 4],
    "while an old one is removed": [3, 4, 5],
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folders = {moment: tmp_path_factory.mktemp("killed") for moment in MOMENTS}
    processes = {moment: process(moment, folders[moment]) for moment in MOMENTS}
    for moment, one in processes.items():
        _, errors = one.communicate(timeout=300)
        assert one.returncode == -signal.SIGKILL, (moment, errors)
    return folders


@pytest.mark.parametrize(("moment", "steps"), MOMENTS.items())
def test_a_save_that_is_killed_leaves_the_ones_before_it(moment, steps, killed):
    folder = killed[moment]
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
        update(begin(), [batch])
    with pytest.raises(ValueError, match="x=2 non-finite"):
        ebmx.data.batches(batch, 4, key=KEY)
