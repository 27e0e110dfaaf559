"""The command line: which config its options, recipes and files make."""

import dataclasses

import numpy as np
import pytest
from helpers import call

import ebmx
from ebmx.config import RECIPES, RunConfig, read_config, recipe


@pytest.fixture
def caught(monkeypatch):
    """The configs that would be trained."""
    configs = []

    def catch(config, mesh):
        assert mesh is None
        configs.append(config)
        raise ValueError("caught")

    monkeypatch.setattr(ebmx.runs, "train", catch)
    return configs


@pytest.mark.parametrize("flag", [["--recipe", "uva_mnist"], ["--recipe=uva_mnist"]])
def test_options_go_before_the_recipe(flag, caught):
    assert call("train", *flag, "--negatives.capacity", "100", "--optimiser.clip", "None") == 2
    (config,) = caught
    base = recipe("uva_mnist")
    assert config.negatives == dataclasses.replace(base.negatives, capacity=100)
    assert config.optimiser == dataclasses.replace(base.optimiser, clip=None)
    assert (config.energy, config.sampler, config.data) == (base.energy, base.sampler, base.data)


def test_a_recipe_on_other_data(caught):
    call("train", "mnist-5k", "--recipe", "uva_mnist")
    call("train", "digits")
    call("train", "mnist-5k", "--negatives.kind", "short-run")
    one, two, three = caught
    assert one.data.name == "mnist-5k"
    assert one.data.noise == recipe("uva_mnist").data.noise
    assert one.energy == recipe("uva_mnist").energy
    assert two == RunConfig()
    # what another kind does not read is forgotten
    assert three.negatives.kind == "short-run"
    assert three.negatives.reinit_prob == RunConfig().negatives.reinit_prob


@pytest.mark.parametrize("name", [None, "improved_cd_cifar10", "convergent_mnist"])
def test_config_show_prints_toml_that_is_the_recipe(name, capsys, tmp_path):
    assert call("config", "show", *([] if name is None else ["--recipe", name])) == 0
    printed = capsys.readouterr().out
    path = tmp_path / "config.toml"
    path.write_text(printed)
    assert read_config(path) == recipe(name or "digits")
    first = RECIPES[name or "digits"].source.split()[0]
    assert printed.startswith(f"# {first}")
    assert "effective temperature" in printed


def test_config_check_says_that_a_config_can_be_run(capsys, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).uniform(size=(40, 2)))
    path = tmp_path / "config.toml"
    path.write_text(f'[data]\nname = "{tmp_path / "x.npz"}"\nbatch_size = 16\n')
    assert call("config", "check", path) == 0
    assert capsys.readouterr().out == f"{path}: this config can be run\n"
    path.write_text('[data]\nname = "hf:nobody/nothing"\n[objective]\nkind = "jem"\n')
    assert call("config", "check", path) == 0
    assert "was not tried on hf:nobody/nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stpes = 3", "stpes=3: no such key"),
        ("[energy]\nwidths = [0, 0]", "widths"),
        ("[data]\nbatch_size = 100000", "batch_size=100000"),
        ("[negatives]\ncapacity = 100", "capacity=100"),
        ('[negatives]\nkind = "cd"\nrestart = "age"', "negatives.restart=age"),
        ('[negatives]\nstorage = "uint8"\n[sampler]\nbounds = "none"', "UInt8"),
        ('[data]\nname = "nothing.npz"', "nothing.npz"),
    ],
)
def test_config_check_names_what_is_wrong(text, message, tmp_path, capsys):
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert call("config", "check", path) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--recipe", "no_such"], "recipe='no_such': no such recipe; give one of digits"),
        (["config", "show", "--recipe", "no_such"], "give one of digits, mnist_5k, uva_mnist"),
        (["train", "--recipe"], "--recipe: give a name"),
        (["config"], "usage: ebmx train"),
        (["config", "check"], "ebmx config check FILE"),
        (["config", "check", "none.toml"], "none.toml: no such file"),
    ],
)
def test_what_is_no_recipe_or_config_is_refused(arguments, message, capsys):
    assert call(*arguments) == 2
    assert message in capsys.readouterr().err


def test_a_config_file_is_where_options_begin(caught, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('seed = 3\n[data]\nname = "mnist-5k"\nbatch_size = 7\n')
    assert call("train", "--config", path, "--data.batch-size", "9") == 2
    assert call("train", "digits", "--config", path) == 2
    one, two = caught
    assert (one.seed, one.data.name, one.data.batch_size) == (3, "mnist-5k", 9)
    assert (two.data.name, two.data.batch_size) == ("digits", 7)
