"""Independent bits."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key, Scalar, X
from .._base import AbstractExactEnergy
from .._precision import together


class Bernoulli(AbstractExactEnergy):
    """Independent zeros and ones, `E(x) = -logits · x`: the base for a `BernoulliRBM`.

    Args:
        logits: `log p / (1 - p)` of each unit, an array of the shape of one example.

    Raises:
        ValueError: if one is not finite.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    logits: jax.Array

    def __init__(self, logits: ArrayLike):
        self.logits = jnp.asarray(logits, float)
        self.shape = self.logits.shape
        if _checks.is_concrete(self.logits):
            _checks.require(self.logits.size > 0, "logits.shape", self.shape, "give at least one")
            _checks.finite(self.logits, "logits")

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        logits, x = together(self.logits, x)
        return -jnp.sum(logits * x)

    def sample(self, *, key: Key) -> X:
        uniform = jax.random.uniform(key, self.shape, self.logits.dtype)
        return (uniform < self.mean).astype(self.logits.dtype)

    @property
    def mean(self) -> X:
        """The probability of each unit to be one."""
        return jax.nn.sigmoid(self.logits)

    @property
    def variance(self) -> X:
        return self.mean * (1 - self.mean)

    @property
    def log_z(self) -> Scalar:
        """`log Σ_x exp(-E(x))` over all `x` of zeros and ones, in nats."""
        return jnp.sum(jax.nn.softplus(self.logits))
