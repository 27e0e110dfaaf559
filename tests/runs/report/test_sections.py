"""Parts of an evaluation on energies and sets about which all is known."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import conditional
from reference import filled

import ebmx
from ebmx.data import Dataset, load
from ebmx.energies import DoubleWell, Gaussian
from ebmx.evaluation import frechet_distance, frechet_ratio
from ebmx.runs._run import evaluated_energy
from ebmx.runs.report import _likelihood
from ebmx.runs.report._features import extractor_of, in_chunks, levels_of, outsiders, rounded
from ebmx.runs.report._landscape import landscape_section
from ebmx.runs.report._likelihood import likelihood_section
from ebmx.runs.report._samples import Sets, memorisation_section, outside_section, quality_section
from ebmx.samplers import Annealed, Langevin

OPEN = SimpleNamespace(sampler=Langevin(0.1), bounds=None)
NUMBERS = np.random.default_rng(0)


def gaussians(num, scale=1.0, seed=0):
    return scale * np.random.default_rng(seed).normal(size=(num, 2)).astype(np.float32)


@pytest.mark.medium
def test_the_likelihood_of_a_gaussian_at_its_temperature(getkey):
    sampler = Langevin(0.08, noise_scale=0.2, grad_clip=50.0, bounds=(-3.0, 3.0))
    run = SimpleNamespace(sampler=sampler, bounds=(-3.0, 3.0))
    x = gaussians(128, 0.5**0.5)
    found = likelihood_section(
        run, Gaussian(jnp.zeros(2)), Dataset("x", x, x), x, getkey(), num_temperatures=100
    )
    facts = found.facts
    # T = 0.2² / 0.08: E / T is a Gaussian of variance ½, all of it in the box
    assert facts["temperature"] == pytest.approx(0.5)
    exact = np.log(np.pi)
    assert facts["log Z, from below"] == pytest.approx(exact, abs=0.2)
    assert facts["log Z, from above"] == pytest.approx(exact, abs=0.2)
    mean = -np.mean(np.sum(np.float64(x) ** 2, 1)) - facts["log Z, from below"]
    assert facts["log likelihood, at most"] == pytest.approx(mean, abs=1e-5)
    assert found.remarks == ["The density is that on the box of the chains' bounds."]


def test_the_temperature_of_a_schedule_is_that_of_its_last_step(monkeypatch, getkey):
    schedule = optax.linear_schedule(0.0, 0.2, transition_steps=6, transition_begin=2)
    run = SimpleNamespace(
        sampler=Annealed(Langevin(0.1), temperature=schedule), bounds=None, num_chain_steps=5
    )
    seen = []

    def of_energy(energy, *_, **__):
        seen.append(float(energy(jnp.ones(2))))
        return SimpleNamespace(log_z=1.0, standard_error=0.1)

    monkeypatch.setattr(_likelihood, "annealed_importance_sampling", of_energy)
    x = gaussians(16)
    found = likelihood_section(run, Gaussian(jnp.zeros(2)), Dataset("x", x, x), x, getkey())
    # three of six steps of the rise to 0.2
    assert found.facts["temperature"] == pytest.approx(0.1)
    assert seen == pytest.approx([10.0, 10.0], rel=1e-5)


def test_bounds_that_have_crossed_are_told(monkeypatch, getkey):
    def crossed(*_, samples=None, **__):
        return SimpleNamespace(log_z=2.0 if samples is None else 1.0, standard_error=0.1)

    monkeypatch.setattr(_likelihood, "annealed_importance_sampling", crossed)
    x = gaussians(16)
    said = likelihood_section(OPEN, Gaussian(jnp.zeros(2)), Dataset("x", x, x), x, getkey())
    assert "The bounds have crossed" in said.remarks[0]
    assert said.facts["log likelihood, at most"] < said.facts["log likelihood, at least"]


@pytest.mark.medium
def test_the_landscape_of_a_double_well(getkey):
    x = gaussians(64)
    x[:2] = [[-0.8, -1.0], [0.9, -1.0]]
    energy = DoubleWell((2,), 3.0)
    found = landscape_section(None, energy, Dataset("x", x, x), x, getkey())
    facts = found.facts
    start = float(energy(jnp.asarray(x[0])))
    # the straight line is the path of least energy here, over the pass at (0, -1)
    assert facts["straight barrier"] == pytest.approx(3 - start, abs=0.02)
    assert facts["least barrier"] == pytest.approx(3 - start, abs=0.02)
    assert (facts["minima"], facts["ended"]) == (4, 1.0)
    assert facts["largest basin"] == np.max(np.unique(x > 0, axis=0, return_counts=True)[1]) / 64
    assert facts["least curvature"] == pytest.approx(24, rel=1e-2)
    assert facts["largest curvature"] == pytest.approx(24, rel=1e-2)
    assert facts["lowest pass"] == pytest.approx(3, abs=0.01)
    assert set(found.figures) == {"path", "landscape", "minima"}
    assert found.figures["landscape"].axes[0].get_title() == "The plane of the data"
    assert set(facts) <= set(found.meanings)


def test_a_landscape_without_minima_says_so(getkey):
    x = gaussians(64)
    found = landscape_section(None, jnp.sum, Dataset("x", x, x), x, getkey())
    assert "minima" not in found.facts
    assert "No minima: " in found.remarks[0]


def test_exact_samples_are_as_good_as_data_and_copies_are_told():
    data = Dataset("x", gaussians(400), gaussians(400, seed=1))
    extractor = extractor_of(data)
    assert extractor.classes is None
    exact = Sets(data, gaussians(400, seed=2), {})
    facts = quality_section(extractor, exact, seed=0).facts
    assert facts["samples"]["two-sample AUC"] == pytest.approx(0.5, abs=0.06)
    assert facts["samples"]["precision"] > 0.8
    wide = quality_section(extractor, Sets(data, gaussians(400, 3.0, 3), {}), seed=0).facts
    assert wide["ratio"]["Fréchet distance"] > 20
    assert wide["samples"]["precision"] < 0.6
    assert memorisation_section(exact).facts["fraction of near samples"] < 0.05
    copies = memorisation_section(Sets(data, data.train + 1e-6, {})).facts
    assert copies["fraction of near samples"] == 1
    assert copies["median distance of samples"] < 1e-4


def test_noise_between_grey_levels_is_forgiven_to_rounded_samples():
    levels = np.linspace(-1, 1, 5, dtype=np.float32)
    rng = np.random.default_rng(0)
    train, test, exact = rng.choice(levels, size=(3, 300, 3))
    noisy = exact + rng.choice([-0.2, 0.2], size=exact.shape).astype(np.float32)
    np.testing.assert_array_equal(rounded(noisy, levels_of(train)), exact)
    data = Dataset("x", train, test)
    found = quality_section(extractor_of(data), Sets(data, noisy, {}), seed=0)
    own, best = found.facts["rounded samples"], Sets(data, exact, {})
    assert own == quality_section(extractor_of(data), best, seed=0).facts["samples"]
    assert own != found.facts["samples"]
    distances = (own["Fréchet distance"], found.facts["training data"]["Fréchet distance"])
    assert found.facts["ratio, rounded"]["Fréchet distance"] == distances[0] / distances[1]
    assert found.remarks[-1].startswith("The data take 5 values")
    assert levels_of(gaussians(200)) is None


def test_fewer_rows_than_features_are_remarked():
    data = Dataset("x", *np.random.default_rng(0).normal(size=(2, 30, 8)).astype(np.float32))
    found = quality_section(extractor_of(data), Sets(data, data.train[:8], {}), seed=0)
    assert found.remarks[1].startswith("Warning: 8 examples (samples) are few")
    assert np.isfinite(found.facts["ratio"]["Fréchet distance"])
    few = Dataset("x", data.train[:6], data.test)
    found = quality_section(extractor_of(few), Sets(few, data.train, {}), seed=0)
    assert found.remarks[1].startswith("Warning: 6 examples (training data) are few")


@pytest.mark.parametrize("num", [100, 1000])
def test_the_ratio_of_the_report_is_of_equal_numbers(num):
    data = Dataset("x", gaussians(400), gaussians(300, seed=1))
    samples = gaussians(num, 1.1, 2)
    facts = quality_section(extractor_of(data), Sets(data, samples, {}), seed=0).facts
    want = frechet_ratio(samples, data.train, data.test)
    assert facts["ratio"]["Fréchet distance"] == pytest.approx(want, rel=1e-9)
    quotient = frechet_distance(samples, data.test) / frechet_distance(data.train, data.test)
    assert want != pytest.approx(quotient, rel=1e-3)


def test_data_at_no_distance_and_samples_that_are_not_finite():
    x = np.zeros((40, 2), np.float32)
    data = Dataset("x", x, x)
    facts = quality_section(extractor_of(data), Sets(data, gaussians(60), {}), seed=0).facts
    assert facts["ratio"]["Fréchet distance"] == np.inf
    bad = gaussians(60)
    bad[3] = np.nan
    with pytest.raises(ValueError, match=r"^samples=.*non-finite"):
        quality_section(extractor_of(data), Sets(data, bad, {}), seed=0)


def test_the_energy_of_a_gaussian_tells_what_is_far():
    data = Dataset("x", gaussians(50), gaussians(300, seed=1))
    far = {"uniform noise": gaussians(300, 30.0, 2), "same": gaussians(300, seed=3)}
    facts = outside_section(Gaussian(jnp.zeros(2)), Sets(data, data.test, far)).facts
    assert facts["uniform noise"]["AUROC, energy"] > 0.98
    assert facts["same"]["AUROC, energy"] == pytest.approx(0.5, abs=0.1)
    assert facts["same"]["AUROC, score norm"] == facts["same"]["AUROC, energy"]
    assert "AUROC, class probability" not in facts["same"]


def test_outsiders_are_changed_test_data():
    x = NUMBERS.uniform(-1, 1, size=(5, 4, 6, 1)).astype(np.float32)
    found = outsiders(Dataset("x", x, x), (-1.0, 1.0), [], seed=0)
    np.testing.assert_array_equal(found["mirrored"][0, :, 0], x[0, :, -1])
    np.testing.assert_array_equal(found["upside down"][0, 0], x[0, -1])
    np.testing.assert_array_equal(found["quarters swapped"][1, 2:, 3:], x[1, :2, :3])
    assert np.ptp(found["constants"], axis=(1, 2, 3)).max() == 0
    assert len(np.unique(found["constants"])) == 5
    rows = x.reshape(5, 24)
    flat = outsiders(Dataset("x", rows, rows), (-1.0, 1.0), [], seed=0)
    np.testing.assert_array_equal(
        np.sort(flat["coordinates shuffled"], axis=0), np.sort(rows, axis=0)
    )


def test_other_tables_are_scaled_by_the_ranges_of_the_run(tmp_path):
    # which would span [-1, 1] too, if they were scaled by their own
    table = NUMBERS.uniform(size=(10, 2))
    np.savez(tmp_path / "mine.npz", train=table, test=table)
    np.savez(tmp_path / "other.npz", train=table + 5, test=table[:4] + 5)
    data = load(tmp_path / "mine.npz")
    found = outsiders(data, (-1.0, 1.0), [str(tmp_path / "other.npz")], seed=0)
    want = data.test[:4] + 2 * 5 / (data.high - data.low)
    np.testing.assert_allclose(found[str(tmp_path / "other.npz")], want, rtol=1e-5)


def test_a_conditional_energy_is_evaluated_without_its_label():
    energy = filled(conditional)
    state = SimpleNamespace(ema=energy, norm_state=None)
    x = gaussians(4)
    single = np.stack([np.asarray(ebmx.energy(energy.at(y), x)) for y in range(3)])
    want = -np.log(np.exp(-single).sum(0))
    np.testing.assert_allclose(ebmx.energy(evaluated_energy(state), x), want, rtol=1e-5, atol=1e-6)
    plain = SimpleNamespace(ema=Gaussian(jnp.zeros(2)), norm_state=None)
    assert isinstance(evaluated_energy(plain), Gaussian)


def test_chunks_are_compiled_once_and_forgotten():
    shapes = []

    @jax.jit
    def double(x):
        shapes.append(x.shape)
        return 2 * x

    for num in (1, 255, 256, 600):
        x = np.arange(3.0 * num, dtype=np.float32).reshape(num, 3)
        np.testing.assert_array_equal(in_chunks(double, x), 2 * x)
    assert len(shapes) == 1
