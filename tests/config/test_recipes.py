"""Recipes: the numbers that they state, and that each of them trains."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest

from ebmx.config import (
    RECIPES,
    EnergyConfig,
    NegativesConfig,
    RunConfig,
    SamplerConfig,
    build_energy,
    build_trainer,
    default_config,
    forget_unread,
    recipe,
)
from ebmx.training import PCD

SHAPES = {"digits": (8, 8, 1), "mnist_5k": (28, 28, 1), "uva_mnist": (28, 28, 1)}
SHAPES |= {"convergent_mnist": (28, 28, 1), "igebm_cifar10": (32, 32, 3)}
SHAPES |= {"improved_cd_cifar10": (32, 32, 3), "jem_cifar10": (32, 32, 3)}
# From the published values: steps · factor · clip, for data of width 1 twice that, and
# noise² / (2 · factor), which is the same for data of any width.
BUDGETS = {"digits": 90, "mnist_5k": 60, "uva_mnist": 60 * 10 * 0.03}
BUDGETS |= {"igebm_cifar10": 2 * 60 * 10 * 0.01, "improved_cd_cifar10": np.inf}
BUDGETS |= {"jem_cifar10": np.inf, "convergent_mnist": np.inf}
TEMPERATURES = {"digits": 2e-4, "mnist_5k": 5e-5, "uva_mnist": 0.005**2 / 20}
TEMPERATURES |= {"igebm_cifar10": 0.005**2 / 20, "improved_cd_cifar10": 0.001**2 / 200}
TEMPERATURES |= {"jem_cifar10": 0.01**2 / 2, "convergent_mnist": 1.0}
# Counted by hand, all weights and biases; the networks that the sources have too.
PARAMETERS = {"uva_mnist": 76_993, "jem_cifar10": 36_680_010}


def num_labels(name):
    return 10 if recipe(name).objective.kind == "jem" else None


@pytest.mark.parametrize("name", RECIPES)
def test_the_budget_crosses_the_range_and_the_numbers_are_those_stated(name):
    card = RECIPES[name]
    assert card.data_range == 2
    assert card.displacement_budget >= card.data_range
    np.testing.assert_allclose(card.displacement_budget, BUDGETS[name], rtol=1e-5)
    np.testing.assert_allclose(card.effective_temperature, TEMPERATURES[name], rtol=1e-5)
    assert f"budget {card.displacement_budget:.3g} over a range of 2" in card.description
    assert f"temperature {card.effective_temperature:.3g}." in card.description
    assert card.source in card.description


def test_there_are_these_recipes():
    assert set(RECIPES) == set(SHAPES)
    assert recipe("digits") == RunConfig() == default_config("digits")
    assert default_config("mnist-5k") == recipe("mnist_5k")
    other = default_config("somewhere.npz")
    assert other.data.name == "somewhere.npz"
    assert other.energy == recipe("mnist_5k").energy


def test_an_unknown_recipe_is_refused_with_all_names():
    with pytest.raises(ValueError, match=r"recipe='igebm': no such recipe") as error:
        recipe("igebm")
    assert all(name in str(error.value) for name in RECIPES)


def test_a_recipe_that_cannot_cross_the_range_is_refused():
    sampler = dataclasses.replace(recipe("uva_mnist").sampler, grad_clip=0.003)
    config = dataclasses.replace(recipe("uva_mnist"), sampler=sampler)
    with pytest.raises(ValueError, match="cannot cross the range"):
        build_trainer(config, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_traces_a_step_at_full_size(name):
    """As shapes alone: nothing is computed."""
    config, labels = recipe(name), num_labels(name)
    trainer = build_trainer(config, 100, labels)
    x = jax.ShapeDtypeStruct((config.data.batch_size, *SHAPES[name]), np.float32)
    y = jax.ShapeDtypeStruct(x.shape[:1], np.int32)

    def step(batch, key):
        kind = config.objective.kind
        options = {"objective": kind, "num_labels": labels, "key": key}
        state = trainer.init(*build_energy(config.energy, SHAPES[name], **options), key=key)
        return trainer.step(state, batch, key=key)

    batch = x if labels is None else (x, y)
    state, metrics = eqx.filter_eval_shape(step, batch, jax.random.key(0))
    assert metrics["loss"].shape == ()
    assert isinstance(trainer.negatives, PCD)
    positions = state.negatives_state.positions
    assert positions.shape == (config.negatives.capacity, *SHAPES[name])
    if name in PARAMETERS:
        sizes = [leaf.size for leaf in jax.tree.leaves(eqx.filter(state.energy, _is_number))]
        assert sum(sizes) == PARAMETERS[name]
    if config.negatives.storage == "uint8":
        assert positions.dtype == np.uint8
        assert positions.size < 31e6


def _is_number(leaf):
    return isinstance(leaf, jax.ShapeDtypeStruct) and np.issubdtype(leaf.dtype, np.floating)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_takes_a_step(name, getkey):
    """With a perceptron, which compiles fast, and few chains of one step."""
    full, shape, labels = recipe(name), (4, 4, SHAPES[name][2]), num_labels(name)
    config = dataclasses.replace(
        full,
        energy=EnergyConfig(
            kind="mlp",
            hidden_dims=(4,),
            activation=full.energy.activation,
            norm="spectral" if full.energy.norm == "spectral" else "none",
            scale=full.energy.scale,
        ),
        negatives=dataclasses.replace(full.negatives, num_steps=1, capacity=8),
        sampler=dataclasses.replace(full.sampler, grad_clip=None),
    )
    kind = config.objective.kind
    energy = build_energy(config.energy, shape, objective=kind, num_labels=labels, key=getkey())
    trainer = build_trainer(config, 10, labels)
    state = trainer.init(*energy, key=getkey())
    x = jax.random.uniform(getkey(), (4, *shape), minval=-1, maxval=1)
    batch = x if labels is None else (x, np.arange(4, dtype=np.int32))
    new, metrics = eqx.filter_jit(trainer.step)(state, batch, key=getkey())
    assert int(new.step) == 1
    assert int(new.skipped) == 0
    assert np.isfinite(metrics["loss"])
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), *map(_parameters, (state, new)))
    assert any(jax.tree.leaves(moved))
    if kind == "jem":
        assert 0 <= float(metrics["accuracy"]) <= 1
    if kind == "improved":
        assert np.isfinite(metrics["entropy"])


def _parameters(state):
    return eqx.filter(state.energy, eqx.is_inexact_array)


def test_another_kind_on_top_of_a_recipe_forgets_what_it_does_not_read():
    base = recipe("mnist_5k")
    short = dataclasses.replace(base.negatives, kind="cd")
    config = dataclasses.replace(base, negatives=short)
    assert forget_unread(config, base).negatives == NegativesConfig(kind="cd", num_steps=20)
    said = dataclasses.replace(config, negatives=dataclasses.replace(short, reinit_prob=0.5))
    assert forget_unread(said, base).negatives.reinit_prob == 0.5
    mala = dataclasses.replace(base, sampler=dataclasses.replace(base.sampler, kind="mala"))
    assert forget_unread(mala, base).sampler == SamplerConfig(kind="mala")
    objective = dataclasses.replace(base.objective, kind="sliced")
    sliced = dataclasses.replace(base, objective=objective)
    assert forget_unread(sliced, base).negatives == NegativesConfig(num_steps=20)
    assert forget_unread(base, base) == base
