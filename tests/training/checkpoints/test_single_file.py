"""States on disk: bit for bit, all or nothing, and never a pickle."""

import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ebmx.energies import MLP
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, load_energy, save_energy

TRAINER = Trainer(optax.adam(0.01), PCD(Langevin(0.1), 2, capacity=16))


def start(key, hidden_dims=(4,)):
    return TRAINER.init(MLP((2,), hidden_dims, key=key), key=key)


@pytest.fixture
def trained():
    state = start(jax.random.key(1))
    return eqx.tree_at(lambda s: s.step, state, jnp.asarray(3, jnp.int32))


def test_what_is_read_is_what_was_written(trained, getkey, tmp_path):
    save_energy(str(tmp_path / "state.eqx"), trained)
    assert [p.name for p in tmp_path.iterdir()] == ["state.eqx"]
    like = start(getkey())
    found = load_energy(tmp_path / "state.eqx", like)
    assert jax.tree.structure(found) == jax.tree.structure(trained)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(trained), strict=True)
    for a, b in pairs:
        assert eqx.tree_equal(a, b, typematch=True) is not False
        if eqx.is_array(b):
            assert np.array_equal(a, b)
            assert a.dtype == b.dtype
    assert int(found.step) == 3
    assert not np.array_equal(found.energy.layers[0].weight, like.energy.layers[0].weight)


def test_a_file_of_any_name_is_found_again(tmp_path):
    path = tmp_path / "[0-9] a*?\\b" / "[x]*?"
    path.parent.mkdir()
    save_energy(path, (jnp.arange(3.0),))
    np.testing.assert_array_equal(load_energy(path, (jnp.zeros(3),))[0], [0, 1, 2])


def test_a_newer_one_takes_its_place(trained, getkey, tmp_path):
    path = tmp_path / "state.eqx"
    save_energy(path, start(getkey()))
    save_energy(path, trained)
    assert int(load_energy(path, start(getkey())).step) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["state.eqx"]


def test_a_writing_that_fails_leaves_the_old_one(trained, getkey, tmp_path, monkeypatch):
    path = tmp_path / "state.eqx"
    save_energy(path, trained)

    def fail(path, state):
        with open(path, "wb") as file:
            file.write(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr("equinox.tree_serialise_leaves", fail)
    with pytest.raises(OSError, match="no space left"):
        save_energy(path, start(getkey()))
    assert int(load_energy(path, start(getkey())).step) == 3


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "longer"])
def test_a_damaged_file_is_refused(damage, trained, getkey, tmp_path):
    path = tmp_path / "state.eqx"
    save_energy(path, trained)
    content = path.read_bytes()
    damaged = {
        "empty": b"",
        "cut": content[: len(content) // 2],
        "text": b"hello" * 100,
        "longer": content + b"more",
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(ValueError, match=r"state\.eqx: not a file of this energy; it is dam"):
        load_energy(path, start(getkey()))


@pytest.mark.parametrize("hidden_dims", [(5,), (4, 4), ()])
def test_another_structure_is_refused(hidden_dims, trained, getkey, tmp_path):
    save_energy(tmp_path / "state.eqx", trained)
    with pytest.raises(ValueError, match="of another config"):
        load_energy(tmp_path / "state.eqx", start(getkey(), hidden_dims))


@pytest.mark.parametrize(
    "like",
    [(jnp.zeros(3),), (jnp.zeros(3), jnp.zeros(2), jnp.zeros(1)), (jnp.zeros(3), jnp.arange(2))],
)
def test_fewer_more_or_other_arrays_are_refused(like, tmp_path):
    save_energy(tmp_path / "state.eqx", (jnp.ones(3), jnp.ones(2)))
    with pytest.raises(ValueError, match="not a file of this energy"):
        load_energy(tmp_path / "state.eqx", like)


def test_a_file_that_is_not_there_is_said_to_be_so(getkey, tmp_path):
    with pytest.raises(FileNotFoundError):
        load_energy(tmp_path / "state.eqx", start(getkey()))


class _Bomb:
    def __reduce__(self):
        return _explode, ()


def _explode():
    pytest.fail("a pickle in a checkpoint was executed")


def test_a_pickle_is_not_executed(tmp_path):
    path = tmp_path / "state.eqx"
    like = (jnp.zeros(1),)
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(ValueError, match="not a file of"):
        load_energy(path, like)
    with open(path, "wb") as file:
        np.save(file, np.array([_Bomb()], object), allow_pickle=True)
    with pytest.raises(ValueError, match="not a file of"):
        load_energy(path, like)
