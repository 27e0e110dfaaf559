"""What a sampler is."""

import abc
from typing import Generic, TypeVar

import equinox as eqx

from .._types import EnergyFn, Flag, Key, Scalar, X

State = TypeVar("State")


class StepInfo(eqx.Module):
    """What one step of one chain reports. Small, since loops carry and stack it."""

    energy: Scalar
    """The energy where the step took its (last) gradient, in nats; training takes a chain for dead
    whose energy is not finite."""
    grad_norm: Scalar
    """The norm of the gradient of the energy there."""
    acceptance: Scalar
    """The probability with which the proposal is accepted; 1 for samplers that never reject."""
    divergent: Flag
    """Whether the step left the finite numbers, or its integrator failed."""


class AbstractSampler(eqx.Module, Generic[State]):
    """A Markov chain on one example: hyper-parameters, `init` and `step`.

    The energy is always an argument and never stored, the position `x` travels apart from the
    state. Write a sampler for ONE chain; `run` and `sample` map it over many.
    """

    @abc.abstractmethod
    def init(self, energy: EnergyFn, x: X, *, key: Key) -> State:
        """The state of a chain that starts at `x`."""

    @abc.abstractmethod
    def step(self, energy: EnergyFn, x: X, state: State, *, key: Key) -> tuple[X, State, StepInfo]:
        """One step of one chain: the next position, the next state, and what happened."""
