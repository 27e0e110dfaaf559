"""Recipes of energy matching: transport from the start, chains beside it in a second phase."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest
from configs import MATCHING, on_points

from ebmx import fit
from ebmx.config import merge, recipe
from ebmx.data import Dataset
from ebmx.runs import check
from ebmx.runs._facts import Facts
from ebmx.runs._run import make_run
from ebmx.runs._sample import draw
from ebmx.training import GaussianNoise, SplitNegatives, TransportPairs, UniformNoise

# Published: dt, steps of the chains, the temperature at their end; and the network's size here.
DT = {
    "mnist_5k_matching": (0.025, 75, 0.01),
    "mnist_matching": (0.025, 75, 0.01),
    "cifar10_matching": (0.01, 200, 0.01),
}
PARAMETERS = {"mnist_5k_matching": 206e3, "mnist_matching": 2.06e6, "cifar10_matching": 22.9e6}
# The published bound is one of the weighted loss.
BOUNDS = {"mnist_5k_matching": -2.5, "mnist_matching": -0.05, "cifar10_matching": -0.02}


def facts_of(shape):
    x = np.zeros((4, *shape), np.float32)
    x[:2] = 0.1
    return dataclasses.replace(Facts.of(Dataset("x", x, x)), num_labels=10)


def small(name, start=1, num_steps=2, **changes):
    """A perceptron on 4×4 images whose second phase begins at `start`, with chains of two steps."""
    config = recipe(name)
    config["energy"] = {"kind": "MLP", "hidden_dims": [4]}
    (further,) = config["trainer"]["objectives"]
    further["start"] = start
    for source in further["negatives"]["sources"]:
        source["num_steps"] = 2
    return merge(config, {"num_steps": num_steps, **changes})


@pytest.mark.medium
@pytest.mark.parametrize("name", MATCHING)
def test_an_update_of_each_phase(name, getkey):
    shape = (4, 4, MATCHING[name][2])
    run = make_run(small(name), facts_of(shape))
    x = jax.random.uniform(getkey(), (8, *shape), minval=-1, maxval=1)
    state, history = fit(
        run.trainer, run.init(), [x] * 2, num_steps=2, log_every=1, key=getkey(), progress=False
    )
    assert (int(state.step), int(state.skipped)) == (2, 0)
    np.testing.assert_array_equal(np.isfinite(history["contrastive_loss"]), [False, True])
    assert history["restarts"][1] == 4
    # the mean over pixels of the transport, to which the other loss is added
    size = np.prod(MATCHING[name])
    np.testing.assert_allclose(history["loss"][0] * size, history["loss_0"][0], rtol=1e-4)
    added = run.trainer.objectives[0].weight * history["contrastive_loss"][1]
    total = history["loss_0"][1] / size + added
    np.testing.assert_allclose(history["loss"][1], total, rtol=1e-4)
    first, last = (s.energy.layers[-1].weight for s in (run.init(), state))
    assert np.any(first != last)


@pytest.mark.parametrize("name", MATCHING)
def test_chains_are_cold_to_time_one_and_then_warm_up(name):
    run = make_run(small(name), facts_of((2, 2, 1)))
    dt, num_steps, last = DT[name]
    begin = round(1 / dt)
    temperatures = [float(run.sampler.at(k).temperature) for k in range(num_steps + 9)]
    assert temperatures[: begin + 1] == [0.0] * (begin + 1)
    rising = np.array(temperatures[begin : num_steps + 1])
    np.testing.assert_allclose(rising, np.linspace(0, last, len(rising)), rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(temperatures[num_steps:], last, rtol=1e-5)
    assert float(run.sampler.sampler.step_size) == pytest.approx(2 * dt)


@pytest.mark.parametrize("name", MATCHING)
def test_half_of_the_chains_start_from_data(name):
    run = make_run(recipe(name) | {"energy": {"kind": "MLP", "hidden_dims": [2]}}, facts_of((2,)))
    trainer = run.trainer
    (further,) = trainer.objectives
    assert isinstance(trainer.negatives, TransportPairs)
    assert isinstance(further.negatives, SplitNegatives)
    of_data, of_noise = further.negatives.sources
    assert [type(one).__name__ for one in (of_data, of_noise)] == ["CD", "ShortRun"]
    assert of_data.num_steps == of_noise.num_steps == DT[name][1]
    assert of_data.sampler is of_noise.sampler is run.sampler
    # where the transport begins
    for noise in (of_noise.noise, trainer.negatives.noise):
        assert isinstance(noise, GaussianNoise)
        assert (float(noise.mean), float(noise.scale)) == (0, 1)
    settings = further.loss.keywords
    np.testing.assert_allclose(further.weight * settings["lower_bound"], BOUNDS[name], rtol=1e-5)
    assert float(settings["trim"]) == pytest.approx(0.1)
    assert trainer.boundaries == (further.start,)
    assert further.start < run.num_steps


@pytest.mark.slow
@pytest.mark.parametrize("name", MATCHING)
def test_both_phases_trace_at_full_size(name):
    """As shapes alone: nothing is computed."""
    config, shape = recipe(name), MATCHING[name]
    x = jax.ShapeDtypeStruct((config["data"]["batch_size"], *shape), np.float32)
    for first in (0, config["trainer"]["objectives"][0]["start"]):

        def step(batch, key, first=first):
            run = make_run(config, facts_of(shape))
            return run.trainer.at_step(first).step(run.init(), batch, key=key)

        state, metrics = eqx.filter_eval_shape(step, x, jax.random.key(0))
        assert metrics["loss"].shape == ()
        assert ("contrastive_loss" in metrics) == (first > 0)
    numbers = eqx.filter(state.energy, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    total = sum(leaf.size for leaf in jax.tree.leaves(numbers))
    assert total == pytest.approx(PARAMETERS[name], rel=0.005)


def test_samples_are_chains_from_the_noise_of_the_transport(getkey):
    run = make_run(small("mnist_matching"), facts_of((2, 2, 1)))
    drawn = draw(run, run.init(), 5, key=getkey())
    assert drawn.x.shape == (5, 2, 2, 1)
    assert drawn.source == "chains of 2 steps from noise on the averaged energy"
    starts = np.asarray(run.starts(2000, key=getkey()))
    np.testing.assert_allclose([starts.mean(), starts.std()], [0, 1], atol=0.05)


def test_samples_of_split_negatives_are_chains_from_their_noise(getkey):
    config = small("mnist_matching")
    split = config["trainer"].pop("objectives")[0]["negatives"]
    split["sources"][1]["noise"] = {"kind": "UniformNoise", "low": 3.0, "high": 4.0}
    nested = {"kind": "SplitNegatives", "sources": [split["sources"][0], split]}
    config |= {"negatives": nested, "loss": {"kind": "contrastive_loss"}}
    run = make_run(config, facts_of((2, 2, 1)))
    assert run.num_chain_steps == 2
    starts = np.asarray(run.starts(50, key=getkey()))
    assert np.all((starts >= 3) & (starts < 4))
    source = draw(run, run.init(), 5, key=getkey()).source
    assert source == "chains of 2 steps from noise on the averaged energy"


def test_chains_of_data_alone_are_not_those_of_samples():
    config = small("mnist_matching")
    (further,) = config["trainer"]["objectives"]
    further["negatives"] = further["negatives"]["sources"][0]
    run = make_run(config, facts_of((2, 2, 1)))
    assert run.num_chain_steps is None
    further["negatives"] = {"kind": "ShortRun", "num_steps": 3}
    assert make_run(config, facts_of((2, 2, 1))).num_chain_steps == 3
    # chains of noisy data, or at a noise level
    noisy = merge(config, {})
    noisy["trainer"]["objectives"][0]["sigma"] = 0.1
    assert make_run(noisy, facts_of((2, 2, 1))).num_chain_steps is None
    config["negatives"] = {"kind": "PCD", "num_steps": 4, "noise": {"kind": "UniformNoise"}}
    config["loss"] = {"kind": "contrastive_loss"}
    run = make_run(config, facts_of((2, 2, 1)))
    assert run.num_chain_steps == 4
    assert isinstance(run.trainer.negatives.noise, UniformNoise)


@pytest.mark.medium
def test_a_check_tries_the_second_phase(tmp_path):
    data = on_points(tmp_path)["data"]
    config = merge(small("mnist_matching", data=data), {"data": {"batch_size": 8}})
    assert check(config) == ""
    odd = merge(config, {"data": {"batch_size": 7}})
    with pytest.raises(ValueError, match="batch_size=7: give a multiple of the 2 sources"):
        check(odd)
    # a phase that the training does not come to is not tried
    assert check(merge(odd, {"num_steps": 1})) == ""
