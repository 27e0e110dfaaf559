"""The objects of a run: made once, from facts alone, and without another compilation."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from configs import BINARY, MATCHING, TINY, on_points

from ebmx.config import merge, recipe, recipes
from ebmx.data import Dataset
from ebmx.runs import _plan, check
from ebmx.runs._facts import Facts, checksum
from ebmx.runs._optimiser import with_plan
from ebmx.runs._run import make_run
from ebmx.samplers import Langevin, displacement_budget

SHAPES = {"digits": (8, 8, 1), "mnist_5k": (28, 28, 1), "uva_mnist": (28, 28, 1), "table": (5,)}
SHAPES |= {"convergent_mnist": (28, 28, 1), "igebm_cifar10": (32, 32, 3)}
SHAPES |= {"improved_cd_cifar10": (32, 32, 3), "jem_cifar10": (32, 32, 3)}
SHAPES |= {"cifar10_pcd": (32, 32, 3), "mnist_jem": (28, 28, 1), "digits_conditional": (8, 8, 1)}
LEVELS = {"digits_levels": (8, 8, 1), "plane_levels": (5,), "mnist_levels": (28, 28, 1)}
LEVELS |= {"cifar10_levels": (32, 32, 3)}
# From the published values: steps · factor · clip, for data of width 1 twice that, and
# noise² / (2 · factor), which is the same for data of any width.
BUDGETS = {"digits": 90, "digits_conditional": 90, "mnist_5k": 60, "uva_mnist": 60 * 10 * 0.03}
BUDGETS |= {"igebm_cifar10": 2 * 60 * 10 * 0.01, "improved_cd_cifar10": np.inf}
BUDGETS |= {"jem_cifar10": np.inf, "convergent_mnist": np.inf, "cifar10_pcd": 60, "mnist_jem": 60}
TEMPERATURES = {
    "digits": 2e-4,
    "digits_conditional": 2e-4,
    "mnist_5k": 5e-5,
    "uva_mnist": 0.005**2 / 20,
}
TEMPERATURES |= {"igebm_cifar10": 0.005**2 / 20, "improved_cd_cifar10": 0.001**2 / 200}
TEMPERATURES |= {
    "jem_cifar10": 0.01**2 / 2,
    "convergent_mnist": 1.0,
    "cifar10_pcd": 5e-5,
    "mnist_jem": 5e-5,
}
# Counted by hand, all weights and biases; the networks that the sources have too.
PARAMETERS = {"uva_mnist": 76_993, "jem_cifar10": 36_680_010}


def facts_of(shape, num_labels=10):
    x = np.zeros((4, *shape), np.float32)
    x[:2] = 0.1
    labels = None if num_labels is None else np.arange(4) % num_labels
    return dataclasses.replace(Facts.of(Dataset("x", x, x, labels, labels)), num_labels=num_labels)


def test_there_are_these_recipes():
    assert set(recipes()) == set(SHAPES | LEVELS | MATCHING | BINARY)
    assert all(text for text in recipes().values())


@pytest.mark.parametrize("name", sorted(set(SHAPES) - {"table"}))
def test_chains_of_a_recipe_cross_the_range_at_the_temperature_of_its_source(name):
    config = merge(recipe(name), {"energy": {"kind": "MLP", "hidden_dims": [2]}})
    run = make_run({**config, "loss": {"kind": "contrastive_loss"}}, facts_of((2,)))
    assert isinstance(run.sampler, Langevin)
    budget = displacement_budget(run.sampler, run.num_chain_steps)
    assert budget >= 2
    np.testing.assert_allclose(budget, BUDGETS[name], rtol=1e-5)
    np.testing.assert_allclose(run.sampler.effective_temperature, TEMPERATURES[name], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES | LEVELS)
def test_a_recipe_traces_a_step_at_full_size(name):
    """As shapes alone: nothing is computed."""
    config, shape = recipe(name), (SHAPES | LEVELS)[name]

    def step(batch, key):
        run = make_run(config, facts_of(shape))
        return run.trainer.step(run.init(), batch, key=key)

    x = jax.ShapeDtypeStruct((config["data"]["batch_size"], *shape), np.float32)
    y = jax.ShapeDtypeStruct(x.shape[:1], np.int32)
    batch = (x, y) if config["energy"]["kind"] in ("JEM", "Conditional") else x
    state, metrics = eqx.filter_eval_shape(step, batch, jax.random.key(0))
    assert metrics["loss"].shape == ()
    if name in LEVELS:
        assert state.negatives_state is None
        return
    positions = state.negatives_state.positions
    assert positions.shape == (config["negatives"]["capacity"], *shape)
    if name in PARAMETERS:
        sizes = [leaf.size for leaf in jax.tree.leaves(eqx.filter(state.energy, _is_number))]
        assert sum(sizes) == PARAMETERS[name]
    if "storage" in config["negatives"]:
        assert positions.dtype == np.uint8
        assert positions.size < 31e6


def _is_number(leaf):
    return isinstance(leaf, jax.ShapeDtypeStruct) and np.issubdtype(leaf.dtype, np.floating)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_a_recipe_takes_a_step(name, getkey):
    """With a perceptron, which compiles fast, and few chains of one step."""
    config, shape = recipe(name), (4, 4, 1) if len(SHAPES[name]) == 3 else (3,)
    network = {"kind": "MLP", "hidden_dims": [4]}
    energy = config["energy"]
    for held in ("network", "energy"):
        if held in energy:
            out = {"out_size": "$num_labels"} if held == "network" else {}
            energy = {**energy, held: {**network, **out}}
            break
    else:
        energy = network
    changes = {"energy": energy, "negatives": {"num_steps": 1, "capacity": 40}, "num_steps": 10}
    config = merge({**config, "energy": energy}, changes)
    config["sampler"].pop("grad_clip", None)
    run = make_run(config, facts_of(shape))
    x = jax.random.uniform(getkey(), (4, *shape), minval=-1, maxval=1)
    batch = (x, jnp.arange(4, dtype=jnp.int32)) if "network" in energy else x
    state = run.init()
    new, metrics = eqx.filter_jit(run.trainer.step)(state, batch, key=getkey())
    assert (int(new.step), int(new.skipped)) == (1, 0)
    assert np.isfinite(metrics["loss"])
    params = (eqx.filter(s.energy, eqx.is_inexact_array) for s in (state, new))
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: bool(np.any(a != b)), *params)))


@pytest.mark.slow
@pytest.mark.parametrize("name", LEVELS)
def test_a_recipe_over_levels_takes_a_step(name, getkey):
    """With a small perceptron, and as many levels and waves as it has."""
    shape = (4, 4, 1) if len(LEVELS[name]) == 3 else LEVELS[name]
    small = {"kind": "MLP", "hidden_dims": [4], "condition_size": 3}
    config = merge(recipe(name), {"num_steps": 10})
    own = config["energy"]["network"]
    config["energy"]["network"] = small | ({"shape": own["shape"]} if "shape" in own else {})
    for objective in config["trainer"].get("objectives", []):
        objective["num_examples"] = 8
        objective["negatives"] |= {"capacity": 16, "num_steps": 2}
    run = make_run(config, facts_of(shape))
    x, state = jax.random.uniform(getkey(), (16, *shape), minval=-1, maxval=1), run.init()
    new, metrics = eqx.filter_jit(run.trainer.step)(state, x, key=getkey())
    assert (int(new.step), int(new.skipped)) == (1, 0)
    assert {"score_loss", "classification_loss", "derivative_loss"} <= set(metrics)
    assert np.any(state.energy.network.layers[0].weight != new.energy.network.layers[0].weight)
    # the constants of the data stay
    np.testing.assert_array_equal(new.energy.mean, state.energy.mean)


def test_a_config_may_skip_outliers():
    config = merge(TINY, {"trainer": {"skip": {"kind": "SkipOutliers", "window": 20}}})
    run = make_run(config, facts_of((8, 8, 1)))
    assert run.trainer.skip.window == 20
    assert run.init().skip_state.losses.shape == (20,)
    assert make_run(TINY, facts_of((8, 8, 1))).init().skip_state is None


def test_chains_that_cannot_cross_the_range_are_refused():
    config = merge(TINY, {"sampler": {"grad_clip": 0.003}})
    with pytest.raises(ValueError, match=r"cannot cross"):
        make_run(config, facts_of((8, 8, 1)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"negatives": {"kind": "MALA", "step_size": 1.0}}, "negatives"),
        ({"sampler": {"kind": "Gaussian", "mean": 0.0}}, "sampler.kind: Gaussian is not a sampler"),
        ({"trainer": {"ema": 0.9}}, "ema"),
        ({"loss": {"kind": "denoising_score_matching_loss", "sigma": 0.1}}, "Perturbed"),
        ({"negatives": {"num_labels": "$num_labels"}}, "num_labels"),
        (
            {"energy": {**recipe("digits_levels")["energy"], "num_classes": 3}},
            "sampler.bounds=.*it corrects samples at each noise level",
        ),
    ],
)
def test_parts_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        make_run(merge(TINY, changes), facts_of((8, 8, 1), None))


def test_a_config_without_a_table_is_refused():
    config = {key: value for key, value in TINY.items() if key != "loss"}
    with pytest.raises(ValueError, match=r"loss: the config has no table \[loss\]"):
        make_run(config, facts_of((8, 8, 1)))


@pytest.mark.medium
def test_another_number_of_updates_does_not_compile_again(getkey):
    run = make_run(merge(TINY, {"seconds": 1.0}), facts_of((8, 8, 1)))
    step, traces = run.trainer.step, []

    @eqx.filter_jit
    def once(state, x, key):
        traces.append(1)
        return step(state, x, key=key)

    x = jax.random.uniform(getkey(), (16, 8, 8, 1))
    ends = [once(with_plan(run.init(), num), x, getkey())[0] for num in (10, 1000)]
    assert len(traces) == 1
    assert [int(end.opt_state.num_steps) for end in ends] == [10, 1000]
    # at the end of the plan the learning rate is 0
    late = eqx.tree_at(lambda s: s.opt_state.num_steps, ends[0], jnp.asarray(1, jnp.int32))
    still, _ = once(late, x, getkey())
    params = (eqx.filter(s.energy, eqx.is_inexact_array) for s in (late, still))
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), *params)))


def test_check_says_what_does_not_fit(tmp_path):
    config = on_points(tmp_path)
    assert check(config) == ""
    with pytest.raises(ValueError, match="batch_size=1000"):
        check(merge(config, {"data": {"batch_size": 1000}}))
    hub = merge(recipe("uva_mnist"), {})
    assert "does not download" in check(hub)


def test_given_data_are_those_that_the_config_names(tmp_path):
    x = np.zeros((6, 2), np.float32)
    with pytest.raises(ValueError, match="dataset=other: give the data that the config names"):
        _plan.plan(on_points(tmp_path), Dataset("other", x, x))


def test_facts_are_the_same_after_writing_and_reading(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    low, high = np.arange(3.0), np.arange(3.0) + 2
    names = {"columns": ("a", "b, c", "d"), "classes": tuple("stuv")}
    data = Dataset("x", x, x[:5], np.arange(20) % 4, np.arange(5) % 4, low, high, **names)
    facts = Facts.of(data)
    written = json.loads(json.dumps(facts.write(tmp_path)))
    again = Facts.read(written, tmp_path)
    assert again == facts
    assert (again.columns, again.classes) == (data.columns, data.classes)
    # runs of earlier versions have no names
    old = {name: value for name, value in written.items() if name not in names}
    assert Facts.read(old, tmp_path) == dataclasses.replace(facts, columns=(), classes=())
    assert (again.shape, again.num_labels, again.checksum) == ((3,), 4, checksum(data))
    np.testing.assert_allclose(again.stand_in.to_units(x), data.to_units(x))
    np.testing.assert_allclose(again.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(again.covariance, np.cov(x.T, bias=True), rtol=1e-5)
    np.testing.assert_allclose(again.variance, x.var(0), rtol=1e-5)
    assert checksum(dataclasses.replace(data, train=x + 1)) != facts.checksum


def test_the_covariance_of_images_is_a_matrix_unless_they_are_large():
    small, large = (
        np.random.default_rng(0).normal(size=(20, size, size, 1)).astype(np.float32)
        for size in (32, 33)
    )
    facts = Facts.of(Dataset("x", small, small))
    assert facts.covariance.shape == (1024, 1024)
    np.testing.assert_allclose(facts.variance, small.var(0), rtol=1e-4)
    facts = Facts.of(Dataset("x", large, large))
    assert facts.covariance.shape == facts.mean.shape == (33, 33, 1)
    np.testing.assert_allclose(facts.variance, large.var(0), rtol=1e-4)
