"""What a config takes of a data set: batches, and labels where the objective needs them."""

import logging
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from .. import _checks
from ..config._fields_read import LABELLED
from ..config._schema import RunConfig
from ..data import Dataset, batches, load

_LOG = logging.getLogger("ebmx")


def load_data(config: RunConfig) -> Dataset:
    """The data set that a config names; how it was taken is logged."""
    data = config.data
    dataset = load(data.name, layout=data.layout, test_share=data.test_share)
    _LOG.info("data: %s", dataset.summary)
    return dataset


def units_of(dataset: Dataset) -> dict[str, Any]:
    """The ranges by which a data set was scaled, as plain numbers."""
    return {name: np.asarray(getattr(dataset, name)).tolist() for name in ("low", "high")}


def check_units(saved: Any, dataset: Dataset) -> None:
    """Check that data are scaled as they were when a run was trained on them.

    Args:
        saved: the config beside a checkpoint of the run.
        dataset: its data as they are now.

    Raises:
        ValueError: if their ranges are others than those that were saved with the run.
    """
    fix = "is scaled by other ranges than when the run was trained: give the run its data again"
    same = isinstance(saved, dict) and saved.get("units") == units_of(dataset)
    _checks.require(same, "data.name", dataset.name, fix)


def count_labels(config: RunConfig, dataset: Dataset) -> int | None:
    """How many labels the data have; `None` for an objective that does not look at them.

    Raises:
        ValueError: if the objective needs labels and the data have none.
    """
    kind, labels = config.objective.kind, dataset.train_labels
    if kind not in LABELLED:
        return None
    if labels is None:
        _checks.invalid("objective.kind", kind, f"needs labels, and {dataset.name} has none")
    return int(labels.max()) + 1


def training_batches(config: RunConfig, dataset: Dataset, *, start: int = 0) -> Iterator[Any]:
    """Batches `x`, or `(x, labels)` for an objective that needs them, from number `start` on."""
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    labels = None
    if count_labels(config, dataset) is not None and dataset.train_labels is not None:
        labels = dataset.train_labels.astype(np.int32)
    size = config.data.batch_size
    return batches(dataset.train, size, labels=labels, start=start, key=key)
