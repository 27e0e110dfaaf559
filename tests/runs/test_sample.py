"""Samples of runs with labels, with weights, without noise, and by sequential Monte Carlo."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from configs import TINY, on_points

from ebmx import runs
from ebmx.config import merge
from ebmx.data import Dataset
from ebmx.energies import JEM, Gaussian, GaussianMixture
from ebmx.runs._facts import Facts
from ebmx.runs._run import make_run
from ebmx.runs._sample import Chains, draw

pytestmark = pytest.mark.slow

NETWORK = {"kind": "MLP", "hidden_dims": [8]}
CONDITIONAL = merge(
    TINY,
    {
        "energy": {
            "kind": "Conditional",
            "network": {**NETWORK, "out_size": 8},
            "num_labels": "$num_labels",
        },
        "negatives": {"num_steps": 2, "capacity": 30, "num_labels": "$num_labels"},
        "num_steps": 2,
    },
)
HYBRID = merge(
    TINY,
    {
        "energy": {"kind": "JEM", "network": {**NETWORK, "out_size": "$num_labels"}},
        "loss": {
            "kind": "WeightedSum",
            "losses": [{"kind": "contrastive_loss"}, {"kind": "cross_entropy_loss"}],
            "weights": [1.0, 1.0],
        },
    },
)
PLAIN = merge(TINY, {"energy": NETWORK})
SHORT = {"negatives": {"kind": "CD", "num_steps": 30}}
# The logits of two classes.
SIDES = JEM(lambda x: jnp.stack([x[0], -x[0]]), (2,))


def untrained(config, num_labels=3):
    """A run and its state before the first update, for points in the plane."""
    x = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    labels = None if num_labels is None else np.arange(30) % num_labels
    run = make_run(config, Facts.of(Dataset("x", x, x, labels, labels)))
    return run, run.init()


def test_chains_of_a_class_are_those_of_the_buffer(getkey):
    run, state = untrained(CONDITIONAL)
    drawn = draw(run, state, 7, label=2, key=getkey())
    buffer = state.negatives_state
    own = {tuple(map(float, x)) for x in buffer.positions[buffer.labels == 2]}
    assert {tuple(map(float, x)) for x in drawn.x} <= own
    assert drawn.y.tolist() == [2] * 7
    assert drawn.source == "the persistent chains of the buffer, of class 2"
    equal = draw(run, state, 30, key=getkey())
    assert np.bincount(equal.y).tolist() == [10, 10, 10]
    more = draw(run, state, 25, label=0, key=getkey())
    assert more.x.shape == (25, 2)
    assert more.y.tolist() == [0] * 25


@pytest.mark.parametrize("config", [CONDITIONAL, HYBRID])
def test_chains_of_a_class_from_noise(config, getkey):
    run, state = untrained(merge(config, SHORT))
    # the first coordinate is high for class 0 and low for class 1
    energy = SIDES if config is HYBRID else SIDES.conditional
    state = dataclasses.replace(state, energy=energy, ema=energy)
    for label, sign in ((0, 1), (1, -1)):
        drawn = draw(run, state, 40, label=label, key=getkey())
        assert np.mean(np.sign(drawn.x[:, 0]) == sign) > 0.9
        assert drawn.source.endswith(f"from noise on the averaged energy, of class {label}")


def test_steps_without_noise_go_down_the_averaged_energy(getkey):
    run, state = untrained(merge(CONDITIONAL, {"sampler": {"grad_clip": "none"}}))
    key = getkey()
    plain, quiet = (
        draw(run, state, 6, chains=Chains(num_steps_without_noise=n), key=key) for n in (0, 2)
    )
    sampler = dataclasses.replace(run.sampler, noise_scale=0.0, temperature=1.0)
    x = jnp.asarray(plain.x)
    for _ in range(2):
        gradient = jax.vmap(jax.grad(lambda x, y: state.ema.at(y)(x)))(x, jnp.asarray(plain.y))
        x = sampler.confine(x - 0.5 * sampler.step_size * sampler.clip(gradient))
    np.testing.assert_allclose(quiet.x, x, atol=1e-5)
    assert np.abs(quiet.x - plain.x).max() > 1e-4
    np.testing.assert_array_equal(quiet.y, plain.y)
    assert quiet.source == f"{plain.source}, and 2 steps without noise"


def test_chains_that_are_not_langevin_s_have_no_noise_to_leave_out(getkey):
    run, state = untrained(merge(PLAIN, {"sampler": {"kind": "MALA", "step_size": 0.1}}), None)
    for num, message in ((2, "=2: MALA has no noise to leave out"), (-1, "=-1")):
        chains = Chains(num_steps_without_noise=num)
        with pytest.raises(ValueError, match=f"num_steps_without_noise{message}"):
            draw(run, state, 4, chains=chains, key=getkey())


def test_labels_that_the_energy_does_not_have_are_refused(getkey):
    run, state = untrained(CONDITIONAL)
    with pytest.raises(ValueError, match=r"label=3: labels are 0 to 2"):
        draw(run, state, 4, label=3, key=getkey())
    run, state = untrained(PLAIN, None)
    with pytest.raises(ValueError, match=r"label=0: the energy of this run has no labels"):
        draw(run, state, 4, label=0, key=getkey())


def test_data_without_labels_are_refused_by_an_energy_with_labels():
    for config in (CONDITIONAL, HYBRID):
        with pytest.raises(ValueError, match="num_labels"):
            untrained(config, None)


def test_weighted_chains_are_resampled(getkey):
    changes = {
        "negatives": {"kind": "Jarzynski", "num_steps": 2, "num_chains": 30},
        "sampler": {"kind": "MALA", "step_size": 0.1},
    }
    run, state = untrained(merge(PLAIN, changes), None)
    chains = state.negatives_state.training
    weights = jnp.where(jnp.arange(30) == 4, 0.0, -jnp.inf)
    chains = dataclasses.replace(chains, log_weights=weights)
    populations = dataclasses.replace(state.negatives_state, training=chains)
    state = dataclasses.replace(state, negatives_state=populations)
    drawn = draw(run, state, 5, key=getkey())
    np.testing.assert_array_equal(drawn.x, np.tile(chains.positions[4], (5, 1)))


def test_sequential_monte_carlo_finds_the_weights_of_modes(getkey):
    changes = {"negatives": {"kind": "DataOnly"}, "loss": {"kind": "score_matching_loss"}}
    run, state = untrained(merge(PLAIN, changes), None)
    truth = GaussianMixture(np.array([[-1.5, 0.0], [1.5, 0.5]]), 0.3, np.array([3.0, 1.0]))
    state = dataclasses.replace(state, energy=truth, ema=truth)
    drawn = draw(run, state, 2000, key=getkey())
    assert drawn.source.startswith("sequential Monte Carlo")
    assert np.mean(drawn.x[:, 0] < 0) == pytest.approx(0.75, abs=0.06)
    np.testing.assert_allclose(drawn.x.mean(0), truth.mean, atol=0.15)
    gaussian = Gaussian(np.array([0.3, -0.2]), 0.5)
    state = dataclasses.replace(state, energy=gaussian, ema=gaussian)
    drawn = draw(run, state, 777, key=getkey())
    assert drawn.x.shape == (777, 2)
    np.testing.assert_allclose(drawn.x.var(0), 0.5, rtol=0.25)


@pytest.mark.filterwarnings("ignore:.* of the numbers of samples lie at the bounds")
def test_a_conditional_run_is_sampled_by_class(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, 200)
    config = on_points(tmp_path, labels=labels)
    config = merge({**CONDITIONAL, "data": config["data"]}, {"seed": 0})
    report = runs.train(config, out=tmp_path / "run", progress=False)
    assert report.num_updates == 2
    assert (report.folder / "energies.png").exists()
    samples, source = runs.sample(report.folder, 6, label=1)
    assert samples.shape == (6, 2)
    assert source.endswith("of class 1")
    again, _ = runs.sample(report.folder, 6, label=1)
    np.testing.assert_array_equal(samples, again)
