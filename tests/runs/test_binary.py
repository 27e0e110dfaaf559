"""A run on zeros and ones: trained, sampled, measured and shared."""

import jax
import matplotlib.image
import numpy as np
import pytest

from ebmx import runs
from ebmx.config import merge, recipe
from ebmx.data import Dataset, load
from ebmx.runs.report._features import outsiders
from ebmx.runs.report._landscape import landscape_section
from ebmx.training import BernoulliNoise, PackedBits

UNIFORM = {"kind": "jax.random.uniform", "minval": -0.1, "maxval": 0.1}
TINY = merge(
    recipe("digits_binary"),
    {
        "num_steps": 6,
        "log_every": 2,
        "data": {"batch_size": 16},
        "energy": {
            "weight": {**UNIFORM, "shape": [64, 8]},
            "hidden_bias": {**UNIFORM, "shape": [8]},
        },
        "negatives": {"num_steps": 2, "capacity": 32},
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of a few updates."""
    folder = tmp_path_factory.mktemp("binary") / "run"
    digits = load("digits")
    # without labels, so that no classifier is trained
    x = np.rint(digits.to_units(digits.train[:200])).astype(np.uint8)
    np.savez(folder.with_name("digits.npz"), x=x)
    config = merge(TINY, {"data": {"name": str(folder.with_name("digits.npz"))}})
    report = runs.train(config, out=folder, progress=False)
    assert report.num_updates == 6
    assert set(np.unique(report.samples)) == {0.0, 1.0}
    return folder


@pytest.mark.medium
def test_chains_are_kept_in_bits_and_start_from_them(folder):
    opened = runs.open(folder)
    buffer = opened.state.negatives_state
    assert buffer.positions.shape == (32, 8)
    assert buffer.storage == PackedBits((8, 8, 1))
    assert isinstance(opened.run.noise, BernoulliNoise)
    assert opened.span == (0.0, 1.0)


def test_samples_are_zeros_and_ones_in_the_units_of_the_data(folder):
    opened = runs.open(folder)
    for options in ({}, {"num_steps": 3}):
        x, _ = runs.sample(opened, 40, **options)
        assert x.shape == (40, 8, 8, 1)
        assert set(np.unique(x)) == {0.0, 1.0}
        assert set(np.unique(opened.to_units(x))) == {0.0, 16.0}
    assert opened.data().binarise == 0.5


def test_pictures_are_black_and_white(folder):
    picture = matplotlib.image.imread(folder / "samples.png")[..., 0]
    extremes = np.mean((picture < 0.1) | (picture > 0.9))
    assert extremes > 0.9
    assert np.mean(picture < 0.1) > 0.15


@pytest.mark.slow
def test_an_evaluation_leaves_the_landscape_out(folder):
    found = runs.evaluate(folder, num_steps=20, num=64, log_z=True)
    assert "landscape" not in found.facts
    assert "landscape" in found.facts["run"]["left out"]
    likelihood = found.facts["likelihood"]
    # the exact sum over eight hidden units
    energy = runs.open(folder).energy
    for side in ("log Z, from below", "log Z, from above"):
        assert likelihood[side] == pytest.approx(float(energy.log_z), abs=0.5)
    assert likelihood["log Jacobian"] == 0


@pytest.mark.slow
def test_an_export_starts_its_chains_from_bits(folder, tmp_path):
    model = runs.load_model(runs.export(folder, out=tmp_path / "shared").folder)
    assert isinstance(model.noise, BernoulliNoise)
    x = model.sample(8, key=jax.random.key(0))
    assert set(np.unique(x)) == {0.0, 1.0}
    assert model.span == (0.0, 1.0)


@pytest.mark.slow
def test_an_energy_trained_without_chains_is_sampled_from_independent_bits(folder, tmp_path):
    without = {
        "data": runs.open(folder).config["data"],
        "negatives": {"kind": "DiscreteNeighbours", "num_sites": 4},
        "loss": {"kind": "pseudo_likelihood_loss"},
    }
    report = runs.train(merge(TINY, without), out=tmp_path / "run", progress=False)
    assert report.source == (
        "sequential Monte Carlo from independent bits with the means of the data"
    )
    assert set(np.unique(report.samples)) == {0.0, 1.0}


def test_examples_from_outside_are_zeros_and_ones(getkey):
    x = np.random.default_rng(0).integers(0, 2, (9, 4, 4, 1)).astype(np.float32)
    data = Dataset("x", x, x, span=(0.0, 1.0), binarise=0.5)
    found = outsiders(data, data.span, [], seed=0)
    assert {value for one in found.values() for value in np.unique(one)} == {0.0, 1.0}
    assert np.ptp(found["constants"], axis=(1, 2, 3)).max() == 0
    assert len(np.unique(found["constants"])) == 2
    assert landscape_section(None, np.sum, data, x, getkey()) is None
