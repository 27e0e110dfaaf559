"""What a checkpoint says about itself: its structure, the sums of its files, the config."""

import json
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.training import CheckpointError
from ebmx.training.checkpoints._manifest import (
    DamagedError,
    arrays_of,
    check_config,
    check_files,
    check_structure,
    read_manifest,
    structure_of,
    with_arrays,
    write_manifest,
)

TREE = {
    "a": [np.zeros((2, 3), np.float32), jnp.zeros((), jnp.int32)],
    "b": {"name": "x", "size": 3, "on": True, "empty": np.zeros((0, 2)), "none": None},
    "shape": jax.ShapeDtypeStruct((4,), jnp.bfloat16),
    "function": len,
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "d").mkdir()
    for name in ("one", "two", "d/three", "d/four"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    (tmp_path / "_CHECKPOINT_METADATA").write_text("written again")
    write_manifest(tmp_path, structure_of(TREE), {"seed": 7, "energy": {"dims": [4]}})
    return tmp_path


def test_the_structure_names_arrays_and_plain_values():
    assert structure_of(TREE) == {
        "a.0": "float32[2,3]",
        "a.1": "int32[]",
        "b.name": "'x'",
        "b.size": "3",
        "b.on": "True",
        "b.empty": "float64[0,2]",
        "shape": "bfloat16[4]",
    }
    # there is nothing to write of an empty one
    assert set(arrays_of(TREE)) == {"a.0", "a.1", "shape"}


def test_arrays_go_back_to_their_places():
    found = with_arrays(TREE, {"a.1": np.int32(5), "shape": np.ones(4)})
    assert found["a"][1] == 5
    np.testing.assert_array_equal(found["shape"], np.ones(4))
    assert found["a"][0] is TREE["a"][0]
    assert found["b"] == TREE["b"]


def test_what_is_written_is_read_with_the_sums_of_all_files(folder):
    manifest = read_manifest(folder)
    assert manifest["structure"] == structure_of(TREE)
    assert manifest["config"] == {"seed": 7, "energy": {"dims": [4]}}
    names = ["one", "two", "d/three", "d/four"]
    assert manifest["files"] == {name: zlib.crc32(name.encode() * 1000) for name in names}
    check_files(manifest, folder)
    (folder / "_CHECKPOINT_METADATA").write_text("and again")
    check_files(manifest, folder)


def test_the_sum_of_a_large_file_is_of_all_of_it(folder):
    content = np.random.default_rng(0).bytes(2**21 + 5)
    (folder / "large").write_bytes(content)
    write_manifest(folder, {}, None)
    manifest = read_manifest(folder)
    assert manifest["files"]["large"] == zlib.crc32(content)
    (folder / "large").write_bytes(content[:-1] + b"x" if content[-1:] != b"x" else b"y")
    with pytest.raises(DamagedError, match=r"damaged in large$"):
        check_files(manifest, folder)


def test_the_first_three_changed_files_are_named(folder):
    manifest = read_manifest(folder)
    (folder / "one").unlink()
    with pytest.raises(DamagedError, match=r"damaged in one$"):
        check_files(manifest, folder)
    for name in ("two", "d/three", "d/four"):
        (folder / name).write_bytes(b"other")
    with pytest.raises(DamagedError) as caught:
        check_files(manifest, folder)
    named = str(caught.value).split("damaged in ")[1].split(", ")
    assert len(named) == 3
    assert set(named) < {"one", "two", "d/three", "d/four"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"checksum": 0}', "no json", '{"checksum": []}'])
def test_a_manifest_that_is_not_one_is_damaged(text, folder):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DamagedError, match="damaged, manifest"):
        read_manifest(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(DamagedError, match="cannot be read"):
        read_manifest(folder)


def test_another_format_is_not_damage(folder, monkeypatch):
    monkeypatch.setattr("ebmx.training.checkpoints._manifest._FORMAT", 2)
    write_manifest(folder, {}, None)
    assert json.loads((folder / "manifest.json").read_text())["format"] == 2
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="of format 2, not 1") as caught:
        read_manifest(folder)
    assert not isinstance(caught.value, DamagedError)


@pytest.mark.parametrize(
    ("saved", "config", "words"),
    [
        ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}, "b.c is 2, not 3"),
        ({"a": 1}, {"a": 1, "b": 2}, "b is none, not 2"),
        ({"a": 1, "b": 2}, {"a": 1}, "b is 2, not none"),
        ("text", "other", "config is text, not other"),
        (
            dict.fromkeys("abc", 0),
            dict.fromkeys("abc", 1),
            ", ".join(f"{n} is 0, not 1" for n in "abc"),
        ),
        (
            dict.fromkeys("abcde", 0),
            dict.fromkeys("abcde", 1),
            "a is 0, not 1, b is 0, not 1, c is 0, not 1, and 2 more",
        ),
    ],
)
def test_the_first_three_settings_that_differ_are_named(saved, config, words):
    with pytest.raises(CheckpointError) as caught:
        check_config({"config": saved}, config, "here")
    assert str(caught.value) == f"here: of another config: {words}"
    check_config({"config": saved}, saved, "here")
    check_config({"config": saved}, None, "here")


def test_a_part_is_compared_with_its_own_part(folder):
    manifest = read_manifest(folder)
    check_structure(manifest, TREE, "here")
    check_structure(manifest, TREE["a"], "here", "a.")
    with pytest.raises(CheckpointError, match=r"here: of a state .*: a\.0 is float32\[2,3\], not"):
        check_structure(manifest, [np.zeros(3, np.float32), TREE["a"][1]], "here", "a.")
    # one more, or one less
    with pytest.raises(CheckpointError, match=r"a\.2 is none, not float32\[3\]"):
        check_structure(manifest, [*TREE["a"], np.zeros(3, np.float32)], "here", "a.")
    with pytest.raises(CheckpointError, match=r"a\.1 is int32\[\], not none"):
        check_structure(manifest, TREE["a"][:1], "here", "a.")
