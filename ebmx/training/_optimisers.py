"""Optimisers of optax: their state, and the arguments of their updates."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .._types import Scalar

# optax mixes dtypes, and parameters may have several; a program may have forbidden promotion
promoting = functools.partial(jax.numpy_dtype_promotion, "standard")

Optimiser = optax.GradientTransformation | optax.MultiSteps


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
