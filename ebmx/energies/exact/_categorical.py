"""Independent categories."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key, Scalar, X
from .._base import AbstractExactEnergy
from .._precision import together


class Categorical(AbstractExactEnergy):
    """Independent sites, each in one of several categories, `E(x) = -logits · x`.

    Examples are one-hot along the last axis, `(*sites, num_categories)`. It is the base for the
    annealing of energies of categories.

    Args:
        logits: `log p` of each category up to a constant, `(*sites, num_categories)`; at least two
            categories.

    Raises:
        ValueError: if one is not finite, or there is one category alone.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    logits: jax.Array

    def __init__(self, logits: ArrayLike):
        self.logits = jnp.asarray(logits, float)
        self.shape = self.logits.shape
        ok = self.logits.size > 0 and self.shape[-1:] > (1,)
        fix = "give (*sites, num_categories) with at least two categories"
        _checks.require(ok, "logits.shape", self.shape, fix)
        if _checks.is_concrete(self.logits):
            _checks.finite(self.logits, "logits")

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        logits, x = together(self.logits, x)
        return -jnp.sum(logits * x)

    def sample(self, *, key: Key) -> X:
        return draw_one_hot(self.logits, key=key)

    @property
    def mean(self) -> X:
        """The probability of each category at each site."""
        return jax.nn.softmax(self.logits)

    @property
    def variance(self) -> X:
        return self.mean * (1 - self.mean)

    @property
    def log_z(self) -> Scalar:
        """`log Σ_x exp(-E(x))` over all one-hot `x`, in nats."""
        return jnp.sum(jax.nn.logsumexp(self.logits, -1))


def draw_one_hot(logits: jax.Array, *, key: Key) -> jax.Array:
    """One category of each site with these log probabilities, one-hot, of the shape of `logits`."""
    index = jax.random.categorical(key, logits)
    return jax.nn.one_hot(index, logits.shape[-1], dtype=logits.dtype)
