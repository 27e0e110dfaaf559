"""What is checked of a run before anything on disk is changed."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import equinox as eqx
import numpy as np
from jax.sharding import Mesh

from .. import _checks
from ..config._tables import Config
from ..data import Dataset
from ..training import shard
from ..training._fit import checked_batches
from ._facts import Facts
from ._monitor import check_monitor
from ._run import Run, check_tables, load_data, make_run

_LOG = logging.getLogger("ebmx")


def plan(config: Config, dataset: Dataset | None = None) -> Run:
    """Load the data, unless they are given, and make all objects; nothing on disk is changed."""
    check_tables(config)
    if dataset is None:
        dataset = load_data(config)
    fix = f"give the data that the config names, {config['data']['name']}"
    _checks.require(dataset.name == str(config["data"]["name"]), "dataset", dataset.name, fix)
    _LOG.info("data: %s", dataset.summary)
    run = make_run(config, Facts.of(dataset), dataset)
    check_monitor(run)
    return run


def check(config: Config) -> str:
    """Check that a config can be run: load its data, make its objects and trace one update.

    Args:
        config: nested tables, as `ebmx.config.read_config` returns them.

    Returns:
        What could not be checked, in words; an empty text if all was.

    Raises:
        ValueError: that names what does not fit.
    """
    check_tables(config)
    name = str(config["data"].get("name", ""))
    if name.startswith("hf:") and not Path(name.removeprefix("hf:")).exists():
        shape = (32, 32, 3)
        mean, variance = np.zeros(shape, np.float32), np.ones(shape, np.float32)
        facts = Facts(name, shape, 10, 0.0, 255.0, (-1.0, 1.0), "", mean, variance)
        check_monitor(make_run(config, facts))
        return f"the network was not tried on {name}, which a check does not download"
    trace(plan(config))
    return ""


def trace(run: Run, mesh: Mesh | None = None) -> None:
    """Check the start of a training, and trace one update without computing it."""
    check_start(run, mesh)
    batch = next(run.batches())
    with explained():
        eqx.filter_eval_shape(lambda: run.trainer.step(run.init(), batch, key=run.keys[1]))


def check_start(run: Run, mesh: Mesh | None) -> None:
    """Check the first batch, and that the devices divide what they share."""
    next(checked_batches(run.batches(), run.energy, mesh))
    if mesh is not None:
        shard(run.init(), mesh)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn the error of a value of another type, found in the first update, into a `ValueError`."""
    try:
        yield
    except TypeError as error:
        raise ValueError(f"an update of this config fails: {error}") from error
