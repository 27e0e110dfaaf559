"""The optimiser Muon; and the state and the arguments of any optimiser of optax."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .. import _checks
from .._types import Number, Scalar

# optax mixes dtypes, and parameters may have several; a program may have forbidden promotion
promoting = functools.partial(jax.numpy_dtype_promotion, "standard")

Optimiser = optax.GradientTransformation | optax.MultiSteps


def muon(
    learning_rate: optax.ScalarOrSchedule,
    *,
    momentum: Number = 0.9,
    adam_learning_rate: optax.ScalarOrSchedule | None = None,
    adam_b1: Number = 0.0,
    weight_decay: Number = 0.0,
) -> optax.GradientTransformation:
    """Muon for the weights of dense and convolutional layers, and Adam for all else.

    Muon makes the momentum of a layer a matrix of equal singular values: all directions of a layer
    change by as much. A kernel `(out, in, height, width)` is the matrix `(out, in · height ·
    width)`; `optax.contrib.muon` would leave it to Adam. A layer of one output, and every array of
    one axis, has Adam. The updates of a layer have a root mean square of 0.2 times the learning
    rate, whatever its shape.

    Jordan et al. (2024), "Muon: an optimizer for hidden layers in neural networks".

    Args:
        learning_rate: of the layers; a number, such as 2e-3, or a schedule.
        momentum: the decay of the mean gradient, in [0, 1].
        adam_learning_rate: of all else; that of the layers if not given.
        adam_b1: the decay of the mean gradient of Adam, in [0, 1].
        weight_decay: times the learning rate, how much of a parameter is taken off in an update.

    Returns:
        An optimiser, for `Trainer` or a chain of `optax.chain`.

    Raises:
        ValueError: if a number is out of its range.
    """
    for name, value in (("momentum", momentum), ("adam_b1", adam_b1)):
        _checks.probability(name, value)
    _checks.non_negative("weight_decay", weight_decay)
    rates = {"learning_rate": learning_rate, "adam_learning_rate": adam_learning_rate}
    for name, rate in rates.items():
        if rate is not None and not callable(rate):
            _checks.positive(name, rate)
    return optax.contrib.muon(
        learning_rate,
        beta=momentum,
        weight_decay=weight_decay,
        adam_b1=adam_b1,
        adam_weight_decay=weight_decay,
        adam_learning_rate=learning_rate if adam_learning_rate is None else adam_learning_rate,
        muon_weight_dimension_numbers=_layers,
        consistent_rms=0.2,
    )


def _layers(parameters: Any) -> Any:
    """The axes that make a matrix of each layer; `None` for arrays that Adam updates."""

    def one(leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        rows = leaf.shape[0] if leaf.ndim > 1 else 1
        if rows == 1 or leaf.size == rows:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(1, leaf.ndim)), (0,))

    return jax.tree.map(one, parameters)


def as_transformation(optim: Optimiser) -> optax.GradientTransformation:
    """`MultiSteps` as a pair of functions, as all other optimisers are."""
    return optim.gradient_transformation() if isinstance(optim, optax.MultiSteps) else optim


def start(optim: Any, parameters: Any) -> optax.OptState:
    """The state before the first update, with the dtypes that it has after one."""

    def one(leaf: Any) -> Any:
        # line searches start with weakly typed numbers, and the second step would compile again
        return jnp.asarray(leaf, leaf.dtype) if eqx.is_array(leaf) else leaf

    with promoting():
        return jax.tree.map(one, optim.init(parameters))


def update(
    optim: Any,
    gradient: Any,
    opt_state: optax.OptState,
    parameters: Any,
    *,
    value: Scalar,
    value_fn: Callable[[Any], Scalar],
) -> tuple[Any, optax.OptState]:
    """The update of one gradient, with the further arguments that the optimiser takes.

    Optimisers that adapt to the loss read `value`; line searches evaluate the loss at other
    parameters, by `value_fn`; `grad_fn(parameters, step)` is for `sam`.
    """
    usual = {"value": value, "grad": gradient, "value_fn": value_fn}
    named = {**usual, "grad_fn": lambda parameters, _: jax.grad(value_fn)(parameters)}
    taken = inspect.signature(optim.update).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
    given = usual if takes_any else {n: thing for n, thing in named.items() if n in taken}
    with promoting():
        return optim.update(gradient, opt_state, parameters, **given)
