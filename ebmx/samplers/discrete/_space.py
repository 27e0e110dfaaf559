"""The two kinds of discrete examples: zeros and ones, and one-hot categories."""

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import X
from .._base import AbstractSampler, State, always
from .._fields import at_least_single


class AbstractDiscrete(AbstractSampler[State]):
    """A sampler of examples of zeros and ones, or one-hot along the last axis.

    A step from another position is one from the nearest example, so that chains may start at any.
    """

    is_discrete = always(True)
    is_equivariant = always(False)
    bounds = always((0.0, 1.0))


def nearest(x: X, categorical: bool) -> X:
    """The nearest example: `x` itself, if it is one."""
    if not categorical:
        return jnp.asarray(x > 0.5, x.dtype)
    fix = "one-hot examples are (*sites, num_categories) with at least two categories"
    _checks.require(x.ndim > 0 and x.shape[-1] > 1, "x.shape", x.shape, fix)
    return jax.nn.one_hot(jnp.argmax(x, -1), x.shape[-1], dtype=x.dtype)


def rises(x: X, gradient: X, categorical: bool) -> X:
    """By how much the log density rises with each change of one site, to first order.

    For zeros and ones that of each flip, for categories that of each one, 0 for the present one.
    """
    # a random change, where nothing is known
    known = jnp.nan_to_num(gradient).astype(at_least_single(x.dtype))
    x = x.astype(known.dtype)
    if not categorical:
        return (2 * x - 1) * known
    return jnp.sum(x * known, -1, keepdims=True) - known
