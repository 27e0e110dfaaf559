"""Optimisers of configs, which know how many updates are planned."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from ..config._calls import build
from ..training import TrainState


class Planned(NamedTuple):
    """The state of an optimiser that knows how many updates are planned."""

    num_steps: jax.Array
    inner: Any


def planned(make: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
    """The optimiser `make(num_steps)`, with the number of updates as a part of its state.

    Another number there changes the schedule without compiling again: the optimiser is made inside
    of each update, from that number.
    """

    def init(params: Any) -> Planned:
        return Planned(jnp.asarray(num_steps, jnp.int32), make(num_steps).init(params))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        inner = optax.with_extra_args_support(make(state.num_steps))
        updates, new = inner.update(updates, state.inner, params, **extra)
        return updates, Planned(state.num_steps, new)

    return optax.GradientTransformationExtraArgs(init, update)


def with_plan(state: TrainState, num_steps: int) -> TrainState:
    """The state with another planned number of updates."""
    if not isinstance(state.opt_state, Planned):
        return state
    number = jnp.asarray(num_steps, jnp.int32)
    return eqx.tree_at(lambda s: s.opt_state.num_steps, state, number)


def optimiser(calls: Any, known: dict[str, Any], num_steps: int) -> Any:
    """One call, or a list of calls that are chained."""

    def make(num_steps: Any) -> Any:
        built = build(calls, {**known, "num_steps": num_steps}, path="optim")
        parts = enumerate(built) if isinstance(calls, list) else [("kind", built)]
        for place, one in parts:
            if not (hasattr(one, "init") and hasattr(one, "update")):
                raise ValueError(f"optim.{place}: {one!r} is not an optimiser of optax")
        return optax.chain(*built) if isinstance(calls, list) else built

    return planned(make, num_steps) if "$num_steps" in str(calls) else make(num_steps)
