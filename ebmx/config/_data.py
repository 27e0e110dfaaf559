"""What a config takes of a data set: batches, and labels where the objective needs them."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from .. import _checks
from ..data import Dataset, batches
from ._config import RunConfig
from ._kinds import LABELLED


def count_labels(config: RunConfig, dataset: Dataset) -> int | None:
    """How many labels the data have; `None` for an objective that does not look at them.

    **Raises:**

    `ValueError` if the objective needs labels and the data have none, or they are not whole
    numbers from 0.
    """
    kind, labels = config.objective.kind, dataset.train_labels
    if kind not in LABELLED:
        return None
    if labels is None:
        _checks.invalid("objective.kind", kind, f"needs labels, and {dataset.name} has none")
    ok = np.issubdtype(labels.dtype, np.integer) and labels.ndim == 1 and labels.min() >= 0
    fix = f"objective.kind={kind!r} needs labels that are whole numbers from 0"
    _checks.require(bool(ok), "labels", (labels.dtype, labels.shape), fix)
    return int(labels.max()) + 1


def training_batches(config: RunConfig, dataset: Dataset, *, start: int = 0) -> Iterator[Any]:
    """Batches `x`, or `(x, labels)` for an objective that needs them, from number `start` on."""
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    labels = None
    if count_labels(config, dataset) is not None and dataset.train_labels is not None:
        labels = dataset.train_labels.astype(np.int32)
    size = config.data.batch_size
    return batches(dataset.train, size, labels=labels, start=start, key=key)
