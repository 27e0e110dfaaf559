"""Checkpoints of a training: bit for bit, all or nothing, and clear words about what is wrong."""

import contextlib
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checkpointed import CONFIG, KEY, TRAINER, X, assert_same, go_on, start

import ebmx
from ebmx.energies import MLP, SpectralNorm
from ebmx.training import (
    CheckpointError,
    Checkpoints,
    restore,
    restore_energy,
)
from ebmx.training.checkpoints import _orbax, _writer


@pytest.mark.medium
def test_it_saves_at_its_interval_and_at_the_end_and_keeps_the_last(tmp_path):
    for keep, steps in ((3, [8, 12, 13]), (1, [13])):
        checkpoints = Checkpoints(tmp_path / str(keep), every=4, keep=keep)
        go_on(start(), 13, checkpoints)
        assert checkpoints.steps == steps
        assert [p.name for p in sorted((tmp_path / str(keep)).iterdir())] == sorted(map(str, steps))


@pytest.mark.parametrize("asynchronous", [True, False])
def test_what_is_read_is_what_was_written(asynchronous, tmp_path):
    state, _ = go_on(start(), 3, Checkpoints(tmp_path, every=1, asynchronous=asynchronous))
    assert_same(restore(tmp_path, start()), state)
    shapes = eqx.filter_eval_shape(start)
    assert_same(restore(tmp_path, shapes), state)


def test_each_dtype_is_kept(tmp_path):
    state = eqx.tree_at(
        lambda s: s.negatives_state,
        start(),
        {
            "half": jnp.arange(3, dtype=jnp.bfloat16),
            "byte": jnp.arange(3, dtype=jnp.uint8),
            "bool": jnp.arange(3) > 1,
            "scalar": jnp.float16(0.1),
            "nan": jnp.array([jnp.nan, -0.0, jnp.inf]),
            "empty": jnp.zeros((0, 2)),
        },
    )
    writer = Checkpoints(tmp_path).writer(state)
    writer.save(state)
    writer.close()
    found = restore(tmp_path, state)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(state), strict=True):
        if eqx.is_array(a):
            assert a.dtype == b.dtype
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_a_key_does_not_belong_into_a_state(tmp_path):
    state = eqx.tree_at(lambda s: s.negatives_state, start(), {"own": KEY})
    with pytest.raises(ValueError, match=r"negatives_state\.own=key<fry>: keep keys out"):
        Checkpoints(tmp_path).writer(state)


@pytest.mark.parametrize("step", [4, 8, 10])
def test_training_goes_on_from_each_step_as_if_never_stopped(step, trained, folder, tmp_path):
    state, history = go_on(start(), 12)
    found = restore(folder, start(), step=step)
    assert int(found.step) == step
    end, rest = go_on(found, 12 - step, Checkpoints(tmp_path / "new", config=CONFIG))
    assert_same(end, state)
    for name, column in rest.items():
        np.testing.assert_array_equal(column, history[name][step:])


def test_a_training_goes_on_in_its_folder(folder):
    state = restore(folder, start(), config=CONFIG)
    go_on(state, 4, Checkpoints(folder, every=4, keep=2, config=CONFIG))
    assert Checkpoints(folder).steps == [12, 14]


@pytest.mark.parametrize("saves", [1, 2])
def test_another_training_is_refused_however_many_saves_it_has(saves, tmp_path):
    go_on(start(), 2 * saves, Checkpoints(tmp_path, every=2, config=CONFIG))
    with pytest.raises(CheckpointError):
        Checkpoints(tmp_path, every=2, config={"seed": 8}).writer(restore(tmp_path, start()))
    Checkpoints(tmp_path, every=2, config=CONFIG).writer(restore(tmp_path, start())).close()


def test_log_intervals_are_those_of_the_whole_training():
    seen = []
    state, _ = go_on(start(), 3)
    go_on(state, 6, log_every=4, callbacks=[lambda step, *_: seen.append(step)])
    assert seen == [4, 8, 9]


def test_the_config_is_beside_it(trained, folder):
    assert Checkpoints(folder).saved_config() == CONFIG
    assert Checkpoints(folder).saved_config(step=4) == CONFIG
    with pytest.raises(CheckpointError, match=r"energy\.hidden_dims is \[4\], not \[5\]"):
        restore(folder, start(), config={"seed": 7, "energy": {"hidden_dims": [5]}})


@pytest.mark.parametrize(
    ("hidden_dims", "words"),
    [((5,), r"weight is float32\[4,2\], not float32\[5,2\]"), ((4, 4), "and .* more"), ((), "is")],
)
def test_another_structure_is_refused(hidden_dims, words, folder):
    for fallback in (False, True):
        with pytest.raises(CheckpointError, match=f"10: of a state with another .*{words}"):
            restore(folder, start(hidden_dims), fallback=fallback)


@pytest.mark.parametrize("options", [{}, {"step": 3}])
def test_one_that_is_not_there_is_said_to_be_so(options, tmp_path, folder):
    place = folder if options else tmp_path / "none"
    with pytest.raises(ValueError, match="no checkpoint"):
        restore(place, start(), **options)


def test_later_steps_are_not_overwritten(folder):
    with pytest.raises(ValueError, match=r"later than the step 0 of the state; go on from it"):
        go_on(start(), 2, Checkpoints(folder, config=CONFIG))
    state = restore(folder, start(), step=8)
    with pytest.raises(ValueError, match="10: later than the step 8"):
        go_on(state, 2, Checkpoints(folder, config=CONFIG))
    assert Checkpoints(folder).steps == [4, 8, 10]


def test_a_training_of_another_config_does_not_go_on_in_the_folder(folder):
    state = restore(folder, start())
    with pytest.raises(CheckpointError, match="seed is 7, not 8"):
        go_on(state, 2, Checkpoints(folder, config=CONFIG | {"seed": 8}))


def test_the_energy_alone(trained, tmp_path, monkeypatch):
    folder, state = trained
    like = eqx.filter_eval_shape(lambda: MLP((2,), (4,), key=KEY))
    x = jnp.asarray(X)
    averaged = ebmx.energy(restore_energy(folder, like), x)
    np.testing.assert_array_equal(averaged, ebmx.energy(state.ema, x))
    last = ebmx.energy(restore_energy(folder, like, average=False), x)
    np.testing.assert_array_equal(last, ebmx.energy(state.energy, x))
    with pytest.raises(CheckpointError, match="ema"):
        restore_energy(folder, MLP((2,), (5,), key=KEY))


def test_the_energy_alone_with_its_norm_state(tmp_path):
    make = eqx.nn.make_with_state(SpectralNorm)
    energy, norm = make(MLP((2,), (4,), key=KEY), key=KEY)
    state = TRAINER.init(energy, norm, key=KEY)
    writer = Checkpoints(tmp_path).writer(state)
    writer.save(state)
    writer.close()
    other = jax.random.key(8)
    found = restore_energy(tmp_path, *make(MLP((2,), (4,), key=other), key=other))
    assert_same(found, ebmx.energies.freeze(state.ema, state.norm_state))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folder": "gs://bucket/runs"}, r"folder=gs://bucket/runs: give a folder of this machine"),
        ({"every": 0}, "every=0"),
        ({"keep": 0}, "keep=0"),
        ({"config": {"a": np.ones(1)}}, "config="),
        ({"config": {"a": (1, 2)}}, "config="),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Checkpoints(**{"folder": tmp_path, **options})


def test_without_its_package_it_says_what_to_install(monkeypatch, trained, tmp_path):
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    for call in (go_on, lambda state, *_: restore(trained[0], state)):
        with pytest.raises(ImportError, match=r"pip install 'ebmx\[checkpoint\]'"):
            call(start(), 1, Checkpoints(tmp_path))


STRANGE = "[0-9] a*? ]\\b/gs:"


def test_a_folder_of_any_name_is_found_again(trained, tmp_path):
    # whose path, read as a pattern, is that of others
    folder = tmp_path / STRANGE / "c"
    state, _ = go_on(start(), 4, Checkpoints(folder))
    assert Checkpoints(folder).steps == [4]
    assert_same(restore(folder, start()), state)
    energy = restore_energy(folder, start().energy)
    assert_same(energy, state.ema)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("*/*")] == [STRANGE]


def test_what_cannot_be_read_back_is_an_error_at_the_save(tmp_path, monkeypatch):
    # the path itself, and not a link to it
    monkeypatch.setattr(_writer, "plain", contextlib.nullcontext)
    with pytest.raises(CheckpointError, match="there is none: it cannot be read back"):
        go_on(start(), 2, Checkpoints(tmp_path / "[0-9]"))
    assert Checkpoints(tmp_path / "[0-9]").steps == []


def test_a_folder_that_cannot_be_linked_to_is_refused_before_training(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    checkpoints = Checkpoints(tmp_path / STRANGE)
    with pytest.raises(CheckpointError, match=r"cannot be linked to; give a path without \* \? \["):
        checkpoints.writer(start())
    monkeypatch.setattr("tempfile.tempdir", "/tmp[1]")
    with pytest.raises(CheckpointError, match=r"/tmp\[1\] has them too; give a path without"):
        checkpoints.writer(start())
    monkeypatch.setattr("jax.process_count", lambda: 2)
    processes, folder = r"written by several processes; give a path", tmp_path / STRANGE
    with pytest.raises(CheckpointError, match=processes), _orbax.plain(folder):
        pass
