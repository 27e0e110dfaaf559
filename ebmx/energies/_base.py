"""What an energy is."""

import abc

import equinox as eqx

from .._types import Key, Scalar, X


class AbstractEnergy(eqx.Module):
    """A function from one example to one number, `E(x)`; the density is `exp(-E(x)) / Z`.

    Subclasses set `shape`, the shape of one example, and define `__call__` on ONE example. To
    evaluate a batch use `jax.vmap(energy)(x)` or `ebmx.energy(energy, x)`. Wherever the library
    takes an energy, a plain callable `x -> scalar` does as well.
    """

    shape: eqx.AbstractVar[tuple[int, ...]]

    @abc.abstractmethod
    def __call__(self, x: X) -> Scalar:
        """The energy of one example of shape `self.shape`."""


class AbstractAnalyticEnergy(AbstractEnergy):
    """An energy whose normaliser `log_z` and moments of each coordinate are known."""

    @property
    @abc.abstractmethod
    def mean(self) -> X:
        """The mean, of the shape of one example."""

    @property
    @abc.abstractmethod
    def variance(self) -> X:
        """The variance of each coordinate, of the shape of one example."""

    @property
    @abc.abstractmethod
    def log_z(self) -> Scalar:
        """`log ∫ exp(-E(x)) dx`, in nats."""


class AbstractExactEnergy(AbstractAnalyticEnergy):
    """An analytic energy that can be sampled exactly."""

    @abc.abstractmethod
    def sample(self, *, key: Key) -> X:
        """Draw one exact, independent example."""


class AbstractStatefulEnergy(eqx.Module):
    """An energy with layers that carry a state: `BatchNorm`, `SpectralNorm`.

    `ebmx.energies.advance` moves the state, once in a training step; `ebmx.energies.freeze` binds
    it, and what comes out is a plain energy. Batch statistics, if there are any, are taken over
    the axis named `"batch"`.
    """

    shape: eqx.AbstractVar[tuple[int, ...]]

    @abc.abstractmethod
    def __call__(self, x: X, state: eqx.nn.State) -> tuple[Scalar, eqx.nn.State]:
        """The energy of one example, and the state after it."""
