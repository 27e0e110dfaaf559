"""The result of an estimate of log Z, and the likelihoods that follow from it."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks, _warnings
from ..._types import EnergyFn, Number, Scalar, Vector, XBatch
from ...energies import energy as energies_of
from .._diagnostics import ConvergenceWarning

_FEW = 5.0  # effective sample size below which the standard error is unreliable


@dataclasses.dataclass(frozen=True)
class LogZ:
    """An estimate of `log Z`; `annealed_importance_sampling` says what the fields are."""

    log_z: float
    standard_error: float
    effective_sample_size: float
    log_weights: np.ndarray
    x: jax.Array
    acceptance: np.ndarray
    schedule: np.ndarray

    def __str__(self) -> str:
        """The estimate in one line."""
        return f"log Z = {self.log_z:.4f} ± {self.standard_error:.4f}"


def estimate(
    base: Scalar, log_weights: Any, x: jax.Array, acceptance: Any, schedule: Any, *, sign: int
) -> LogZ:
    """From weights that estimate `Z/Z₀` (`sign` 1) or its inverse (`sign` -1)."""
    log = np.asarray(log_weights, np.float64)
    top = log.max()
    weights = np.exp(log - top) if np.isfinite(top) else np.zeros_like(log)
    mean = weights.mean()
    known = mean > 0
    error = weights.std(ddof=1) / mean / math.sqrt(len(log)) if known else math.inf
    return LogZ(
        log_z=float(base) + sign * float(top + np.log(mean) if known else -math.inf),
        standard_error=float(error),
        effective_sample_size=float(weights.sum() ** 2 / np.sum(weights**2)) if known else 0.0,
        log_weights=log,
        x=x,
        acceptance=np.asarray(acceptance),
        schedule=np.asarray(schedule),
    )


def warn_of_weights(found: LogZ, covered: bool) -> None:
    """Warn of an unreliable estimate."""
    size, num = found.effective_sample_size, len(found.log_weights)
    if size < min(_FEW, num / 2):
        _warn(
            f"{size:.1f} of {num} chains have all the weight, so that log Z and its standard error "
            "are unreliable: take more temperatures, more steps at each, or a base that is closer "
            "to the energy, such as fit_gaussian(x)."
        )
    _warn_of_base(covered)


def warn_of_islands(found: LogZ, arrived: np.ndarray, covered: bool) -> None:
    """Warn of islands that stopped early, disagree, or left the support of the base."""
    size, num = found.effective_sample_size, len(arrived)
    if not arrived.all():
        _warn(
            f"{int(np.sum(~arrived))} of {num} islands stopped before β = 1, so that log Z is not "
            "that of the energy: raise max_temperatures, or lower target_ess."
        )
    elif size < num / 2:
        _warn(
            f"the islands disagree: their effective number is {size:.1f} of {num}. Take more "
            "particles, or more steps at each temperature."
        )
    _warn_of_base(covered)


def _warn_of_base(covered: bool) -> None:
    if not covered:
        _warn(
            "chains ended where the base has no density, so that log Z is that of a part of the "
            "support: give a base that covers the support, such as a wider box or a Gaussian."
        )


def _warn(text: str) -> None:
    _warnings.warn(text, ConvergenceWarning)


def log_likelihood(energy: EnergyFn, x: ArrayLike, log_z: Number) -> Vector:
    """The log densities of examples, `-E(x) - log Z`.

    Args:
        energy: an energy, or any callable from one example to a scalar.
        x: examples, `(batch, *shape)`.
        log_z: a number in nats, such as the `log_z` of an estimate. A lower bound of `log Z` gives
            an upper bound of the likelihood.

    Returns:
        `(batch,)`, in nats.

    Raises:
        ValueError: if `x` does not fit the energy or `log_z` is not one finite number.
    """
    fix = "give one finite number in nats, such as the `.log_z` of an estimate"
    ok = jnp.shape(log_z) == () and bool(np.isfinite(np.asarray(log_z)))
    _checks.require(ok, "log_z", log_z, fix)
    values = energies_of(energy, x)
    return -values - jnp.asarray(log_z, values.dtype)


def bits_per_dimension(energy: EnergyFn, x: XBatch, log_z: Number, *, bin_width: float) -> Vector:
    """The negative log likelihood of discrete data, in bits per number of an example.

    A level of discrete data is a bin of the continuous ones, with a probability of about the
    density times the volume of the bin, `bin_width^d`. If uniform noise of that width has been
    added to `x`, the mean is an upper bound of that of the discrete data (Theis, van den Oord and
    Bethge, 2016, "A note on the evaluation of generative models").

    Args:
        energy: as for `log_likelihood`.
        x: as for `log_likelihood`.
        log_z: as for `log_likelihood`.
        bin_width: the distance between two levels, in units of `x`: `2 / 255` for 256 grey levels
            that `ebmx.data.scale` maps to [-1, 1].

    Returns:
        `(batch,)`, in bits per dimension.

    Raises:
        ValueError: as for `log_likelihood`, or if `bin_width` is not positive.
    """
    _checks.positive("bin_width", bin_width)
    log_density = log_likelihood(energy, x, log_z)
    return -log_density / (x[0].size * math.log(2)) - math.log2(bin_width)
