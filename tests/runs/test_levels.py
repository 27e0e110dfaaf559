"""Runs of energies over noise levels: trained, resumed, opened without their data, and sampled."""

import functools
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from configs import LEVELS, LEVELS_AND_CHAINS

import ebmx
import ebmx.runs.report._features
from ebmx import runs
from ebmx.config import merge, recipe
from ebmx.data import Dataset
from ebmx.energies import AbstractNoiseConditionalEnergy, log_density
from ebmx.evaluation import train_classifier
from ebmx.runs._facts import Facts
from ebmx.runs._kept_chains import chains_over_levels
from ebmx.runs._plan import check_spread
from ebmx.runs._run import at_lowest_level, data_with_noise, make_run, with_noise
from ebmx.runs._sample import Chains, draw

SOURCE = "4 noise levels down to 0.15, with 5 steps of MALA at each"
MOMENTS = [[1.0, 0.5], [0.5, 2.0]]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    # how well the features were trained, and how many samples there are, is not what is tested
    quick = functools.partial(train_classifier, num_steps=5)
    monkeypatch.setattr(ebmx.runs.report._features, "train_classifier", quick)
    monkeypatch.setattr(ebmx.runs._train, "_NUM_SAMPLES", 200)


def untrained(**changes):
    """A run on points in the plane, and its state before the first update."""
    x = np.random.default_rng(0).multivariate_normal([1.0, -1.0], MOMENTS, 3000)
    labels = np.arange(3000) % 3
    config = merge(LEVELS, {"energy": changes})
    run = make_run(config, Facts.of(Dataset("x", x.astype(np.float32), x[:9], labels, labels[:9])))
    return run, run.init()


@pytest.mark.slow
def test_a_run_on_digits(tmp_path):
    report = runs.train(LEVELS, out=tmp_path / "run", progress=False)
    assert report.source == SOURCE
    assert report.samples.shape == (200, 8, 8, 1)
    assert report.frechet_ratio > 1
    assert {path.name for path in report.pictures} == {"samples.png", "energies.png"}
    assert json.loads((report.folder / "report.json").read_text())["skipped_updates"] == 0
    opened = runs.open(report.folder)
    assert isinstance(opened.energy, AbstractNoiseConditionalEnergy)
    train = opened.data().train
    np.testing.assert_allclose(opened.energy.mean, train.mean(0), atol=1e-5)
    top = np.asarray(opened.energy.top.covariance)
    want = np.cov(train.reshape(len(train), -1).T, bias=True) + 144 * np.eye(64)
    np.testing.assert_allclose(top, want, rtol=1e-3, atol=1e-3)
    assert np.all(np.isfinite(log_density(opened.energy, train[:5])))
    x, source = runs.sample(opened, 5, seed=1)
    assert (x.shape, source) == ((5, 8, 8, 1), SOURCE)
    np.testing.assert_array_equal(x, runs.sample(report.folder, 5, seed=1)[0])
    # and a resumption has the same constants of the data
    short = runs.train(merge(LEVELS, {"num_steps": 2}), out=tmp_path / "two", progress=False)
    assert runs.resume(short.folder, num_steps=4, progress=False).num_updates == 4
    one, two = (runs.open(tmp_path / name).energy for name in ("run", "two"))
    assert jax.tree.structure(one) == jax.tree.structure(two)
    np.testing.assert_array_equal(one.axes, two.axes)


@pytest.mark.medium
def test_chains_that_have_not_moved_are_no_samples(getkey):
    x = np.random.default_rng(0).normal(size=(200, 8, 8, 1)).astype(np.float32)
    run = make_run(LEVELS_AND_CHAINS, Facts.of(Dataset("x", x, x[:9])))
    state = run.init()
    assert chains_over_levels(run, state) is None
    moved = eqx.tree_at(lambda s: s.objective_states[0].ages, state, jnp.ones(64, jnp.int32))
    kept, sigma = chains_over_levels(run, moved)
    assert sigma == pytest.approx(0.2)
    assert kept.num_steps == 2


def test_the_highest_level_is_compared_with_the_first_principal_axis():
    """Coordinates that go together have a larger standard deviation than each alone."""
    common = np.random.default_rng(0).normal(size=(2000, 1))
    x = (common + 0.1 * np.random.default_rng(1).normal(size=(2000, 25))).astype(np.float32)
    spread = np.sqrt(np.linalg.eigvalsh(np.cov(x.T, bias=True))[-1])
    for high, ok in ((3.9 * spread, False), (4.1 * spread, True)):
        levels = {"kind": "geometric_levels", "low": 0.1, "high": float(high), "num_levels": 4}
        changes = {"energy": {"covariance": 1.0, "levels": levels}}
        run = make_run(merge(LEVELS, changes), Facts.of(Dataset("x", x, x[:9])))
        if ok:
            check_spread(run.energy, x)
            continue
        with pytest.raises(ValueError, match=f"energy.levels=.*deviation of {spread:.3g}: give"):
            check_spread(run.energy, x)


@pytest.mark.slow
def test_samples_begin_with_the_chains_of_one_level(tmp_path):
    report = runs.train(LEVELS_AND_CHAINS, out=tmp_path / "run", progress=False)
    source = "the persistent chains of the buffer, moved on by 2 steps for each further set, "
    source += "at noise level 0.2, down to 0.15"
    assert report.source == source
    assert report.samples.shape == (200, 8, 8, 1)
    opened = runs.open(report.folder)
    assert int(opened.state.objective_states[0].ages.max()) > 0
    train = opened.data().train
    # chains began at data with noise, two steps an update
    x, _ = runs.sample(opened, 30)
    near = np.sqrt(((x[:, None] - train[None]) ** 2).sum((2, 3, 4)).min(1))
    assert np.median(near) < 0.2 * np.sqrt(64) * 1.5
    _, source = runs.sample(opened, 5, num_steps=3)
    assert source == SOURCE.replace("5 steps", "3 steps")
    more = runs.resume(report.folder, num_steps=6, progress=False)
    assert more.num_updates == 6


@pytest.mark.medium
def test_vectors_whose_network_sees_waves(tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 3)) * [1, 20, 300] + 7
    np.savez(tmp_path / "x.npz", x=x.astype(np.float32))
    changes = {
        "num_steps": 2,
        "data": {"name": str(tmp_path / "x.npz"), "batch_size": 32},
        "energy": {
            "levels": {"low": 0.3, "num_levels": 3},
            "features": {"num_waves": 4},
            "network": {"hidden_dims": [8], "condition_size": 4},
        },
    }
    report = runs.train(
        merge(recipe("plane_levels"), changes), out=tmp_path / "run", progress=False
    )
    assert report.frechet_ratio is None
    assert {path.name for path in report.pictures} == {"marginals.png", "energies.png"}
    (tmp_path / "x.npz").unlink()
    opened = runs.open(report.folder)
    assert opened.energy.network.shape == (11,)
    samples, _ = runs.sample(opened, 1000, num_steps=100)
    # near the Gaussian of the data, since the network has learned nothing yet
    np.testing.assert_allclose(opened.to_units(samples).std(0), x.std(0), rtol=0.2)


@pytest.mark.slow
def test_the_evaluation_has_the_likelihood_and_the_levels(tmp_path):
    x = np.random.default_rng(0).uniform(0, 8, size=(200, 2, 2)).astype(int)
    np.savez(tmp_path / "x.npz", x=x)
    config = merge(LEVELS, {"data": {"name": str(tmp_path / "x.npz")}, "num_steps": 2})
    run = runs.train(config, out=tmp_path / "run", progress=False).folder
    found = runs.evaluate(run, num_steps=5, num=20)
    facts = found.facts
    assert facts["run"]["noise"] == pytest.approx(0.15)
    assert {"likelihood", "levels", "long_run", "landscape", "energies"} <= set(facts)
    assert len(facts["levels"]) == 4
    energies = facts["energies"]["test data"]["mean"]
    assert facts["likelihood"]["test data"] == pytest.approx(-energies, abs=1.0)
    assert 1 < facts["likelihood"]["bits per dimension"] < 20
    names = {path.name for path in found.pictures}
    assert "levels.png" in names
    assert "chain.png" not in names
    page = (found.folder / "report.md").read_text()
    assert "The data take 8 values." in page
    assert "The chains sample the lowest noise level, 0.15, in units of it." in page


@pytest.mark.medium
def test_samples_before_training_are_the_gaussian_with_the_moments_of_the_data(getkey):
    run, state = untrained()
    silent = jax.tree.map(jnp.zeros_like, state.ema.network.layers[-1])
    state = eqx.tree_at(lambda s: s.ema.network.layers[-1], state, silent)
    drawn = draw(run, state, 3000, chains=Chains(num_steps=400), key=getkey())
    assert drawn.y is None
    want = np.array(MOMENTS) + 0.15**2 * np.eye(2)
    np.testing.assert_allclose(np.cov(drawn.x.T), want, atol=0.2)
    np.testing.assert_allclose(drawn.x.mean(0), [1, -1], atol=0.12)
    other = Chains(num_steps=2, sampler=ebmx.samplers.HMC(0.3))
    source = draw(run, state, 3, chains=other, key=getkey()).source
    assert source == "4 noise levels down to 0.15, with 2 steps of HMC at each"


@pytest.mark.medium
def test_a_class_is_chosen(getkey):
    run, state = untrained(num_classes="$num_labels")
    x = jax.random.normal(getkey(), (32, 2))
    batch = x, jnp.arange(32) % 3
    new, metrics = eqx.filter_jit(run.trainer.step)(state, batch, key=getkey())
    assert np.isfinite(metrics["loss"])
    drawn = draw(run, new, 4, label=2, key=getkey())
    assert drawn.source == f"{SOURCE}, of class 2"
    assert draw(run, new, 4, key=getkey()).source == SOURCE
    for label, message in ((3, "labels are 0 to 2"), (-1, "labels are 0 to 2")):
        with pytest.raises(ValueError, match=message):
            draw(run, state, 4, label=label, key=getkey())
    plain, state = untrained()
    with pytest.raises(ValueError, match="label=0: the energy of this run has no labels"):
        draw(plain, state, 4, label=0, key=getkey())


def test_there_are_no_last_steps_without_noise(getkey):
    run, state = untrained()
    with pytest.raises(ValueError, match="num_steps_without_noise=2: samples of an energy over"):
        draw(run, state, 4, chains=Chains(num_steps_without_noise=2), key=getkey())


@pytest.mark.medium
def test_data_have_the_noise_of_the_lowest_level():
    run, _ = untrained()
    x = np.zeros((4000, 2), np.float32)
    noisy = with_noise(run.energy, x, seed=1)
    assert noisy.dtype == np.float32
    np.testing.assert_allclose(noisy.std(0), 0.15, rtol=0.05)
    data = data_with_noise(run.energy, Dataset("x", x, x), seed=1)
    np.testing.assert_array_equal(data.train, noisy)
    assert not np.array_equal(data.test, noisy)
    plain = ebmx.energies.Gaussian(np.zeros(2))
    assert with_noise(plain, x, seed=1) is x
    assert at_lowest_level(plain) is plain
    lowest = at_lowest_level(run.energy)
    np.testing.assert_array_equal(lowest(x[0]), run.energy(x[0], run.energy.levels.sigma[0]))
