"""Updates that are skipped since their loss or gradient is far from those before them."""

import equinox as eqx
import jax.numpy as jnp

from .. import _checks
from .._types import Count, Flag, Number, Scalar, Vector
from ..energies._constants import as_number

_NORMAL = 1.4826  # the standard deviation of a normal distribution over its median deviation
_SMALLEST = 0.01  # of values that hardly differ, the deviation over their median


class Recent(eqx.Module):
    """What the last updates were like."""

    # Rings, of which entry `count` modulo their length is the next to be written.
    losses: Vector
    log_grad_norms: Vector
    # How many values have been entered since the rings began.
    count: Count
    # How many updates were outliers.
    outliers: Count


class SkipOutliers(eqx.Module):
    """Skips an update whose loss or gradient norm is far above those of the last updates.

        Trainer(optax.adam(1e-3), PCD(chains), skip=SkipOutliers())

    An outlier is more than `factor` standard deviations above the median of the last `window`
    values, where the standard deviation is 1.4826 times the median absolute deviation, and at least
    1 % of the median. Gradient norms are compared by their logarithms, of which it is at least
    0.01. Values below the median are no outliers, and nothing is skipped before the window is full.

    Values of skipped updates enter the window, too, unless they are not finite. So a single outlier
    hardly moves the median, and after a lasting change, to any level, half of a window is skipped
    and the training goes on. Where an objective begins or ends, the window begins again.

    Skipped updates are counted in the metric `skipped`, and these alone in `outliers`.

    Args:
        window: how many updates are compared with, at least 2.
        factor: how many standard deviations, above 0.

    Raises:
        ValueError: if a number is out of its range.
    """

    window: int = eqx.field(static=True, default=100)
    factor: Number = eqx.field(converter=as_number, default=6.0)

    def __check_init__(self):
        _checks.at_least("window", self.window, 2)
        _checks.positive("factor", self.factor)

    def init(self) -> Recent:
        """The state before the first update."""
        empty, zero = jnp.zeros(self.window, jnp.float32), jnp.zeros((), jnp.int32)
        return Recent(empty, empty, zero, zero)

    def step(
        self, recent: Recent, loss: Scalar, grad_norm: Scalar, *, restart: Flag
    ) -> tuple[Flag, Recent]:
        """Whether an update is an outlier, and the state with its values.

        Args:
            recent: the state before it.
            loss: of the update.
            grad_norm: of the update.
            restart: whether the window begins again with this update.
        """
        loss, grad_norm = loss.astype(jnp.float32), grad_norm.astype(jnp.float32)
        finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
        log_grad_norm = jnp.log(jnp.maximum(grad_norm, jnp.finfo(jnp.float32).tiny))
        count = jnp.where(restart, 0, recent.count)
        above = self._is_above(recent.losses, loss, relative=True)
        above |= self._is_above(recent.log_grad_norms, log_grad_norm, relative=False)
        outlier = finite & above & (count >= self.window)

        def entered(ring: Vector, value: Scalar) -> Vector:
            return jnp.where(finite, ring.at[count % self.window].set(value), ring)

        return outlier, Recent(
            entered(recent.losses, loss),
            entered(recent.log_grad_norms, log_grad_norm),
            count + finite.astype(jnp.int32),
            recent.outliers + outlier.astype(jnp.int32),
        )

    def _is_above(self, ring: Vector, value: Scalar, *, relative: bool) -> Flag:
        median = jnp.median(ring)
        deviation = _NORMAL * jnp.median(jnp.abs(ring - median))
        smallest = _SMALLEST * jnp.abs(median) if relative else jnp.float32(_SMALLEST)
        limit = jnp.asarray(self.factor, jnp.float32) * jnp.maximum(deviation, smallest)
        return value - median > limit
