"""Binding the state of norm layers to an energy, and updating it."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import ArrayLike

from .. import _checks
from .._types import EnergyFn, Scalar, X
from ._base import AbstractEnergy, AbstractStatefulEnergy, check_scalar
from ._constants import constant


class Frozen(AbstractEnergy):
    """A stateful energy with its state bound: a fixed function of one example."""

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: AbstractStatefulEnergy
    state: eqx.nn.State = constant()

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        return self.energy(x, self.state)[0]


def freeze(energy: Any, state: eqx.nn.State | None = None) -> EnergyFn:
    """Bind `state` and put all layers into inference mode, so that the energy is a fixed `E(x)`.

    Samplers and losses take frozen energies, since the score of one example must not depend on
    others in the batch. Weights stay parameters; `Fixed` makes them constants.

    Args:
        energy: an energy, with a state or without, or a plain callable.
        state: the state of a stateful energy, `None` for any other.

    Returns:
        A callable from one example to one energy.

    Raises:
        ValueError: if there is no state where one is needed, or one where none is, or it is a
            network of features.
    """
    stateful = isinstance(energy, AbstractStatefulEnergy)
    if stateful != (state is not None):
        fix = "make both with `energy, state = eqx.nn.make_with_state(Energy)(...)`"
        _checks.invalid("state", type(state).__name__, f"{type(energy).__name__}: {fix}")
    check_scalar(energy)
    inference = eqx.nn.inference_mode(energy)
    return inference if state is None else Frozen(energy.shape, inference, state)


def advance(energy: Any, state: eqx.nn.State | None, x: ArrayLike) -> eqx.nn.State | None:
    """Update the state of the norm layers by one batch: running statistics, power iteration.

    Args:
        energy: any energy.
        state: the state of a stateful energy, `None` for any other.
        x: a batch of data, `(batch, *shape)`.

    Returns:
        The state after the batch; `None` for an energy without one.

    Raises:
        ValueError: if the batch or the state does not fit the energy.
    """
    if state is None:
        return None
    stateful = isinstance(energy, AbstractStatefulEnergy)
    fix = "a state belongs to a stateful energy: give that energy, or no state"
    _checks.require(stateful, "energy", type(energy).__name__, fix)
    x = _checks.batch(x, "x", energy.shape)
    # statistics are over the axis named "batch", so that the state that comes out is one for all
    training = eqx.nn.inference_mode(energy, value=False)
    apply = jax.vmap(training, in_axes=(0, None), out_axes=(0, None), axis_name="batch")
    return jax.lax.stop_gradient(apply(x, state)[1])
