"""How many classes samples cover."""

import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._arguments import guarded


@guarded
def effective_classes(classes: ArrayLike) -> float:
    """How many classes there are in effect, `exp(H)` with the entropy of their shares.

    It is the number of classes if all are as frequent, and 1 if there is only one.

    Args:
        classes: labels `(num,)`, whole numbers from 0; or the probabilities of a classifier `(num,
            classes)`, which are averaged.

    Returns:
        A number from 1 to the number of classes.

    Raises:
        ValueError: if there is no example, or labels or probabilities are not such.
    """
    values = np.asarray(classes)
    fix = "give labels (num,) or probabilities (num, classes)"
    _checks.require(values.ndim in (1, 2) and len(values) > 0, "classes.shape", values.shape, fix)
    if values.ndim == 1:
        ok = np.issubdtype(values.dtype, np.integer) and bool(np.all(values >= 0))
        _checks.require(ok, "classes", values[:8], "give labels as whole numbers from 0")
        shares = np.bincount(values) / len(values)
    else:
        sums = values.sum(1)
        ok = bool(np.all(values >= 0) and np.all(np.abs(sums - 1) < 1e-3))
        _checks.require(ok, "classes", sums[:8], "give probabilities that sum to 1 in each row")
        shares = values.mean(0, dtype=np.float64)
    shares = shares[shares > 0] / shares.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))
