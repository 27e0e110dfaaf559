"""What is checked of a run before anything on disk is changed."""

import contextlib
import logging
import math
from collections.abc import Iterator
from pathlib import Path

import equinox as eqx
import numpy as np
from jax.sharding import Mesh

from .. import _checks
from ..config._tables import Config
from ..data import Dataset
from ..energies import NoiseConditional
from ..energies._noise_conditional import LEAST_RATIO
from ..training import shard
from ..training._fit import checked_batches
from ._calibration import check_calibration
from ._facts import Facts
from ._monitor import check_monitor
from ._run import Run, check_tables, load_data, make_run
from ._trackers import check_installed

_ROWS, _POWERS = 5000, 30
_LOG = logging.getLogger("ebmx")


def plan(config: Config, dataset: Dataset | None = None) -> Run:
    """Load the data, unless they are given, and make all objects; nothing on disk is changed."""
    check_tables(config)
    check_installed(config)
    if dataset is None:
        dataset = load_data(config)
    fix = f"give the data that the config names, {config['data']['name']}"
    _checks.require(dataset.name == str(config["data"]["name"]), "dataset", dataset.name, fix)
    _LOG.info("data: %s", dataset.summary)
    run = make_run(config, Facts.of(dataset), dataset)
    check_monitor(run)
    check_calibration(run)
    return run


def check(config: Config) -> str:
    """Check that a config can be run: load its data, make its objects and trace one update.

    Args:
        config: nested tables, as `ebmx.config.read_config` returns them.

    Returns:
        What could not be checked, in words; an empty text if all was.

    Raises:
        ImportError: with the pip line, if the package of a tracker is missing.
        ValueError: that names what does not fit.
    """
    check_tables(config)
    check_installed(config)
    name = str(config["data"].get("name", ""))
    if name.startswith("hf:") and not Path(name.removeprefix("hf:")).exists():
        shape = (32, 32, 3)
        mean, variance = np.zeros(shape, np.float32), np.ones(shape, np.float32)
        facts = Facts(name, shape, 10, 0.0, 255.0, (-1.0, 1.0), "", mean, variance)
        run = make_run(config, facts)
        check_monitor(run)
        check_calibration(run)
        return f"the network was not tried on {name}, which a check does not download"
    trace(plan(config))
    return ""


def trace(run: Run, mesh: Mesh | None = None) -> None:
    """Check the start of a training, and trace an update of each phase without computing it."""
    check_start(run, mesh)
    batch = next(run.batches())
    ends = [end for end in run.trainer.boundaries if end < (run.num_steps or math.inf)]
    with explained():
        for first in (0, *ends):
            step = run.trainer.at_step(first).step
            eqx.filter_eval_shape(lambda step=step: step(run.init(), batch, key=run.keys[1]))


def check_start(run: Run, mesh: Mesh | None) -> None:
    """Check the first batch, and that the devices divide what they share."""
    next(checked_batches(run.batches(), run.energy, mesh))
    if mesh is not None:
        shard(run.init(), mesh)
    if isinstance(run.energy, NoiseConditional) and run.dataset is not None:
        check_spread(run.energy, run.dataset.train)


def check_spread(energy: NoiseConditional, x: np.ndarray) -> None:
    """Check the highest level against the data along their first principal axis.

    The energy has checked it where it has a covariance matrix, and not where it has variances.
    """
    if energy.axes is not None:
        return
    rows = x[:_ROWS].reshape(len(x[:_ROWS]), -1).astype(np.float64)
    rows = rows - rows.mean(0)
    # powers of the covariance turn any vector towards the first axis; what they have not turned
    # makes the spread too small
    axis = np.random.default_rng(0).normal(size=rows.shape[1])
    for _ in range(_POWERS):
        axis = rows.T @ (rows @ axis)
        axis = axis / max(float(np.linalg.norm(axis)), 1e-30)
    spread = float(np.std(rows @ axis))
    high = float(energy.levels.sigma[-1])
    fix = f"along their first principal axis the data have a standard deviation of {spread:.3g}: "
    fix += f"give a highest level of at least {LEAST_RATIO * spread:.3g}, or the covariance matrix"
    _checks.require(high >= LEAST_RATIO * spread, "energy.levels", high, fix)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn the error of a value of another type, found in the first update, into a `ValueError`."""
    try:
        yield
    except TypeError as error:
        raise ValueError(f"an update of this config fails: {error}") from error
