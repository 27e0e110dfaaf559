"""Dual averaging of step sizes."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

_FARTHEST = 80.0  # largest absolute logarithm of a step size, within single precision


class DualAveraging(eqx.Module):
    """The state of dual averaging, of one step size or many: Hoffman and Gelman (2014), 3.2."""

    # Not `blackjax.optimizers.dual_averaging`: its average leaves out the latest step size, which
    # after 20 steps makes the error of the acceptance two to three times as large (0.022 or 0.007
    # from 0.01 towards 0.28); from 60 steps on the two agree. It has no restart either.

    log_step: jax.Array
    log_average: jax.Array
    gradient: jax.Array
    centre: jax.Array
    count: jax.Array
    gain: jax.Array
    highest: jax.Array

    @classmethod
    def search(cls, step_size: jax.Array, longest: float = math.inf) -> "DualAveraging":
        """Begin far from the right step size, in long strides; no step is longer than `longest`."""
        highest = jnp.asarray(min(math.log(longest), _FARTHEST), step_size.dtype)
        log = jnp.minimum(jnp.log(step_size), highest)
        return cls._begin(log, log + jnp.log(10.0), 20.0, highest)

    def refine(self) -> "DualAveraging":
        """Begin again near the right step size, in short strides.

        Where the acceptance falls steeply, the long strides of a search keep overshooting, and the
        mean of the acceptances is not the acceptance of the mean.
        """
        return self._begin(self.log_average, self.log_average, 2.0, self.highest)

    @classmethod
    def _begin(
        cls, log_step: jax.Array, centre: jax.Array, gain: float, highest: jax.Array
    ) -> "DualAveraging":
        zero, count = jnp.zeros_like(log_step), jnp.zeros((), jnp.int32)
        gains = jnp.asarray(gain, log_step.dtype)
        return cls(log_step, log_step, zero, centre, count, gains, highest)

    def update(self, acceptance: jax.Array, target: jax.Array) -> "DualAveraging":
        """The state after a step with this acceptance."""
        count = self.count + 1
        number = count.astype(self.log_step.dtype)
        weight = 1 / (number + 10)
        error = target - acceptance.astype(self.log_step.dtype)
        gradient = (1 - weight) * self.gradient + weight * error
        log_step = self.centre - self.gain * jnp.sqrt(number) * gradient
        # otherwise unbounded where even the longest steps are accepted more often, as of DMALA
        log_step = jnp.clip(log_step, -_FARTHEST, self.highest)
        fraction = number**-0.75
        average = fraction * log_step + (1 - fraction) * self.log_average
        return DualAveraging(
            log_step, average, gradient, self.centre, count, self.gain, self.highest
        )
