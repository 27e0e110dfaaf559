"""Labels as whole numbers from 0."""

from typing import Any

import numpy as np

from .. import _checks


def as_labels(labels: Any, num: int, name: str) -> np.ndarray:
    """Labels `(num,)`, whole numbers from 0; whole floats and a column `(num, 1)` become such.

    Raises:
        ValueError: if they are not as many as the examples, one-hot, no whole numbers or negative.
    """
    labels = np.asarray(labels)
    fix = f"give one label for each of the {num} examples"
    _checks.require(labels.shape[:1] == (num,), f"{name}.shape", labels.shape, fix)
    if labels.shape[1:] == (1,):
        labels = labels[:, 0]
    fix = "give labels (num,); one-hot rows become labels by labels.argmax(1)"
    _checks.require(labels.ndim == 1, f"{name}.shape", labels.shape, fix)
    fix = "give whole numbers from 0: np.unique(labels, return_inverse=True)[1] numbers any values"
    _checks.require(labels.dtype.kind in "biuf", f"{name}.dtype", str(labels.dtype), fix)
    if labels.dtype.kind in "bf":
        wrong = labels[labels != np.floor(labels)] if labels.dtype.kind == "f" else labels[:0]
        fix = "give whole numbers from 0, or leave out `labels` that are no classes"
        _checks.require(wrong.size == 0, name, wrong[:3], fix)
        labels = labels.astype(np.int64)
    fix = "give whole numbers from 0, such as labels - labels.min()"
    _checks.require(bool(np.all(labels >= 0)), name, labels[labels < 0][:3], fix)
    return labels


def as_conditions(labels: Any, num: int, name: str) -> np.ndarray:
    """Integers as labels; floats as conditions `(num, ...)`, which are finite."""
    labels = np.asarray(labels)
    if labels.dtype.kind != "f":
        return as_labels(labels, num, name)
    fix = f"give one label for each of the {num} examples"
    _checks.require(labels.shape[:1] == (num,), f"{name}.shape", labels.shape, fix)
    _checks.finite(labels, name)
    return labels
