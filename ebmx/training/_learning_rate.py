"""Learning rates that change with the update."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Count, Number, Scalar


def cosine_schedule(
    peak: Number, num_steps: Number, num_warmup_steps: int = 0
) -> Callable[[Count], Scalar]:
    """A learning rate that falls from `peak` to 0 along a half cosine.

    Unlike `optax.cosine_decay_schedule` it takes a traced number of updates, so that a training
    whose length is known only after it has been compiled need not be compiled again.

    Loshchilov and Hutter (2017), "SGDR: Stochastic gradient descent with warm restarts".

    Args:
        peak: the highest learning rate, positive; a number or a scalar array of shape `()`.
        num_steps: after how many updates it is 0; it may be a traced number, of shape `()`.
        num_warmup_steps: in how many first updates it rises linearly to `peak`.

    Returns:
        A schedule as optax takes it, from the number of earlier updates to the learning rate.

    Raises:
        ValueError: if `peak` or `num_steps` is not positive, or `num_warmup_steps` is negative.
    """
    _checks.positive("peak", peak)
    _checks.positive("num_steps", num_steps)
    _checks.at_least("num_warmup_steps", num_warmup_steps, 0)

    def schedule(count: Count) -> Scalar:
        # float32 holds numbers of updates up to 2²⁴ exactly, and larger ones closely enough
        done = jnp.asarray(count, float)
        rest = jnp.maximum(jnp.asarray(num_steps, float) - num_warmup_steps, 1)
        part = jnp.clip((done - num_warmup_steps) / rest, 0, 1)
        falling = 0.5 * (1 + jnp.cos(jnp.pi * part))
        rising = (done + 1) / (num_warmup_steps + 1)
        return jax.lax.select(done < num_warmup_steps, rising, falling) * jnp.asarray(peak, float)

    return schedule
