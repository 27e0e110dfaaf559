"""The calibration of class probabilities."""

import numpy as np
from jaxtyping import ArrayLike

from ... import _checks


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, *, num_bins: int = 15) -> float:
    """The expected calibration error: `Σ_b fraction_b · |accuracy_b − confidence_b|`.

    The confidence is the largest probability, in bins `b` of equal width. The error is 0 if a
    fraction `c` of the predictions of confidence `c` is correct.

    Guo et al. (2017), "On calibration of modern neural networks".

    Args:
        probabilities: `(num, classes)`, in [0, 1], each row with the sum 1.
        labels: `(num,)`, integers from 0.
        num_bins: number of bins of the confidence, at least 1.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: if the rows are not probabilities, or the number of labels differs or a label is
            out of range.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    fix = "give at least one row of class probabilities"
    ok = probabilities.ndim == 2 and probabilities.size > 0
    _checks.require(ok, "probabilities.shape", probabilities.shape, fix)
    sums = probabilities.sum(1)
    fix = "give numbers in [0, 1], with the sum 1 in each row: softmax of the logits"
    ok = bool(np.all(probabilities >= 0) and np.allclose(sums, 1, atol=1e-3))
    _checks.require(ok, "probabilities", "not a distribution", fix)
    shape = (len(probabilities),)
    fix = f"give {shape}, a label for each row of probabilities"
    _checks.require(labels.shape == shape, "labels.shape", labels.shape, fix)
    known = np.isin(labels, np.arange(probabilities.shape[1])).all()
    fix = f"give integers from 0 to {probabilities.shape[1] - 1}"
    _checks.require(bool(known), "labels", labels, fix)
    _checks.at_least("num_bins", num_bins, 1)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    place = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    # a fraction times a difference of means is a difference of sums over the number of rows
    gaps = np.bincount(place, right, num_bins) - np.bincount(place, confidence, num_bins)
    return float(np.abs(gaps).sum() / len(labels))
