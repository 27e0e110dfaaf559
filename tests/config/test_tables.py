"""Configs as tables: TOML and back, merged, and changed at one place."""

import copy
import re

import pytest

from ebmx.config import merge, read_config, recipe, recipes, write_config
from ebmx.config._recipes import recipe_for
from ebmx.config._tables import change


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_is_the_same_after_writing_and_reading(name, tmp_path):
    config = recipe(name)
    write_config(tmp_path / "config.toml", config)
    assert read_config(tmp_path / "config.toml") == config


def test_tables_are_merged_and_another_kind_replaces_a_call():
    base = {"sampler": {"kind": "Langevin", "step_size": 1.0, "noise_scale": 0.1}, "seed": 0}
    before = copy.deepcopy(base)
    assert merge(base, {"sampler": {"step_size": 2.0}})["sampler"] == {
        "kind": "Langevin", "step_size": 2.0, "noise_scale": 0.1
    }  # fmt: skip
    assert merge(base, {"sampler": {"kind": "MALA"}})["sampler"] == {"kind": "MALA"}
    assert merge(base, {"sampler": {"kind": "Langevin"}}) == base
    assert merge(base, {"seed": 3})["seed"] == 3
    assert base == before


def test_updates_and_seconds_replace_each_other():
    assert merge({"seconds": 3.0}, {"num_steps": 5}) == {"num_steps": 5}
    assert merge({"num_steps": 5}, {"seconds": 3.0}) == {"seconds": 3.0}


@pytest.mark.parametrize(
    ("place", "value", "found"),
    [
        ("sampler.step_size", 0.5, lambda c: c["sampler"]["step_size"]),
        ("optim.muon.momentum", 0.5, lambda c: c["optim"][1]["momentum"]),
        ("optim.1.momentum", 0.5, lambda c: c["optim"][1]["momentum"]),
        ("optim.muon.learning_rate", 0.5, lambda c: c["optim"][1]["learning_rate"]),
        ("data.batch_size", 8, lambda c: c["data"]["batch_size"]),
        ("trainer.ema_decay", 0.5, lambda c: c["trainer"]["ema_decay"]),
    ],
)
def test_a_value_at_a_place(place, value, found):
    config = recipe("digits")
    changed = change(config, place, value)
    assert found(changed) == value
    assert config == recipe("digits"), "the given config stays"


def test_a_part_alone_names_its_kind_and_forgets_the_arguments():
    config = change(recipe("digits"), "sampler", "MALA")
    assert config["sampler"] == {"kind": "MALA"}
    assert change(recipe("digits"), "sampler.kind", "MALA") == config
    same = change(recipe("digits"), "sampler", "Langevin")
    assert same == recipe("digits")
    place, levels = "optim.adamw.learning_rate", recipe("digits_levels")
    rate = change(levels, f"{place}.peak", 0.5)["optim"][1]["learning_rate"]
    assert (rate["kind"], rate["peak"]) == ("cosine_schedule", 0.5)
    rate = change(levels, place, "constant_schedule")
    assert rate["optim"][1]["learning_rate"] == {"kind": "constant_schedule"}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("smapler.step_size", "--smapler.step_size: no key of a config: did you mean sampler?"),
        ("optim.sgd.b1", "--optim.sgd.b1: sgd is not in the list (clip_by_global_norm, muon)"),
        ("data.size", "data.size: not a key"),
    ],
)
def test_a_place_that_does_not_exist(place, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        change(recipe("digits"), place, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sedd = 1", "sedd: no key of a config: did you mean seed?"),
        ("seed = 'a'", "seed='a': give a value of type int"),
        ("num_steps = 0", "num_steps=0: give a number above 0"),
        ("seconds = true", "seconds=True"),
        ("sampler = 3", "sampler=3: give a table"),
        ("sampler = ", "not a TOML file"),
        ("[data]\nnam = 'x'", "data.nam: not a key: did you mean name?"),
    ],
)
def test_files_that_do_not_fit(text, message, tmp_path):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_config(tmp_path / "c.toml")


def test_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(ValueError, match="the file does not exist"):
        read_config(tmp_path / "none.toml")


def test_an_unknown_recipe_is_answered_with_the_names():
    with pytest.raises(ValueError, match=r"recipe='digit': unknown: did you mean digits\?"):
        recipe("digit")
    for name in ("../digits", "digits.toml", ""):
        with pytest.raises(ValueError, match="unknown"):
            recipe(name)


def test_the_recipe_for_data_follows_their_shape():
    assert recipe_for("digits", (8, 8, 1)) == recipe("digits")
    assert recipe_for("mnist-5k", (28, 28, 1)) == recipe("mnist_5k")
    table = recipe_for("x.npz", (3,))
    said = table.pop("description")
    assert said == f"Begun from the recipe table: {recipe('table')['description'].strip()}"
    assert recipe("table") | table == merge(recipe("table"), {"data": {"name": "x.npz"}})
    assert recipe_for("x.npz", (6, 5, 3))["energy"] == recipe("digits")["energy"]
