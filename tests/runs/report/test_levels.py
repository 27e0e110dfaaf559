"""The report of energies over noise levels, on a mixture of Gaussians that is known."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from noise_levels import LEVELS, data, noisy_mixture

from ebmx.data import Dataset
from ebmx.energies import energy as energies_of
from ebmx.plotting._levels import samples_by_level
from ebmx.runs.report._levels import (
    level_likelihood_section,
    levels_section,
    log_known,
    log_z_step,
)
from ebmx.samplers import MALA

RUN = SimpleNamespace(sampler=MALA(0.5))


def points(num=600):
    train, test = (np.asarray(data(num, key)) for key in jax.random.split(jax.random.key(0)))
    return Dataset("x", train, test)


@pytest.mark.medium
def test_the_likelihood_of_a_known_density(getkey):
    sigma = float(LEVELS.sigma[0])
    samples = points(200).test + sigma * np.random.default_rng(0).normal(size=(200, 2))
    found = level_likelihood_section(
        noisy_mixture(), points(), samples.astype(np.float32), getkey(), both_sides=True,
        num_temperatures=100,
    )  # fmt: skip
    facts = found.facts
    assert set(facts) <= set(found.meanings)
    assert facts["test data"] == pytest.approx(facts["training data"], abs=0.2)
    assert facts["flow, less one pass"] == pytest.approx(0, abs=0.01)
    for name in ("log Z", "log Z, from above"):
        assert facts[name] == pytest.approx(0, abs=0.2)
    assert facts["test data, less log Z"] == facts["test data"] - facts["log Z"]
    assert "bits per dimension" not in facts


@pytest.mark.medium
def test_an_error_of_the_normaliser_is_seen(getkey):
    # E(x, σ) + 2 at the lowest level, rising from nothing at the highest
    wrong = noisy_mixture((-2.0, 2.0))
    found = level_likelihood_section(wrong, points(), points().test, getkey(), num_temperatures=100)
    facts = found.facts
    assert facts["log Z"] == pytest.approx(-2, abs=0.2)
    assert facts["flow, less one pass"] == pytest.approx(2, abs=0.05)
    rows = levels_section(RUN, wrong, points(), getkey()).facts
    steps = [row["log Z step"] for row in rows.values() if "log Z step" in row]
    assert len(steps) == 9
    np.testing.assert_allclose(steps, -2 / 9, atol=0.06)


def test_the_levels_of_a_known_density(getkey):
    found = levels_section(RUN, noisy_mixture(), points(), getkey())
    rows = list(found.facts.values())
    assert list(found.facts) == [f"level {k}" for k in reversed(range(10))]
    assert [row["σ"] for row in rows] == pytest.approx(LEVELS.sigma[::-1].tolist())
    assert all(0 < row["score error"] < 0.5 for row in rows)
    # the noise is what is seen at the highest level, and hidden by the spread at the lowest
    assert rows[0]["score error"] < 0.02 < 0.4 < rows[-1]["score error"]
    assert all(0.5 < row["accuracy"] < 0.8 for row in rows[1:])
    assert all(abs(row["log Z step"]) < 0.05 for row in rows[1:])
    assert "sum to" in found.remarks[0]
    titles = [axis.get_title() for axis in found.figures["levels"].axes]
    assert titles[0] == "σ = 12"
    assert titles[-1] == "σ = 0.1"
    assert set(rows[1]) == set(found.meanings)


@pytest.mark.medium
def test_bits_of_data_that_take_few_values(getkey):
    values = np.array([-1.0, 0.0, 1.0], np.float32)
    x = np.random.default_rng(0).choice(values, size=(400, 2), p=[0.2, 0.5, 0.3])
    # little noise does not hide the value: then the bound has the entropy of the noise alone
    noise = np.random.default_rng(1).normal(size=x.shape)
    sharp = log_known(x, x + 0.01 * noise, values, 0.01)
    log_normal = -0.5 * noise**2 - np.log(0.01 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(sharp, log_normal.sum(1), rtol=1e-6)
    # by hand at one number
    near = np.exp(-((0.3 - values) ** 2) / (2 * 0.4**2))
    log_q = -(0.3**2) / (2 * 0.4**2) - np.log(0.4 * np.sqrt(2 * np.pi))
    want = log_q - np.log(near[1] / near.sum())
    found = log_known(np.zeros((1, 1)), np.full((1, 1), 0.3), values, 0.4)
    np.testing.assert_allclose(found, want, rtol=1e-6)
    facts = level_likelihood_section(
        noisy_mixture(), Dataset("x", x, x[:100]), x, getkey(), num_temperatures=20
    ).facts
    # no fewer than the entropy of the data
    assert facts["bits per dimension"] > 1.48


def test_the_step_of_log_z_is_that_between_samples_of_both(getkey):
    energy, (low, high) = noisy_mixture(), LEVELS.sigma[:2]
    ratios = []
    for sigma in (low, high):
        x = data(4000, getkey()) + sigma * jax.random.normal(getkey(), (4000, 2))
        ratios.append(np.asarray(energies_of(energy.at(high), x) - energies_of(energy.at(low), x)))
    assert log_z_step(*ratios) == pytest.approx(0, abs=0.02)
    assert log_z_step(*(ratio + 1.5 for ratio in ratios)) == pytest.approx(1.5, abs=0.02)
    # regression: steps ended at 100 nats
    assert log_z_step(*(ratio + 900.0 for ratio in ratios)) == pytest.approx(900, abs=0.02)


def test_images_have_a_row_for_each_level():
    rows = [np.zeros((3, 4, 5, 1)), np.ones((3, 4, 5, 1))]
    figure = samples_by_level([2.0, 0.5], rows, rows)
    assert [axis.get_title() for axis in figure.axes] == ["samples", "noisy data"]
    assert figure.axes[0].images[0].get_array().shape == (2 * 5, 3 * 6)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["2", "0.5"]


def test_vectors_have_a_panel_for_each_level():
    rows = [np.arange(3.0)[:, None], np.ones((3, 1))]
    figure = samples_by_level([2.0, 0.5], rows, rows)
    assert [axis.get_title() for axis in figure.axes] == ["σ = 2", "σ = 0.5"]
    shown = figure.axes[0].collections
    assert [one.get_label() for one in shown] == ["noisy data", "samples"]
    np.testing.assert_array_equal(shown[1].get_offsets()[:, 0], [0, 1, 2])
