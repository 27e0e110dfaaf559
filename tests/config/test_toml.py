"""Configs as TOML: nothing is lost, and what does not fit is named."""

import dataclasses
import re
import sys
import tomllib
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebmx.config import (
    RECIPES,
    DataConfig,
    EnergyConfig,
    NegativesConfig,
    ObjectiveConfig,
    OptimiserConfig,
    RunConfig,
    SamplerConfig,
    from_dict,
    read_config,
    recipe,
    show_config,
    to_dict,
    write_config,
)

floats = st.floats(allow_nan=False)
sizes = st.lists(st.integers(-(2**40), 2**40), max_size=4).map(tuple)
names = st.text(max_size=8)


def maybe(strategy):
    return st.none() | strategy


def one_of(kind, name):
    """One of the words that a field takes."""
    hints = typing.get_type_hints(kind)[name]
    options = [typing.get_args(hint) or (hint,) for hint in (hints, *typing.get_args(hints))]
    words = {word for group in options for word in group if isinstance(word, str)}
    return st.sampled_from(sorted(words))


def words(kind, *names):
    return {name: one_of(kind, name) for name in names}


CONFIGS = st.builds(
    RunConfig,
    data=st.builds(DataConfig, name=names, test_share=floats, batch_size=st.integers(-9, 2**40)),
    energy=st.builds(
        EnergyConfig,
        widths=sizes,
        kernel_sizes=sizes,
        strides=sizes,
        paddings=maybe(sizes),
        hidden_dims=sizes,
        activation=names,
        compute_dtype=maybe(one_of(EnergyConfig, "compute_dtype")),
        scale=floats,
        **words(EnergyConfig, "kind", "norm", "head"),
    ),
    sampler=st.builds(
        SamplerConfig,
        step_size=floats,
        noise_scale=maybe(floats),
        grad_clip=maybe(floats),
        bounds=maybe(st.tuples(floats, floats)),
        **words(SamplerConfig, "kind"),
    ),
    negatives=st.builds(
        NegativesConfig,
        num_steps=st.integers(-9, 2**40),
        reinit_prob=floats,
        **words(NegativesConfig, "kind", "restart", "storage"),
    ),
    objective=st.builds(ObjectiveConfig, alpha=floats, **words(ObjectiveConfig, "kind")),
    optimiser=st.builds(
        OptimiserConfig,
        learning_rate=floats,
        b1=floats,
        clip=maybe(floats),
        **words(OptimiserConfig, "kind", "schedule"),
    ),
    steps=maybe(st.integers(-9, 2**40)),
    seconds=floats,
    seed=st.integers(-9, 2**40),
    out=maybe(names | st.just("none")),
)


@given(config=CONFIGS)
def test_reading_gives_back_what_was_written(config, tmp_path):
    path = tmp_path / "config.toml"
    write_config(path, config)
    assert read_config(path) == config
    text = path.read_text()
    write_config(path, read_config(path))
    assert path.read_text() == text


@given(config=CONFIGS)
def test_dictionaries_hold_every_field_but_none(config):
    values = to_dict(config)
    assert from_dict(values) == config
    missing = {f.name for f in dataclasses.fields(config)} - set(values)
    assert missing == {n for n in ("steps", "out") if getattr(config, n) is None}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive(name, tmp_path):
    write_config(tmp_path / "config.toml", recipe(name))
    assert read_config(tmp_path / "config.toml") == recipe(name)


@given(config=CONFIGS)
def test_a_config_is_shown_as_toml_that_reads_as_itself(config):
    assert from_dict(tomllib.loads(show_config(config, "A title."))) == config


def test_a_config_is_shown_with_the_meaning_of_each_field():
    text = show_config(RunConfig(), "A title.")
    assert text.startswith("# A title.\n")
    lines = text.splitlines()
    assert all(len(line) <= 100 for line in lines)
    for at, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            assert lines[at - 1].startswith("# "), line
    assert "# The probability that a drawn chain restarts from noise (pcd).\n" in text
    assert "One of adam, sgd." in text
    assert "# steps is not given\n" in text


def test_nothing_is_a_word_where_it_is_not_the_default(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[sampler]\nnoise_scale = "none"\nbounds = "none"\n')
    sampler = read_config(path).sampler
    assert sampler == SamplerConfig(noise_scale=None, bounds=None)
    assert 'noise_scale = "none"' in show_config(RunConfig(sampler=sampler))


def test_tuples_literals_and_tables_come_back_as_they_were(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        'steps = 7\nseconds = 3\n[energy]\nwidths = [1, 2]\nhead = "sum"\n'
        "[sampler]\nbounds = [-2.0, 3.5]\n"
    )
    config = read_config(path)
    assert config.energy.widths == (1, 2)
    assert config.energy.head == "sum"
    assert config.sampler.bounds == (-2.0, 3.5)
    assert config.steps == 7
    assert config.out is None
    assert isinstance(config.seconds, float)


def test_whole_numbers_are_numbers_too(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[sampler]\nbounds = [-1, 1]\nstep_size = 2\n")
    sampler = read_config(path).sampler
    assert sampler.bounds == (-1.0, 1.0)
    assert all(isinstance(value, float) for value in (*sampler.bounds, sampler.step_size))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("stpes = 3", "stpes"),
        ("[sampler]\nstep = 2.0", "sampler.step"),
        ("[langevin]\nstep_size = 2.0", "langevin"),
        ("[energy.widths]\na = 1", "energy.widths"),
    ],
)
def test_an_unknown_key_is_named(text, key, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{re.escape(key)}="):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "key", "kind"),
    [
        ("steps = 2.5", "steps", "int | None"),
        ("steps = true", "steps", "int | None"),
        ('seed = "0"', "seed", "int"),
        ('seconds = "60"', "seconds", "float"),
        ("seconds = false", "seconds", "float"),
        ("out = 3", "out", "str | None"),
        ("sampler = 3", "sampler", "table"),
        ("[data]\nname = 3", "data.name", "str"),
        ("[energy]\nwidths = 32", "energy.widths", "tuple"),
        ("[energy]\nwidths = [32, 2.5]", "energy.widths", "tuple"),
        ("[sampler]\nbounds = [0.0]", "sampler.bounds", "tuple"),
        ("[sampler]\nbounds = [0.0, 1.0, 2.0]", "sampler.bounds", "tuple"),
        ("[sampler]\nbounds = 3", "sampler.bounds", "tuple"),
        ('[sampler]\nstep_size = "none"', "sampler.step_size", "float"),
        ('[energy]\nhead = "mean"', "energy.head", "flatten"),
        ('[negatives]\nkind = "PCD"', "negatives.kind", "short-run"),
    ],
)
def test_a_value_of_another_type_is_named(text, key, kind, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{re.escape(key)}=.*give a .*{re.escape(kind)}"):
        read_config(path)


@pytest.mark.parametrize("content", [b"steps = ", b"= 3", b"\xff\xfe\x00", b"[data", b"{}"])
def test_what_is_no_toml_is_refused(content, tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.toml: not a TOML file"):
        read_config(path)


def test_a_config_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"config\.toml"):
        read_config(tmp_path / "config.toml")


def test_writing_without_its_package_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    with pytest.raises(ImportError, match=r"tomli-w: pip install 'ebmx\[cli\]'"):
        write_config(tmp_path / "config.toml", RunConfig())
