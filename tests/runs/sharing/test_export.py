"""Exports: bit for bit what was trained, in a folder that was free."""

import builtins
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from configs import TINY
from exported import CONFIGS, IMAGES, PLANE, opened, values

import ebmx
from ebmx import runs
from ebmx.config import merge, read_config, write_config
from ebmx.runs.sharing import _export
from ebmx.runs.sharing._files import ENERGY, RECORD
from ebmx.training import save_energy

FILES = ["README.md", "config.toml", "ebmx.json", "energy.safetensors"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An export of an energy of images, and the run."""
    folder = tmp_path_factory.mktemp("exported")
    run = opened("images", folder / "run")
    return runs.export(run, out=folder / "e").folder, run


@pytest.fixture
def copied(exported, tmp_path):
    return shutil.copytree(exported[0], tmp_path / "e")


def arrays(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array | np.ndarray)]


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_energy_that_is_loaded_is_the_one_that_was_exported(kind, tmp_path):
    run = opened(kind, tmp_path / "run")
    found = runs.export(run, out=tmp_path / "e")
    assert [path.name for path in sorted(found.files)] == FILES
    assert sorted(path.name for path in found.folder.iterdir()) == FILES
    energy = ebmx.load_energy(tmp_path / "e")
    assert jax.tree.structure(energy) == jax.tree.structure(run.energy)
    pairs = list(zip(arrays(energy), arrays(run.energy), strict=True))
    assert pairs
    for new, old in pairs:
        assert (new.dtype, new.tobytes()) == (old.dtype, np.asarray(old).tobytes())
    x = CONFIGS[kind][1].test[:3]
    np.testing.assert_array_equal(values(energy, x), values(run.energy, x))


def test_a_model_has_the_sampler_units_and_labels_of_the_run(tmp_path):
    run = opened("labels", tmp_path / "run")
    runs.export(run, out=tmp_path / "e")
    model = runs.load_model(tmp_path / "e")
    assert model.shape == (2,)
    assert model.num_labels == 3
    assert repr(model.sampler) == repr(run.sampler)
    assert model.config == run.config
    # columns with ranges of their own, to data units and back
    np.testing.assert_array_equal(model.to_units(np.array([[-1.0, 1.0]])), [[2.0, 0.3]])
    x = PLANE.test
    np.testing.assert_array_equal(
        model.from_units(model.to_units(x)), run.from_units(run.to_units(x))
    )
    np.testing.assert_array_equal(model.facts.covariance, run.run.facts.covariance)


@pytest.mark.parametrize("kind", ["labels", "classifier", "levels of classes", "levels"])
def test_samples_of_a_model_have_its_shape_and_class(kind, tmp_path, getkey):
    model = runs.sharing._model.Model.of(opened(kind, tmp_path / "run"))
    label = None if kind == "levels" else 1
    x = model.sample(4, label=label, num_steps=1, key=getkey())
    assert x.shape == (4, *model.shape)
    assert np.isfinite(x).all()
    with pytest.raises(ValueError, match="label=3"):
        model.sample(4, label=3, key=getkey())
    with pytest.raises(ValueError, match="num_steps=0"):
        model.sample(4, num_steps=0, key=getkey())


def test_chains_start_and_move_as_those_of_the_training(tmp_path):
    noise = {"kind": "GaussianNoise", "mean": 3.0, "scale": 0.25}
    run = opened("sum", tmp_path / "run")
    config = merge(run.config, {"negatives": {"noise": noise}})
    run = runs.OpenRun(run.folder, config, runs._run.make_run(config, run.run.facts), run.state, 6)
    runs.export(run, out=tmp_path / "e")
    model = runs.load_model(tmp_path / "e")
    assert repr(model.noise) == repr(ebmx.training.GaussianNoise(3.0, 0.25))
    # those of ten updates of persistent chains of three steps
    assert model.num_steps == 30
    short = merge(config, {"negatives": {"kind": "ShortRun", "num_steps": 7}})
    made = runs._run.make_run(short, run.run.facts)
    run = runs.OpenRun(run.folder, short, made, made.init(), 6)
    assert runs.sharing._model.Model.of(run).num_steps == 7


@pytest.mark.medium
def test_without_chains_samples_are_made_by_tempering(tmp_path, getkey):
    run = opened("sum", tmp_path / "run")
    config = merge(
        run.config,
        {
            "negatives": {"kind": "RandomProjections"},
            "loss": {"kind": "sliced_score_matching_loss"},
        },
    )
    made = runs._run.make_run(config, run.run.facts)
    model = runs.sharing._model.Model.of(runs.OpenRun(run.folder, config, made, made.init(), 6))
    assert model.num_steps is None
    x = model.sample(200, key=getkey())
    # of a Gaussian with the moments of the data, beside a network that is small
    error = np.abs(x.mean(0) - PLANE.train.mean(0)).max()
    assert error < 0.3


def test_an_export_has_no_path_of_this_machine_and_no_data(tmp_path):
    place = tmp_path / "secret"
    place.mkdir()
    np.savez(place / "points.npz", x=PLANE.train)
    run = opened("sum", tmp_path / "run")
    dataset = ebmx.data.load(str(place / "points.npz"))
    config = merge(run.config, {"data": {"name": str(place / "points.npz")}})
    made = runs._run.make_run(config, runs._facts.Facts.of(dataset))
    run = runs.OpenRun(run.folder, config, made, made.init(), 6)
    (run.folder / "report.json").write_text(
        json.dumps({"updates": 0, "frechet_ratio": 1.0, "samples_from": "chains"})
    )
    found = runs.export(run, out=tmp_path / "e")
    for path in found.files:
        assert b"secret" not in path.read_bytes()
    assert read_config(tmp_path / "e" / "config.toml")["data"]["name"] == "points.npz"
    record = json.loads((tmp_path / "e" / RECORD).read_text())
    assert record["data"]["name"] == "points.npz"
    assert not {"path", "relative_path"} & record["data"].keys()


def test_a_folder_that_is_not_empty_is_refused_and_an_export_is_overwritten(exported, tmp_path):
    run = exported[1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"not of an export \(notes.txt\); .*, or --overwrite"):
        runs.export(run, out=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    runs.export(run, out=tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    before = (tmp_path / "mine" / RECORD).stat().st_mtime_ns
    with pytest.raises(ValueError, match="holds an export; give another folder, or --overwrite"):
        runs.export(run, out=tmp_path / "mine")
    assert (tmp_path / "mine" / RECORD).stat().st_mtime_ns == before
    runs.export(run, out=tmp_path / "mine", overwrite=True)
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == sorted([*FILES, "notes.txt"])
    # a page of this name without an export beside it is the user's
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("mine")
    with pytest.raises(ValueError, match="not of an export"):
        runs.export(run, out=tmp_path / "other", overwrite=True)
    with pytest.raises(ValueError, match="is a file"):
        runs.export(run, out=tmp_path / "other" / "README.md")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "other"]


def test_the_first_free_folder_is_taken(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(runs.export(exported[1]).folder) == "export-0"
    assert str(_export._free_folder()) == "export-1"


def test_an_export_that_fails_leaves_nothing(exported, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no space")

    monkeypatch.setattr(_export, "card", fail)
    with pytest.raises(OSError, match="no space"):
        runs.export(exported[1], out=tmp_path / "e")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["safetensors", "tomli_w", "huggingface_hub"])
def test_a_missing_package_is_an_error_with_the_line_that_installs_it(
    package, exported, tmp_path, monkeypatch
):
    original = builtins.__import__

    def without(name, *rest, **more):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    push = "me/model" if package == "huggingface_hub" else None
    with pytest.raises(ImportError, match=r"pip install 'ebmx\[(share|cli)\]'"):
        runs.export(exported[1], out=tmp_path / "e", push=push)
    assert list(tmp_path.iterdir()) == []
    if package == "safetensors":
        with pytest.raises(ImportError, match=r"pip install 'ebmx\[share\]'"):
            ebmx.load_energy(exported[0])


def test_damaged_exports_are_refused(copied):
    content = (copied / ENERGY).read_bytes()
    (copied / ENERGY).write_bytes(content[:-8])
    with pytest.raises(ValueError, match=r"energy.safetensors: damaged"):
        ebmx.load_energy(copied)
    (copied / ENERGY).write_bytes(content)
    config = read_config(copied / "config.toml")
    write_config(copied / "config.toml", merge(config, {"energy": {"hidden_dims": [9]}}))
    with pytest.raises(
        ValueError, match=r"not fit config.toml: energy.layers.0.bias is \(8,\), not"
    ):
        ebmx.load_energy(copied)
    write_config(copied / "config.toml", {k: v for k, v in config.items() if k != "energy"})
    with pytest.raises(ValueError, match=r"config.toml has no table \[energy\]"):
        ebmx.load_energy(copied)
    write_config(copied / "config.toml", config)
    record = json.loads((copied / RECORD).read_text())
    (copied / RECORD).write_text(json.dumps(record | {"format": 2}))
    with pytest.raises(ValueError, match="of format 2, not 1"):
        ebmx.load_energy(copied)
    (copied / RECORD).write_text(json.dumps({"format": 1}))
    with pytest.raises(ValueError, match="damaged: 'data'"):
        ebmx.load_energy(copied)
    (copied / ENERGY).unlink()
    with pytest.raises(ValueError, match="not of `ebmx export`, or damaged"):
        ebmx.load_energy(copied)


def test_files_of_save_energy_and_what_is_no_energy(exported, tmp_path):
    energy = exported[1].energy
    save_energy(tmp_path / "file", energy)
    zeros = jax.tree.map(jnp.zeros_like, ebmx.load_energy(exported[0]))
    found = ebmx.load_energy(tmp_path / "file", zeros)
    for new, old in zip(arrays(found), arrays(energy), strict=True):
        np.testing.assert_array_equal(new, old)
    with pytest.raises(ValueError, match="give like=, an energy of the same structure"):
        ebmx.load_energy(tmp_path / "file")
    with pytest.raises(ValueError, match="like: for a file of save_energy"):
        ebmx.load_energy(exported[0], energy)
    for where in (tmp_path, tmp_path / "none", "none"):
        with pytest.raises(ValueError, match="holds no trained energy"):
            ebmx.load_energy(where)


@pytest.mark.medium
def test_numbers_of_the_file_keep_their_type(exported, copied):
    """Loaded where numbers have 64 bits by default, an energy is what it was."""
    with jax.enable_x64(True):
        energy = ebmx.load_energy(copied)
    for new, old in zip(arrays(energy), arrays(exported[1].energy), strict=True):
        assert (new.dtype, new.tobytes()) == (old.dtype, np.asarray(old).tobytes())


@pytest.mark.slow
def test_a_run_is_exported_by_the_command_and_loaded_alike(tmp_path, capsys, monkeypatch):
    from helpers import call

    run = runs.train(TINY, out=tmp_path / "run", progress=False).folder
    monkeypatch.chdir(tmp_path)
    assert call("export", run, "--out", "e", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["out"] == "e"
    assert "e/samples.png" in facts["files"]
    assert call("export", run, "--out", "e") == 2
    assert "give another folder, or --overwrite" in capsys.readouterr().err
    assert call("export", run, "--out", "e", "--overwrite", "--quiet") == 0
    assert call("export", run, "--out", "f", "--public") == 2
    assert "give push='USER/NAME' too" in capsys.readouterr().err
    of_run, of_export = ebmx.load_energy(run), ebmx.load_energy("e")
    for new, old in zip(arrays(of_export), arrays(of_run), strict=True):
        np.testing.assert_array_equal(new, old)
    assert runs.load_model(run).shape == IMAGES.shape == runs.load_model("e").shape
