"""Whether chains that are wrong are told to be wrong, and only these."""

import dataclasses
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from ebmx.energies import Gaussian
from ebmx.evaluation import ConvergenceWarning, diagnose, to_arviz
from ebmx.evaluation._diagnostics import _drift
from ebmx.samplers import HMC, RESULTS, Moments, Samples, StepInfo, sample, save_position_and_energy

RNG = np.random.default_rng(0)
# of one shape, since each shape is compiled
GOOD = RNG.normal(size=(8, 400, 2)).astype(np.float32)
ENERGY = RNG.normal(size=(8, 400)).astype(np.float32)


def made(values, energy=None, acceptance=None, divergent=None):
    """Samples of given values `(chains, num_samples, *shape)`."""
    chains = len(values)
    one = np.ones(chains, np.float32)
    divergent = np.zeros(chains, bool) if divergent is None else divergent
    info = StepInfo(0 * one, 0 * one, one if acceptance is None else acceptance, divergent)
    kept = values if energy is None else {"x": values, "energy": energy}
    return Samples(kept, values[:, -1], None, info, np.zeros(chains, int))


@pytest.mark.slow
def test_chains_of_a_sampler_are_not_warned_of(getkey):
    energy = Gaussian(jnp.zeros(2), jnp.array([1.0, 2.0]))
    options = {"save": save_position_and_energy, "num_warmup": 50, "num_samples": 400}
    samples = sample(energy, HMC(0.9, 2), jnp.zeros((8, 2)), key=getkey(), **options)
    found = diagnose(samples)
    assert found.warnings == ()
    assert found.ess_bulk.min() > 400
    with pytest.raises(ValueError, match=r"samples\.values=RunningMoments: save positions"):
        diagnose(sample(energy, HMC(0.9, 2), jnp.zeros((8, 2)), key=getkey(), num_samples=5,
                        save=Moments()))  # fmt: skip


def test_good_chains_are_not_warned_of():
    acceptance = np.linspace(0.5, 0.9, 8, dtype=np.float32)
    found = diagnose(made(GOOD, ENERGY, acceptance))
    assert found.warnings == ()
    assert found.rhat.shape == found.ess_bulk.shape == found.ess_tail.shape == (2,)
    assert found.rhat.max() < 1.01
    assert np.all(np.abs(found.ess_bulk / 3200 - 1) < 0.25)
    np.testing.assert_array_equal(found.acceptance, acceptance)
    assert found.num_divergent == 0
    assert abs(found.energy_drift) < 3
    want = [
        f"R-hat       {found.rhat.max():.4f} at most",
        f"ESS         {found.ess_bulk.min():.0f} bulk, {found.ess_tail.min():.0f} tail",
        "acceptance  0.700",
        "divergent   0 of 8 chains",
        "failed      0 of 8 chains",
        f"drift       {found.energy_drift:.2f} SE",
        "Advice: Nothing to change.",
    ]
    assert str(found).splitlines() == want
    assert "not saved" in str(diagnose(made(GOOD)))


def split_rhat(x):
    """The rank-normalised split R-hat, folded or not, of `(chains, num)`."""

    def plain(x):
        ranks = scipy.stats.rankdata(x, axis=None).reshape(x.shape)
        z = scipy.stats.norm.ppf((ranks - 3 / 8) / (x.size + 1 / 4))
        within, between = z.var(1, ddof=1).mean(), z.mean(1).var(ddof=1)
        return np.sqrt((z.shape[1] - 1) / z.shape[1] + between / within)

    halves = x.reshape(2 * len(x), -1)
    return max(plain(halves), plain(np.abs(halves - np.median(halves))))


def test_chains_that_do_not_agree_are_reported():
    x = GOOD.copy()
    x[::2, :, 0] += 3
    # of one mean, but of two spreads
    x[::2, :, 1] *= 3
    with pytest.warns(ConvergenceWarning, match=r"R-hat is .*above 1\.01: the chains do not agree"):
        found = diagnose(made(x))
    want = [split_rhat(x[..., i]) for i in range(2)]
    np.testing.assert_allclose(found.rhat, want, rtol=2e-3)
    assert found.rhat[0] > 1.5 > found.rhat[1] > 1.1
    assert len(found.warnings) == 1
    assert f"R-hat is {found.rhat.max():.3f}, above" in str(found)


def test_stuck_chains_are_reported():
    x = GOOD.copy()
    x[:3] = x[:3, :1]
    x[3, :, 0] = 1.0
    with pytest.warns(ConvergenceWarning, match="3 of 8 chains rejected every proposal"):
        found = diagnose(made(x))
    assert any("smaller step_size" in words for words in found.warnings)
    found = diagnose(made(np.full_like(GOOD, 2.0)), warn=False)
    assert "8 of 8 chains rejected every proposal" in found.warnings[1]
    assert found.warnings[0].startswith(
        "R-hat is nan: all draws of all chains are the same. Take more"
    )


def test_coordinates_that_are_the_same_everywhere_are_left_out():
    """As the pixels of a margin: nothing is known of them, and the others are reported."""
    x = GOOD.copy()
    x[..., 0] = 1.0
    found, rest = (diagnose(made(one), warn=False) for one in (x, GOOD))
    assert found.warnings == ()
    for name in ("rhat", "ess_bulk", "ess_tail"):
        ours, theirs = getattr(found, name), getattr(rest, name)
        assert np.isnan(ours[0])
        np.testing.assert_allclose(ours[1:], theirs[1:], rtol=1e-5)
    assert "nan" not in str(found)
    bits = diagnose(made((GOOD > 0.5).astype(np.float32)), warn=False)
    assert np.all((bits.ess_bulk > 100) & (bits.rhat < 1.05))


def test_divergent_steps_are_reported():
    divergent = np.arange(8) < 3
    with pytest.warns(ConvergenceWarning, match="3 chains had divergent steps"):
        found = diagnose(made(GOOD, divergent=divergent))
    assert found.num_divergent == 3
    assert len(found.warnings) == 1
    assert "divergent   3 of 8 chains" in str(found)


@pytest.mark.parametrize("shift", [1.0, -1.0, 0.0])
def test_the_drift_is_in_standard_errors_of_the_chains(shift):
    energy = RNG.normal(size=(8, 401)) + np.where(np.arange(401) < 200, 0.0, shift)
    change = energy[:, 200:].mean(1) - energy[:, :200].mean(1)
    assert _drift(energy) == pytest.approx(change.mean() / (change.std(ddof=1) / np.sqrt(8)))
    found = diagnose(made(GOOD, energy[:, :400]), warn=False)
    assert found.energy_drift == pytest.approx(_drift(energy[:, :400]), rel=1e-6)
    told = [words for words in found.warnings if "the mean energy moved by" in words]
    assert len(told) == (abs(found.energy_drift) > 3) == (shift != 0)
    assert diagnose(made(GOOD), warn=False).energy_drift is None


def test_the_drift_of_one_chain_is_in_standard_errors_of_batches():
    # means of batches: 1 and 5, then 10 and 20; the standard errors of the halves are 2 and 5
    energy = np.array([[0.0, 2, 4, 6, 10, 10, 20, 20]])
    assert _drift(energy) == pytest.approx(12 / np.sqrt(29))
    assert _drift(7 - energy) == pytest.approx(-12 / np.sqrt(29))
    # two batches of one each, of four draws
    assert _drift(np.array([[0.0, 2, 1, 5]])) == pytest.approx(2 / np.sqrt(5))
    assert _drift(ENERGY[:1] - np.arange(400)) < -8
    falls = diagnose(made(GOOD[:1], ENERGY[:1] - np.arange(400)), warn=False)
    assert "the mean energy moved by -" in falls.warnings[-1]


def test_the_drift_of_a_chain_that_has_arrived_is_that_of_chance():
    # ten batches in each half: a t-statistic of 18 degrees of freedom
    drifts = [_drift(x[None]) for x in np.random.default_rng(5).normal(size=(4000, 200))]
    assert scipy.stats.kstest(drifts, scipy.stats.t(18).cdf).pvalue > 1e-3


def test_chains_that_move_equally_have_drifted_and_chains_that_stay_have_not():
    falling = np.tile(-np.arange(400.0), (8, 1))
    assert _drift(falling) == -np.inf
    assert "moved by -inf" in diagnose(made(GOOD, falling), warn=False).warnings[0]
    for chains in (8, 1):
        assert _drift(np.full((chains, 400), np.float32(0.1))) == 0
    assert "moved by nan" in diagnose(made(GOOD, 0 * falling + np.nan), warn=False).warnings[0]


def test_chains_that_failed_are_counted_by_their_results():
    x = GOOD.copy()
    x[0] = x[0, :1]
    result = np.array([1, 0, 2, 0, 0, 2, 0, 0])
    energy = np.where(result[:, None] > 0, np.nan, ENERGY)
    samples = dataclasses.replace(made(x, energy), result=result)
    with pytest.warns(ConvergenceWarning, match="2 of 8 chains failed: "):
        found = diagnose(samples)
    assert found.num_failed == 3
    assert found.energy_drift == _drift(ENERGY[result == 0])
    assert "failed      3 of 8 chains" in str(found)
    # what else is said of a chain that failed is left to its result
    told = [f"{num} of 8 chains failed: {RESULTS(num).message}." for num in (1, 2)]
    assert found.warnings == (*told, *[w for w in found.warnings if w.startswith("R-hat")])


def test_the_effective_sample_size_of_an_autoregression():
    coefficient = np.array([0.0, 0.6])
    x = GOOD.copy()
    for i in range(1, 400):
        x[:, i] = coefficient * x[:, i - 1] + GOOD[:, i] * np.sqrt(1 - coefficient**2)
    found = diagnose(made(x), warn=False)
    want = 3200 * (1 - coefficient) / (1 + coefficient)
    np.testing.assert_allclose(found.ess_bulk, want, rtol=0.25)
    # quantiles are known less well than the mean of independent samples
    assert np.all(found.ess_tail != found.ess_bulk)
    assert np.all(found.ess_tail > 0.3 * want)


def test_images_keep_their_shape():
    plain = diagnose(made(GOOD), warn=False)
    found = diagnose(made(GOOD.reshape(8, 400, 1, 2, 1)), warn=False)
    for name in ("rhat", "ess_bulk", "ess_tail"):
        value = getattr(found, name)
        assert value.shape == (1, 2, 1)
        np.testing.assert_array_equal(value.ravel(), getattr(plain, name))


def test_no_warning_if_none_is_wanted():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert diagnose(made(GOOD, divergent=np.ones(8, bool)), warn=False).warnings


def test_the_export_to_arviz():
    tree = to_arviz(made(GOOD, ENERGY))
    assert tree["posterior"]["x"].dims[:2] == ("chain", "draw")
    np.testing.assert_array_equal(tree["posterior"]["x"].values, GOOD)
    np.testing.assert_array_equal(tree["sample_stats"]["energy"].values, ENERGY)
    np.testing.assert_array_equal(tree["sample_stats"]["lp"].values, -ENERGY)
    alone = to_arviz(made(GOOD))
    np.testing.assert_array_equal(alone["posterior"]["x"].values, GOOD)
    assert "sample_stats" not in alone.children


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"x": "text"}, r"samples\.values\['x'\]=str: save positions"),
        ((GOOD, ENERGY), r"samples\.values=tuple: save positions"),
        (GOOD[:, :3], r"samples\.values\.shape=\(8, 3, 2\): give at least 4"),
        (GOOD[0, :, 0], r"samples\.values\.shape=\(400,\): give \(chains"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused(values, match):
    samples = Samples(values, GOOD[:, -1], None, made(GOOD).info, np.zeros(8, int))
    with pytest.raises(ValueError, match=match):
        diagnose(samples)
