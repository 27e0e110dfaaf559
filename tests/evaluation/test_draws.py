"""Chains from samples, arrays, dictionaries and ArviZ's data are the same chains."""

import warnings

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

from ebmx.energies import Gaussian
from ebmx.evaluation import diagnose, to_arviz
from ebmx.samplers import Langevin, Samples, StepInfo, sample, save_position_and_energy

RNG = np.random.default_rng(0)
# of the shape that other tests have compiled the estimators for
X = RNG.normal(size=(8, 400, 2)).astype(np.float32)
X[..., 1] += RNG.normal(size=(8, 1))
ENERGY = RNG.normal(size=(8, 400)).astype(np.float32)
RATES, DIVERGING = RNG.uniform(size=(8, 400)), np.zeros((8, 400), bool)
DIVERGING[[2, 2, 6], [5, 9, 100]] = True
INFO = StepInfo(ENERGY[:, -1], np.ones(8), RATES.mean(1), DIVERGING.any(1))
SAVED = Samples({"x": X, "energy": ENERGY}, X[:, -1], None, INFO, np.zeros(8, int))
STATS = {"lp": -ENERGY, "acceptance_rate": RATES, "diverging": DIVERGING}


def tree(variables, **groups):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of more chains than draws
        return arviz_base.from_dict({"posterior": variables} | groups)


class Old(dict):
    """Groups by name and as attributes, as ArviZ had them before its trees."""

    @property
    def posterior(self):
        return self["posterior"]

    @property
    def sample_stats(self):
        return self["sample_stats"]


def same(found, want, name=None):
    """The estimates of a variable are these of an array without a name."""
    for field in ("rhat", "ess_bulk", "ess_tail"):
        value = getattr(found, field)
        value = value if name is None else value[name]
        np.testing.assert_allclose(value, getattr(want, field), rtol=1e-5)


def test_arrays_are_diagnosed_as_samples_are():
    want = diagnose(SAVED, warn=False)
    assert want.num_divergent == 2
    for array in (X, jnp.asarray(X), X.astype(np.float64)):
        found = diagnose(array, warn=False)
        same(found, want)
        assert found.num_chains == 8
        for unknown in ("acceptance", "num_divergent", "num_failed", "energy_drift"):
            assert getattr(found, unknown) is None
    lines = str(diagnose(X, warn=False)).splitlines()
    assert all("not saved" in line for line in lines[2:6])


def test_one_coordinate_has_the_shape_it_came_with():
    want = diagnose(SAVED, warn=False)
    for x in (X[..., 1], X[..., 1:]):
        found = diagnose(x, warn=False)
        assert np.shape(found.rhat) == np.shape(found.ess_tail) == x.shape[2:]
        assert float(np.squeeze(found.rhat)) == pytest.approx(want.rhat[1], rel=1e-5)
    lone = diagnose({"shift": X[..., 1]}, warn=False)
    assert "at most, of shift" in str(lone)


def test_names_are_kept():
    values = {"position": X[..., 0], "shift": X[..., None, 1:], "energy": ENERGY}
    want = diagnose(SAVED, warn=False)
    for samples in (values, tree({k: values[k] for k in ("position", "shift")},
                                 sample_stats={"lp": -ENERGY})):  # fmt: skip
        found = diagnose(samples, warn=False)
        assert list(found.rhat) == ["position", "shift"]
        for field in ("rhat", "ess_bulk", "ess_tail"):
            got, all_ = getattr(found, field), getattr(want, field)
            np.testing.assert_allclose(got["position"], all_[0], rtol=1e-5)
            np.testing.assert_allclose(got["shift"], all_[None, 1:], rtol=1e-5)
        assert found.energy_drift == pytest.approx(want.energy_drift)
        # the second one has chains that do not agree
        assert f"R-hat       {want.rhat[1]:.4f} at most, of shift" in str(found)
        assert f"R-hat is {want.rhat[1]:.3f}, of shift, above 1.01" in found.warnings[0]


def test_a_dictionary_that_was_saved_keeps_its_names():
    samples = Samples({"a": X, "energy": ENERGY}, X[:, -1], None, INFO, np.zeros(8, int))
    found = diagnose(samples, warn=False)
    same(found, diagnose(SAVED, warn=False), "a")
    assert list(to_arviz(samples)["posterior"].data_vars) == ["a"]
    # an energy of two axes alone is that of each draw
    assert list(diagnose({"x": X, "energy": X}, warn=False).rhat) == ["x", "energy"]


def test_the_data_of_arviz_are_diagnosed_as_the_samples_they_are_made_of():
    want = diagnose(SAVED, warn=False)
    found = diagnose(to_arviz(SAVED), warn=False)
    same(found, want, "x")
    assert found.energy_drift == want.energy_drift
    whole = tree({"x": X}, sample_stats=STATS)
    posterior = whole["posterior"].to_dataset()
    old = Old(posterior=posterior, sample_stats=whole["sample_stats"].to_dataset())
    for data in (whole, old):
        found = diagnose(data, warn=False)
        same(found, want, "x")
        np.testing.assert_allclose(found.acceptance, want.acceptance)
        assert found.num_divergent == want.num_divergent
        assert found.energy_drift == want.energy_drift
        assert found.num_failed is None
    # other orders of the axes, and the posterior alone
    same(diagnose(posterior.transpose("draw", "x_dim_0", "chain"), warn=False), want, "x")
    by_energy = tree({"x": X}, sample_stats={"energy": ENERGY})
    assert diagnose(by_energy, warn=False).energy_drift == want.energy_drift


def test_digits_that_single_precision_would_lose_count():
    found = diagnose(1e9 + X.astype(np.float64), warn=False)
    same(found, diagnose(X, warn=False))
    whole = diagnose((1e9 + 1e3 * np.float64(X)).astype(np.int64), warn=False)
    np.testing.assert_allclose(whole.rhat, found.rhat, rtol=1e-2)


BAD = {
    "a list": ([[1.0] * 9], r"samples=list: give the result of ebmx\.sample, an array \(chains"),
    "text": (np.array([["a"] * 9]), r"samples=<U1: give the result"),
    "complex": (X * 1j, r"samples=complex64: give the result"),
    "one axis": (X[0, :, 0], r"samples\.shape=\(400,\): give \(chains, draws, \.\.\.\)"),
    "few": (X[:, :3], r"samples\.shape=\(8, 3, 2\): give at least 4"),
    "no coordinate": ({"a": X, "b": X[..., :0]}, r"samples\['b'\]\.shape=\(8, 400, 0\): give at"),
    "no chain": (np.float64(X[:0]), r"samples\.shape=\(0, 400, 2\): give at least 4"),
    "nothing": ({}, "samples=no variables: give at least one"),
    "an energy alone": ({"energy": ENERGY}, "samples=no variables"),
    "draws": ({"a": X, "b": X[:, :9]}, r"samples\['b'\]\.shape=\(8, 9, 2\): .*the same chains"),
    "energies": ({"a": X, "energy": ENERGY[:, 1:]}, r"samples\['energy'\]\.shape=\(8, 399\)"),
    "dims": (xarray.Dataset({"a": ("draw", X[0, :, 0])}), r"samples\['a'\]\.dims=\('draw',\)"),
    "no posterior": (xarray.Dataset(), r"samples\.posterior=no variables"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_holds_no_chains_is_refused(name):
    samples, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        diagnose(samples)


@pytest.mark.medium
def test_the_energy_that_arviz_gets_is_that_of_the_draw():
    energy = Gaussian(jnp.zeros(2), jnp.array([1.0, 3.0]))
    options = {"num_samples": 6, "thin": 2, "save": save_position_and_energy}
    samples = sample(energy, Langevin(0.3), jnp.ones((3, 2)), key=jax.random.key(0), **options)
    data = to_arviz(samples)
    want = jax.vmap(jax.vmap(energy))(data["posterior"]["x"].values)
    assert len(np.unique(want)) == 18
    np.testing.assert_allclose(data["sample_stats"]["lp"].values, -want, rtol=1e-5)
    np.testing.assert_allclose(data["sample_stats"]["energy"].values, want, rtol=1e-5)
