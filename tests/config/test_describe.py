"""What a config may name, in words."""

import inspect

import pytest

import ebmx
from ebmx.config import merge, read_config, recipe, recipes, show_config
from ebmx.config._calls import kinds
from ebmx.config._describe import argument_texts, describe
from ebmx.config._trackers import TRACKERS


@pytest.mark.parametrize("part", ["energy", "sampler", "negatives", "loss", "optim"])
def test_a_part_lists_its_kinds(part):
    lines = describe(part).splitlines()
    assert [line.split()[0] for line in lines[:-2]] == kinds(part)
    assert all(len(line) <= 100 for line in lines)
    assert all(len(line.split()) > 1 for line in lines[:-2])


def test_the_table_of_trackers_lists_them_and_is_shown(tmp_path):
    lines = describe("trackers").splitlines()
    assert [line.split()[0] for line in lines] == [*TRACKERS]
    assert all(len(line) <= 100 for line in lines)
    config = merge(recipe("digits"), {"trackers": {"csv": {}, "wandb": {"project": "mine"}}})
    text = show_config(config)
    (tmp_path / "c.toml").write_text(text)
    assert read_config(tmp_path / "c.toml") == config
    shown = text.split("[trackers.csv]")[1]
    assert "# project: of the run.\nproject = " in shown
    assert "# name: of the run; one that W&B makes up if not given. Not given: None." in shown
    # these a run fills in
    assert not [word for word in ("# path", "# id") if word in shown]


def test_a_class_shows_its_arguments_and_docstring():
    text = describe("MALA")
    assert text.startswith("MALA(step_size)")
    assert inspect.getdoc(ebmx.samplers.MALA) in text
    assert describe("optax.adam").startswith("optax.adam(learning_rate")
    assert describe("contrastive_loss").startswith("contrastive_loss(energy, positives")


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"'MAAL': unknown: did you mean MALA or DMALA\?"):
        describe("MAAL")


@pytest.mark.parametrize("name", recipes())
def test_a_shown_config_is_the_config(name, tmp_path):
    text = show_config(recipe(name))
    (tmp_path / "c.toml").write_text(text)
    assert read_config(tmp_path / "c.toml") == recipe(name)
    assert max(map(len, (line for line in text.splitlines() if line.startswith("#")))) <= 100


def test_calls_within_calls_are_tables_of_their_own(tmp_path):
    mlp = {"kind": "MLP", "hidden_dims": [4, 4]}
    jump = {"kind": "Independence", "proposal": {"kind": "Gaussian", "mean": "$zeros"}}
    config = merge(
        recipe("table"),
        {
            "energy": {"energies": [{"kind": "SpectralNorm", "energy": mlp}, mlp]},
            "sampler": {"samplers": [{"kind": "Mixture", "samplers": [jump, jump]}, jump]},
            "trainer": {"data_noise": {"kind": "GaussianNoise", "scale": 0.1}},
        },
    )
    text = show_config(config)
    (tmp_path / "c.toml").write_text(text)
    assert read_config(tmp_path / "c.toml") == config
    shown = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in shown if "{" in line]
    assert "[sampler.samplers.samplers.proposal]" in shown
    # and what they mean stands there, too
    assert text.count("# hidden_dims: ") == 2


def test_a_shown_config_says_what_arguments_mean_and_which_are_not_given():
    text = show_config(recipe("digits"))
    assert "# step_size: " in text
    assert "# num_shards: " in text
    assert "Not given: 1." in text


def test_texts_of_arguments_are_those_of_the_docstring():
    texts = argument_texts(ebmx.run)
    assert set(texts) == set(inspect.signature(ebmx.run).parameters)
    assert texts["num_steps"] == "how many steps, at least 1; under `jit` it may be computed."
