"""The effective number of classes in a set of samples."""

import numpy as np
from jaxtyping import ArrayLike

from ... import _checks


def effective_classes(classes: ArrayLike) -> float:
    """The effective number of classes, `exp(H)` with the entropy `H` of their frequencies.

    It is the number of classes if all are equally frequent, and 1 if there is only one.

    Args:
        classes: labels `(num,)`, integers from 0; or the probabilities of a classifier `(num,
            classes)`, which are averaged over examples.

    Returns:
        A number from 1 to the number of classes.

    Raises:
        ValueError: if there is no example, a label is not an integer from 0, or a row of
            probabilities does not sum to 1.
    """
    values = np.asarray(classes)
    fix = "give labels (num,) or probabilities (num, classes)"
    _checks.require(values.ndim in (1, 2) and len(values) > 0, "classes.shape", values.shape, fix)
    if values.ndim == 1:
        ok = np.issubdtype(values.dtype, np.integer) and bool(np.all(values >= 0))
        _checks.require(ok, "classes", values[:8], "give labels as whole numbers from 0")
        frequencies = np.bincount(values) / len(values)
    else:
        sums = values.sum(1)
        ok = bool(np.all(values >= 0) and np.all(np.abs(sums - 1) < 1e-3))
        _checks.require(ok, "classes", sums[:8], "give probabilities that sum to 1 in each row")
        frequencies = values.mean(0, dtype=np.float64)
    from scipy.special import entr  # late: a faster `import ebmx`

    return float(np.exp(entr(frequencies / frequencies.sum()).sum()))
