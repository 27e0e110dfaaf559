"""Damaged checkpoints are refused, an earlier one is found, and nothing in them is executed."""

import contextlib
import json
import pickle
import sys

import numpy as np
import pytest
from checkpointed import CONFIG, assert_same, go_on, start

import ebmx
from ebmx.training import Checkpoints, restore, restore_energy
from ebmx.training.checkpoints._manifest import DamagedError


def damage(folder, step, how="flip"):
    """Change what is on disk of a step, by default one bit of an array."""
    path = max((folder / str(step) / "d").iterdir(), key=lambda p: p.stat().st_size)
    if how in ("manifest", "no manifest"):
        path = folder / str(step) / "manifest.json"
    content = path.read_bytes()
    middle = len(content) // 2
    if how in ("gone", "no manifest"):
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[:middle])
    elif how == "manifest":
        path.write_bytes(content.replace(b'"seed": 7', b'"seed": 8'))
    else:
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


@pytest.mark.parametrize("how", ["flip", "cut", "gone", "manifest", "no manifest"])
def test_a_damaged_one_is_refused_and_the_one_before_it_found(how, folder):
    damage(folder, 10, how)
    with pytest.raises(DamagedError, match="10: damaged"):
        restore(folder, start())
    assert int(restore(folder, start(), fallback=True).step) == 8
    assert int(restore(folder, start(), step=8).step) == 8


def test_a_training_goes_on_from_before_a_damaged_one(folder, trained):
    damage(folder, 10)
    state = restore(folder, start(), fallback=True)
    end, _ = go_on(state, 2, Checkpoints(folder, every=4, config=CONFIG))
    assert_same(end, trained[1])
    assert_same(restore(folder, start()), trained[1])
    assert (folder / "10.damaged").is_dir()


def test_if_all_are_damaged_it_says_so(folder):
    for step in (4, 8, 10):
        damage(folder, step)
    with pytest.raises(DamagedError, match=r"no good step is left: .*10.*8.*4"):
        restore(folder, start(), fallback=True)


def test_a_step_that_is_damaged_falls_back_to_an_earlier_one(folder):
    damage(folder, 8)
    assert int(restore(folder, start(), step=8, fallback=True).step) == 4
    with pytest.raises(DamagedError, match="8: damaged") as caught:
        restore(folder, start(), step=8)
    assert "fallback=True" in caught.value.__notes__[0]
    damage(folder, 10)
    like = start().energy
    found, expected = restore_energy(folder, like, fallback=True), restore(folder, start(), step=4)
    assert_same(found, ebmx.energies.freeze(expected.ema))
    with pytest.raises(DamagedError, match="10: damaged"):
        restore_energy(folder, like)
    assert_same(restore_energy(folder, like, step=4), found)


def test_the_config_of_the_last_good_step_is_found(folder):
    damage(folder, 10, "no manifest")
    assert Checkpoints(folder).saved_config() == CONFIG
    with pytest.raises(DamagedError, match="10: damaged"):
        Checkpoints(folder).saved_config(step=10)


class _Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle in a checkpoint was executed",)


def test_a_pickle_is_not_executed(folder):
    for path in [p for p in (folder / "10").rglob("*") if p.is_file()]:
        content = path.read_bytes()
        path.write_bytes(pickle.dumps(_Bomb()))
        # some files are not read at all
        with contextlib.suppress(DamagedError):
            restore(folder, start())
        path.write_bytes(content)
    for name in ("arrays.npy", "state.pkl", "11"):
        with open(folder / name, "wb") as file:
            np.save(file, np.array([_Bomb()], object), allow_pickle=True)
    assert int(restore(folder, start(), step=10).step) == 10


def test_a_module_named_in_the_files_is_not_imported(folder):
    path = folder / "10" / "_CHECKPOINT_METADATA"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"item_handlers": "antigravity.fly"}))
    assert int(restore(folder, start()).step) == 10
    assert "antigravity" not in sys.modules
