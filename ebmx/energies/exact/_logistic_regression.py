"""Bayesian logistic regression."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Number, Scalar, X
from .._base import AbstractEnergy
from .._constants import as_number, constant
from .._precision import as_dtype_of
from ._gaussian import Gaussian


class LogisticRegression(AbstractEnergy):
    """The posterior of the coefficients `w` of `P(y = 1 | a) = 1 / (1 + exp(−a·w))`.

    `E(w) = Σₙ log(1 + exp(−(2yₙ − 1) aₙ·w)) − log N(w; 0, s²)`, with the normaliser of the prior,
    so that `log Z` is the log probability of the labels: the evidence. Add a column of ones for an
    intercept, and standardise the others. Features, labels and scale are constants.

    Gelman et al. (2008), "A weakly informative default prior distribution for logistic and other
    regression models".

    Args:
        features: `a`, `(examples, features)`.
        labels: `y`, `(examples,)`, of zeros and ones.
        prior_scale: `s`, the standard deviation of each coefficient before the data are seen.

    Raises:
        ValueError: if a shape does not fit, or a number is out of its range.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    signed: jax.Array = constant()  # the features of each example, times the sign of its label
    prior_scale: jax.Array = constant()

    def __init__(self, features: ArrayLike, labels: ArrayLike, prior_scale: Number = 1.0):
        features = np.asarray(features, np.float64)
        ok = features.ndim == 2 and features.size > 0
        fix = "give an array (examples, features)"
        _checks.require(ok, "features.shape", features.shape, fix)
        _checks.finite_value("features", features)
        labels = np.asarray(labels)
        fix = f"give ({len(features)},): one label for each of the features' rows"
        _checks.require(labels.shape == (len(features),), "labels.shape", labels.shape, fix)
        fix = "give labels of zeros and ones"
        _checks.require(bool(np.isin(labels, (0, 1)).all()), "labels", labels, fix)
        self.signed = jnp.asarray(features * np.where(labels == 1, 1, -1)[:, None], float)
        self.shape = features.shape[1:]
        self.prior_scale = as_number(prior_scale)
        _checks.positive("prior_scale", self.prior_scale)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        signed, scale = as_dtype_of(x, self.signed, self.prior_scale)
        norm = x.size * (0.5 * math.log(2 * math.pi) + jnp.log(scale))
        margins = jnp.matmul(signed, x, precision=jax.lax.Precision.HIGHEST)
        return jnp.sum(jax.nn.softplus(-margins)) + 0.5 * jnp.sum((x / scale) ** 2) + norm

    @property
    def prior(self) -> Gaussian:
        """The prior of the coefficients, where annealing may begin."""
        return Gaussian(jnp.zeros(self.shape), self.prior_scale**2)
