"""The table `[calibration]`: constants of the noise levels, beside the run and in its energy."""

import json

import numpy as np
import pytest
from configs import LEVELS, TINY, on_points
from helpers import call

from ebmx import runs
from ebmx.config import merge, read_config, show_config
from ebmx.energies import Calibrated, NoiseConditional, log_density
from ebmx.evaluation import log_z_by_quadrature
from ebmx.runs import _plan, _train

pytestmark = pytest.mark.filterwarnings("ignore:.* of the numbers of samples lie at the bounds")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(_train, "_NUM_SAMPLES", 100)


def on_plane(folder, **table):
    """The config of a run over levels on the plane, whose constants are found after it."""
    parts = {name: LEVELS[name] for name in ("energy", "sampler", "negatives", "loss", "trainer")}
    config = merge(on_points(folder), parts)
    table = {"num_chains": 128, "num_temperatures": 200} | table
    # a large learning rate and few updates: the constants are far off
    return merge(config, {"num_steps": 8, "optim": {"kind": "adam", "learning_rate": 0.05}}) | {
        "calibration": table
    }


@pytest.mark.medium
def test_the_energy_of_a_run_is_normalised(tmp_path):
    folder = tmp_path / "run"
    runs.train(on_plane(tmp_path), out=folder, progress=False)
    opened = runs.open(folder)
    energy, plain = opened.energy, opened.energy.energy
    assert (type(energy), type(plain)) == (Calibrated, NoiseConditional)
    off, left = (
        log_z_by_quadrature(one.at(one.levels.sigma[0]), [-6.0] * 2, [6.0] * 2, num_points=400)
        for one in (plain, energy)
    )
    assert abs(off) > 0.05
    assert abs(left) < 0.02
    found = json.loads((folder / "report.json").read_text())["log_z_of_the_training"]
    np.testing.assert_allclose(found, off, atol=0.02)
    x = np.zeros((1, 2), np.float32)
    np.testing.assert_allclose(log_density(plain, x) - log_density(energy, x), found, rtol=1e-3)


@pytest.mark.medium
def test_other_updates_have_other_constants(tmp_path):
    folder = tmp_path / "run"
    runs.train(on_plane(tmp_path, num_temperatures=3), out=folder, progress=False)
    file = folder / "log_z.json"
    before = json.loads(file.read_text())
    file.write_text(json.dumps(before | {"update": 7}))
    assert isinstance(runs.open(folder).energy, NoiseConditional)
    file.write_text("{}")
    with pytest.raises(ValueError, match=r"log_z\.json is damaged"):
        runs.open(folder)
    file.write_text(json.dumps(before))
    runs.resume(folder, num_steps=10, progress=False)
    after = json.loads(file.read_text())
    assert (before["update"], after["update"]) == (8, 10)
    assert isinstance(runs.open(folder).energy, Calibrated)
    runs.train(on_points(tmp_path), out=folder, overwrite=True, progress=False)
    assert not file.exists()


def test_the_table_is_read_and_shown(tmp_path, capsys):
    path, config = tmp_path / "c.toml", on_plane(tmp_path, num_steps=2)
    path.write_text(show_config(config))
    assert read_config(path) == config
    assert "# num_temperatures: how many steps of the annealing" in path.read_text()
    assert call("help", "calibration") == 0
    assert "num_chains" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"num_chains": 1}, r"calibration\.num_chains=1: give a whole number of at least 2"),
        ({"num_steps": True}, r"calibration\.num_steps=True: give a whole number of at least 1"),
        ({"chains": 8}, r"calibration\.chains: not a key: did you mean num_chains\?"),
    ],
)
def test_a_table_that_does_not_fit_is_named(table, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        _plan.plan(on_plane(tmp_path, **table))


@pytest.mark.medium
def test_it_is_for_energies_over_levels_without_classes():
    for config in (TINY, merge(LEVELS, {"energy": {"num_classes": "$num_labels"}})):
        fix = "leave the table out: it is for energies over noise levels"
        with pytest.raises(ValueError, match=f"^calibration=.*: {fix}"):
            _plan.plan(config | {"calibration": {}})
