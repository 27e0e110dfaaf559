"""The state of a training, and the choice between two of them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .._types import Count, Flag, Scalar


class TrainState(eqx.Module):
    """The state of a training: all that a step changes."""

    # Updated by the optimiser.
    energy: Any
    opt_state: optax.OptState
    # Updated by `advance`, on data.
    norm_state: eqx.nn.State | None
    # Updated by the negatives.
    negatives_state: Any
    # Follows the energy.
    ema: Any
    # Counts.
    step: Count
    skipped: Count
    # Updated by the negatives of further objectives.
    objective_states: tuple[Any, ...] = ()
    # Updated by `SkipOutliers`; `None` without it.
    skip_state: Any = None
    # Lowered by a `Watchdog` that goes back; `None` before, and then nothing is multiplied.
    update_scale: Scalar | None = None


def all_finite(tree: Any) -> Flag:
    """Whether all floating-point numbers of a tree are finite."""
    arrays = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return jnp.stack([jnp.all(jnp.isfinite(array)) for array in arrays]).all()


def where(condition: Flag, new: Any, old: Any) -> Any:
    """One of two trees."""
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o) if eqx.is_array(n) else n, new, old)
