"""Labels as integers from 0."""

from typing import Any

import numpy as np

from .. import _checks


def as_labels(labels: Any, num: int, name: str) -> np.ndarray:
    """Labels as integers `(num,)`, also from floats of integer value and a column `(num, 1)`."""
    labels = _one_each(labels, num, name)
    if labels.shape[1:] == (1,):
        labels = labels[:, 0]
    fix = "give labels (num,); for one-hot rows give labels.argmax(1)"
    _checks.require(labels.ndim == 1, f"{name}.shape", labels.shape, fix)
    fix = "give whole numbers from 0, such as np.unique(labels, return_inverse=True)[1]"
    _checks.require(labels.dtype.kind in "biuf", f"{name}.dtype", str(labels.dtype), fix)
    if labels.dtype.kind in "bf":
        wrong = labels[labels != np.floor(labels)] if labels.dtype.kind == "f" else labels[:0]
        fix = "give whole numbers from 0, or leave out `labels` if they are not classes"
        _checks.require(wrong.size == 0, name, wrong[:3], fix)
        labels = labels.astype(np.int64)
    fix = "give whole numbers from 0, such as labels - labels.min()"
    _checks.require(bool(np.all(labels >= 0)), name, labels[labels < 0][:3], fix)
    return labels


def as_conditions(labels: Any, num: int, name: str) -> np.ndarray:
    """Integers as labels; floats as finite conditions `(num, ...)`."""
    labels = _one_each(labels, num, name)
    if labels.dtype.kind != "f":
        return as_labels(labels, num, name)
    _checks.finite(labels, name)
    return labels


def _one_each(labels: Any, num: int, name: str) -> np.ndarray:
    labels = np.asarray(labels)
    fix = f"give one label for each of the {num} examples"
    _checks.require(labels.shape[:1] == (num,), f"{name}.shape", labels.shape, fix)
    return labels
