"""What to keep of a chain."""

import abc
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import X
from ._base import StepInfo
from ._fields import at_least_single

Carry = TypeVar("Carry")


class AbstractSave(eqx.Module, Generic[Carry]):
    """What to keep of the samples of one chain, in constant memory or stacked.

    Define `init`, what is carried from sample to sample; `update`, which reads one sample and may
    return something to stack; and `final`, which makes the `values` of both. `Last` is the shortest
    example.
    """

    @abc.abstractmethod
    def init(self, x: X) -> Carry:
        """What is carried before the first sample; `x` has the shape of a sample."""

    @abc.abstractmethod
    def update(self, carry: Carry, x: X, info: StepInfo) -> tuple[Carry, Any]:
        """What is carried after one sample, and what to stack, `None` for nothing."""

    @abc.abstractmethod
    def final(self, carry: Carry, stacked: Any) -> Any:
        """The `values` of `Samples`."""


def save_position(x: X, info: StepInfo) -> X:
    """Keep the position."""
    del info
    return x


def save_position_and_energy(x: X, info: StepInfo) -> dict[str, Any]:
    """Keep the position `x` and its `energy`.

    Args:
        x: the position, `(*shape)`.
        info: what the step reports.

    Returns:
        A dictionary of `x`, and of `energy` in nats.
    """
    return {"x": x, "energy": info.energy}


class Trace(AbstractSave[None]):
    """Keep a function of each sample, stacked to `(num_samples, ...)`.

    Args:
        function: of the position and the `StepInfo` of one chain.
    """

    function: Callable[[Any, StepInfo], Any] = save_position

    def init(self, x: X) -> None:
        """Nothing."""
        del x

    def update(self, carry: None, x: X, info: StepInfo) -> tuple[None, Any]:
        """Stack the function of this sample."""
        return carry, self.function(x, info)

    def final(self, carry: None, stacked: Any) -> Any:
        """What was stacked."""
        del carry
        return stacked


class Last(AbstractSave[X]):
    """Keep the last position, in constant memory."""

    def init(self, x: X) -> X:
        """The start."""
        return x

    def update(self, carry: X, x: X, info: StepInfo) -> tuple[X, None]:
        """The position takes the place of the one before."""
        del carry, info
        return x, None

    def final(self, carry: X, stacked: None) -> X:
        """The last position."""
        del stacked
        return carry


class RunningMoments(NamedTuple):
    """Mean and variance of each coordinate over the samples of a chain, in float32 at least."""

    count: jax.Array
    mean: X
    square: X
    """The sum of squared deviations from the mean."""

    @property
    def variance(self) -> X:
        """The unbiased variance; NaN for one sample."""
        count = self.count.reshape(self.count.shape + (1,) * (self.mean.ndim - self.count.ndim))
        return self.square / (count - 1)


class Moments(AbstractSave[RunningMoments]):
    """Keep mean and variance of each coordinate, in constant memory.

    Welford (1962), "Note on a method for calculating corrected sums of squares and products".
    """

    def init(self, x: X) -> RunningMoments:
        """No sample yet."""
        zero = jnp.zeros(x.shape, at_least_single(x.dtype))
        return RunningMoments(jnp.zeros((), jnp.int32), zero, zero)

    def update(self, carry: RunningMoments, x: X, info: StepInfo) -> tuple[RunningMoments, None]:
        """Take in one sample."""
        del info
        count = carry.count + 1
        x = x.astype(carry.mean.dtype)
        change = x - carry.mean
        mean = carry.mean + change / count.astype(x.dtype)
        return RunningMoments(count, mean, carry.square + change * (x - mean)), None

    def final(self, carry: RunningMoments, stacked: None) -> RunningMoments:
        """The moments."""
        del stacked
        return carry
