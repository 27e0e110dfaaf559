"""Configs as TOML: nothing is lost, and what does not fit is named."""

import dataclasses
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebmx.config import (
    DataConfig,
    EnergyConfig,
    NegativesConfig,
    OptimiserConfig,
    RunConfig,
    SamplerConfig,
    default_config,
    from_dict,
    mnist_config,
    read_config,
    to_dict,
    write_config,
)

floats = st.floats(allow_nan=False)
sizes = st.lists(st.integers(-(2**40), 2**40), max_size=4).map(tuple)
names = st.text(max_size=8)


CONFIGS = st.builds(
    RunConfig,
    data=st.builds(DataConfig, name=names, test_share=floats, batch_size=st.integers(-9, 2**40)),
    energy=st.builds(
        EnergyConfig,
        widths=sizes,
        kernel_sizes=sizes,
        strides=sizes,
        hidden_dims=sizes,
        activation=names,
        head=st.sampled_from(["flatten", "sum"]),
    ),
    sampler=st.builds(
        SamplerConfig, step_size=floats, noise_scale=floats, bounds=st.tuples(floats, floats)
    ),
    negatives=st.builds(
        NegativesConfig,
        kind=st.sampled_from(["pcd", "cd", "short-run"]),
        num_steps=st.integers(-9, 2**40),
        reinit_prob=floats,
    ),
    optimiser=st.builds(OptimiserConfig, learning_rate=floats, b1=floats, alpha=floats),
    steps=st.none() | st.integers(-9, 2**40),
    seconds=floats,
    seed=st.integers(-9, 2**40),
    out=st.none() | names,
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


@pytest.mark.parametrize("config", [default_config("digits"), mnist_config()])
def test_recipes_survive(config, tmp_path):
    write_config(tmp_path / "config.toml", config)
    assert read_config(tmp_path / "config.toml") == config


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
