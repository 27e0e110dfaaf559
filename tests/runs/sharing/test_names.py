"""What a shared config may name: nothing is imported, called or read before it is checked."""

import shutil
import sys

import pytest
from exported import opened

import ebmx
from ebmx import energies, runs, samplers, training
from ebmx.config import merge, read_config, recipe, recipes, write_config
from ebmx.config._calls import kinds
from ebmx.energies import bijections
from ebmx.runs.sharing._names import check_names

SOURCE = """
import os

from ebmx.energies import MLP

print("imported")


class Own(MLP):
    pass
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    return runs.export(opened("images", folder / "run"), out=folder / "e").folder


@pytest.mark.parametrize(
    "kind",
    [
        "os.system",
        "builtins.exec",
        "jax.numpy.load",
        "save_energy",
        "ebmx.training.save_energy",
        "ebmx.energies._base.functools.partial",
        "ebmx.energies.networks.MLP",
        "jax.nn.jax.numpy.load",
        "_check_public",
        "unknown",
        "",
        3,
    ],
)
def test_names_of_others_are_refused(kind):
    for call in ({"kind": kind}, {"kind": "MLP", "a": [{"kind": kind, "args": ["x"]}]}, f"@{kind}"):
        with pytest.raises(ValueError, match="a shared config may name what ebmx has"):
            check_names(call, path="energy")


def test_private_attributes_are_refused():
    with pytest.raises(ValueError, match=r"energy.mean='\$mean.__class__': .* private attribute"):
        check_names({"kind": "Gaussian", "mean": "$mean.__class__"}, path="energy")


def test_names_of_ebmx_are_allowed():
    for slot in ("energy", "sampler"):
        for kind in kinds(slot):
            assert check_names({"kind": kind}, path=slot) is None
    names = ["@jax.nn.silu", "ebmx.energies.MLP", "optax.linear_schedule", "Exp", "$shape"]
    check_names({"kind": "MLP", "activation": names[0], "a": {"kind": names[1]}}, path="energy")
    check_names([{"kind": names[2]}, {"kind": names[3]}, names[4]], path="energy")


@pytest.mark.parametrize("name", recipes())
def test_what_recipes_name_is_allowed(name):
    config = recipe(name)
    for part in ("energy", "sampler"):
        assert check_names(config[part], path=part) is None


def test_a_name_means_the_same_wherever_it_is_searched():
    """A name without dots is checked in three modules, and may be searched in another first."""
    public = {m: {n for n in vars(m) if n[0] != "_"} for m in (energies, bijections, samplers)}
    import optax

    for other in (training, optax):
        for module, names in public.items():
            both = {n for n in names & set(vars(other)) if callable(getattr(module, n))}
            # of optax, a transformation of gradients
            assert {n for n in both if getattr(module, n) is not getattr(other, n)} <= {"freeze"}


@pytest.mark.medium
def test_a_shared_config_is_checked_before_anything_of_it_is_run(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "e")
    made = tmp_path / "made"
    call = {"kind": "pathlib.Path.touch", "args": [str(made)]}
    config = read_config(folder / "config.toml")
    write_config(folder / "config.toml", merge(config, {"energy": {"activation": call}}))
    with pytest.raises(ValueError, match=r"energy.activation.kind='pathlib.Path.touch'"):
        ebmx.load_energy(folder)
    assert not made.exists()


def test_a_class_of_ones_own_needs_its_module(exported, tmp_path, monkeypatch, capsys):
    (tmp_path / "own_energies.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    folder = shutil.copytree(exported, tmp_path / "e")
    config = read_config(folder / "config.toml")
    sampler = {"kind": "own_energies.os.system", "args": ["true"]}
    own = {"kind": "own_energies.Own", "hidden_dims": [4]}
    run = opened("images", tmp_path / "run")
    config = merge(run.config, {"energy": own})
    made = runs._run.make_run(config, run.run.facts)
    run = runs.OpenRun(run.folder, config, made, made.init(), 6)
    folder = runs.export(run, out=tmp_path / "own").folder
    del sys.modules["own_energies"]
    capsys.readouterr()
    with pytest.raises(ValueError, match=r"if you trust .* give modules=\['own_energies'\]"):
        ebmx.load_energy(folder)
    assert "own_energies" not in sys.modules
    assert capsys.readouterr().out == ""
    energy = ebmx.load_energy(folder, modules=["own_energies"])
    assert type(energy).__name__ == "Own"
    # what the module has imported does not belong to it
    write_config(folder / "config.toml", merge(config, {"sampler": sampler}))
    with pytest.raises(ValueError, match=r"sampler.kind='own_energies.os.system'"):
        runs.load_model(folder, modules=["own_energies"])
    # the energy alone does not need the sampler
    assert ebmx.load_energy(folder, modules=["own_energies"]).shape == (8, 8, 1)
    sys.modules.pop("own_energies", None)
