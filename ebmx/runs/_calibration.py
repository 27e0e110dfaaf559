"""The table `[calibration]` of a config: `log Z` of each noise level, found after the training."""

import json
import logging
from pathlib import Path

import jax
import numpy as np

from .. import _checks
from ..energies import AbstractNoiseConditionalEnergy
from ..evaluation import calibrate_levels
from ..training import TrainState
from ._run import Run, averaged

CONSTANTS = "log_z.json"
_LOG = logging.getLogger("ebmx")


def check_calibration(run: Run) -> None:
    """Check that there are levels to calibrate."""
    if "calibration" not in run.config:
        return
    name, energy = type(run.energy).__name__, run.energy
    ok = isinstance(energy, AbstractNoiseConditionalEnergy) and energy.num_classes is None
    fix = "leave the table out: it is for energies over noise levels, without classes"
    _checks.require(ok, "calibration", name, fix)


def calibrate(run: Run, state: TrainState, folder: Path) -> float | None:
    """Write `log Z` of each level beside the run; that of the lowest level is returned."""
    if "calibration" not in run.config:
        return None
    _LOG.info("annealing chains for the constants of the noise levels")
    energy, key = averaged(state), jax.random.fold_in(jax.random.key(run.seed), 5)
    found = calibrate_levels(energy, **run.config["calibration"], key=key)
    log_z = np.asarray(found.log_z, np.float64).tolist()
    values = {"update": int(state.step), "log_z": log_z}
    (folder / CONSTANTS).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return log_z[0]


def constants_of(folder: Path, step: int) -> np.ndarray | None:
    """`log Z` of each level as found after this update, `(levels,)`, if it was."""
    path = folder / CONSTANTS
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        log_z = np.asarray(values["log_z"], np.float64)
        return log_z if values["update"] == step else None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"folder={folder}: {CONSTANTS} is damaged: {error}") from error
