"""The command line: which config its options, recipes and files make."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import call

import ebmx
from ebmx.config import merge, read_config, recipe, recipes
from ebmx.config._recipes import recipe_for
from ebmx.config._tables import change, to_toml


@pytest.fixture
def caught(monkeypatch):
    """The configs that would be trained."""
    configs = []

    def catch(config, *, out, overwrite, mesh, dataset=None):
        assert dataset is None or dataset.name == config["data"]["name"]
        assert (out, overwrite, mesh) == (None, False, None)
        configs.append(config)
        raise ValueError("caught")

    monkeypatch.setattr(ebmx.runs, "train", catch)
    return configs


@pytest.mark.parametrize(
    "arguments",
    [
        ["--recipe", "uva_mnist", "--negatives.capacity", "100", "--seed", "1", "digits"],
        ["digits", "--seed=1", "--negatives.capacity=100", "--recipe=uva_mnist"],
        ["--negatives.capacity", "100", "digits", "--recipe", "uva_mnist", "--seed", "1"],
        [
            "--seed",
            "1",
            "--data.name",
            "digits",
            "--recipe",
            "uva_mnist",
            "--negatives.capacity=100",
        ],
    ],
)
def test_options_come_in_any_order(arguments, caught):
    assert call("train", *arguments) == 2
    changes = {"seed": 1, "data": {"name": "digits"}, "negatives": {"capacity": 100}}
    assert caught == [merge(recipe("uva_mnist"), changes)]


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (["--sampler.bounds", "[-2.0, 2]"], {"sampler": {"bounds": [-2.0, 2]}}),
        (["--sampler.bounds", "none"], {"sampler": {"bounds": "none"}}),
        (["--sampler.grad_clip", "None"], {"sampler": {"grad_clip": "none"}}),
        (["--sampler.step-size", "-1"], {"sampler": {"step_size": -1}}),
        (["--data.standardise", "True"], {"data": {"standardise": True}}),
        (["--data.standardise", "true"], {"data": {"standardise": True}}),
        (["--energy.activation", "relu"], {"energy": {"activation": "relu"}}),
        (["--sampler", "MALA"], {"sampler": {"kind": "MALA"}}),
        (
            ["--sampler", "MALA", "--sampler.step_size", "0.1"],
            {"sampler": {"kind": "MALA", "step_size": 0.1}},
        ),
        (["--negatives.storage", "UInt8"], {"negatives": {"storage": {"kind": "UInt8"}}}),
        (
            ["--negatives.noise", "GaussianNoise", "--negatives.noise.scale", "2.0"],
            {"negatives": {"noise": {"kind": "GaussianNoise", "scale": 2.0}}},
        ),
        (["--negatives.num_steps", "$num_labels"], {"negatives": {"num_steps": "$num_labels"}}),
        (["--steps", "3"], {"num_steps": 3}),
        (["--num-steps", "3", "--log-every", "2"], {"num_steps": 3, "log_every": 2}),
        (["--seconds", "3"], {"seconds": 3.0}),
        (["--trainer.ema_decay", "0.5"], {"trainer": {"ema_decay": 0.5}}),
    ],
)
def test_what_an_option_changes(options, changes, caught):
    call("train", "digits", *options)
    assert caught == [merge(recipe("digits"), changes)]


def test_an_element_of_a_list_is_named_by_its_kind(caught):
    call("train", "digits", "--optim.muon.momentum", "0.5")
    call("train", "digits", "--optim.0.max_norm", "2.0")
    call("train", "digits", "--optim.muon.learning_rate", "1e-3")
    places = [("optim.1.momentum", 0.5), ("optim.0.max_norm", 2.0), ("optim.1.learning_rate", 1e-3)]
    assert caught == [change(recipe("digits"), *place) for place in places]


def test_data_decide_the_recipe(caught, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).uniform(size=(20, 4)))
    path = tmp_path / "x.npz"
    for arguments in ([], ["digits"], ["mnist-5k"], [path], [path, "--data.test_fraction=0.5"]):
        call("train", *arguments)
    assert caught[:3] == [recipe("digits"), recipe("digits"), recipe("mnist_5k")]
    table = recipe_for(str(path), (4,))
    # no more than there are training examples
    assert caught[3] == merge(table, {"data": {"batch_size": 16}})
    assert caught[4] == merge(table, {"data": {"batch_size": 10, "test_fraction": 0.5}})
    assert caught[3]["energy"]["kind"] == "Product"


def test_a_config_file_is_where_options_begin(caught, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('seed = 3\n[data]\nname = "mnist-5k"\nbatch_size = 7\n')
    assert call("train", "--config", path, "--data.batch-size", "9") == 2
    assert call("train", "digits", "--config", path) == 2
    one, two = caught
    assert one == {"seed": 3, "data": {"name": "mnist-5k", "batch_size": 9}}
    assert two == {"seed": 3, "data": {"name": "digits", "batch_size": 7}}


@pytest.mark.parametrize("name", [None, *recipes()])
def test_config_show_prints_toml_that_is_the_recipe(name, capsys, tmp_path):
    assert call("config", "show", *([] if name is None else ["--recipe", name])) == 0
    printed = capsys.readouterr().out
    path = tmp_path / "config.toml"
    path.write_text(printed)
    assert read_config(path) == recipe(name or "digits")
    assert "# batch_size: examples" in printed
    assert call("config", "show", path) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.medium
def test_a_config_that_is_shown_can_be_checked(capsys, tmp_path):
    path = tmp_path / "config.toml"
    for name, more in (("digits", ""), ("convergent_mnist", "the network was not tried on hf:")):
        assert call("config", "show", "--recipe", name) == 0
        path.write_text(capsys.readouterr().out)
        assert call("config", "check", path) == 0
        assert f"{path}: this config can be run{more and '; '}{more}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_pipe_from_show_to_check():
    ebmx_ = f"{sys.executable} -m ebmx"
    pipe = f"{ebmx_} config show | {ebmx_} config check /dev/stdin"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "/dev/stdin: this config can be run\n")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (None, "num_stpes = 3\n", "num_stpes: no key of a config: did you mean num_steps?"),
        (None, "seed = -1\n", "seed=-1: give a whole number from 0"),
        (None, "[sampler\n", "not a TOML file"),
        ("energy.channels", [0, 0], "channels"),
        ("energy.widths", [4], "energy.widths: ConvNet does not take this argument"),
        ("data.batch_size", 100000, "batch_size=100000"),
        ("data.batchsize", 10, "data.batchsize: not a key: did you mean batch_size?"),
        ("negatives.capacity", 100, "capacity=100"),
        ("negatives.kind", "CDD", "negatives.kind='CDD': unknown: did you mean CD or PCD?"),
        ("sampler", {"kind": "DataOnly"}, "sampler.kind: DataOnly is not a sampler"),
        ("data.name", "nothing.npz", "nothing.npz"),
        ("data", {}, "data.name: the config names no data"),
    ],
)
def test_config_check_names_what_is_wrong(place, value, message, tmp_path, capsys):
    path = tmp_path / "config.toml"
    if place is None:
        path.write_text(value)
    else:
        config = recipe("digits")
        parent, _, name = place.rpartition(".")
        (config[parent] if parent else config)[name] = value
        path.write_text(to_toml(config))
    assert call("config", "check", path) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_a_config_without_tables_cannot_be_run(tmp_path, capsys):
    path = tmp_path / "config.toml"
    for text, table in (("", "data"), ('[data]\nname = "digits"\n', "energy")):
        path.write_text(text)
        assert call("config", "check", path) == 2
        assert f"the config has no table [{table}]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "--recipe", "uva_mnsit"],
            "recipe='uva_mnsit': unknown: did you mean uva_mnist?",
        ),
        (
            ["config", "show", "--recipe", "no_such"],
            "there are cifar10_levels, cifar10_matching, cifar10_pcd, convergent_mnist, digits, ",
        ),
        (["train", "--recipe"], "--recipe: expected one argument"),
        (["train", "--recipe", "digits", "--config", "c.toml"], "not allowed with argument"),
        (["train", "--config", "none.toml"], "none.toml: the file does not exist"),
        (["config"], "action"),
        (["config", "check"], "config check: give a FILE"),
        (["config", "check", "none.toml"], "none.toml: the file does not exist"),
        (["config", "show", "none.toml"], "none.toml: the file does not exist"),
        (["config", "check", "/"], "the file does not exist"),
    ],
)
def test_unknown_recipes_and_files_are_refused(arguments, message, capsys):
    assert call(*arguments) == 2
    assert message in capsys.readouterr().err


FAILING = """
from ebmx.energies import MLP, AbstractEnergy


class Failing(AbstractEnergy):
    network: MLP
    shape: tuple[int, ...]

    def __init__(self, shape, *, key):
        self.network, self.shape = MLP(shape, (4,), key=key), shape

    def __call__(self, x):
        return self.network(x) + "one"
"""


def test_an_energy_of_ones_own_that_fails(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_energy.py").write_text(FAILING)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "c.toml").write_text(
        to_toml(change(recipe("digits"), "energy", "my_energy.Failing") | {"num_steps": 1})
    )
    assert call("config", "check", tmp_path / "c.toml") == 2
    assert "an update of this config fails: " in capsys.readouterr().err
