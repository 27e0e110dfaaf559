"""A step of each replica of a ladder, on its own rung."""

from typing import Any

import jax
import jax.numpy as jnp

from ..._types import EnergyFn, Key
from ...energies._batch import as_scalar
from .._base import as_carried, take_step
from ._ladder import Moved
from ._path import tempered, without_share


def move_all(ladder: Any, energy: EnergyFn, replicas: jax.Array, states: Any, key: Key) -> Moved:
    """A step of each replica, without a base."""
    keys = jax.random.split(key, len(replicas))
    replicas, states, infos = _steps(ladder, energy, ladder.rungs(), replicas, states, keys)
    norm, temperatures = infos.grad_norm, ladder.temperatures
    if ladder.sampler.reports_new_energy:
        values = infos.energy * temperatures.astype(infos.energy.dtype)
    else:
        values = jax.vmap(lambda x: as_scalar(energy(x)))(replicas)
    norm = None if norm is None else norm * temperatures.astype(norm.dtype)
    return Moved(replicas, states, values, values, norm, infos.acceptance, infos.divergent)


def move_and_draw(
    ladder: Any, energy: EnergyFn, replicas: jax.Array, states: Any, key: Key
) -> Moved:
    """A step of each replica but the last, which is drawn from the base."""
    base, keys = ladder.base, jax.random.split(key, len(replicas))
    draw_key, state_key = jax.random.split(keys[-1])
    lower = jax.tree.map(lambda leaf: leaf[:-1], (ladder.rungs(), replicas, states, keys))
    moved, inner, infos = _steps(ladder, energy, *lower)
    if ladder.sampler.reports_new_energy:
        undo = lambda t, x, value: without_share(base, t, x, value)  # noqa: E731
        values, energies = jax.vmap(undo)(ladder.temperatures[:-1], moved, infos.energy)
    else:
        values = jax.vmap(lambda x: as_scalar(energy(x)))(moved)
        energies = values - jax.vmap(base)(moved).astype(values.dtype)
    x = base.sample(key=draw_key).astype(replicas.dtype)
    value = as_scalar(energy(x))
    # a state for the rung below, the only one where this replica can go before the next draw
    rung, old = jax.tree.map(lambda leaf: leaf[-1], (ladder.rungs(), states))
    state = ladder.at(rung).refresh(tempered(energy, base, rung[0]), x, old, key=state_key)
    difference = value - base(x).astype(value.dtype)
    return Moved(
        replicas=_append(moved, x),
        states=jax.tree.map(_append, inner, as_carried(state, old)),
        values=_append(values, value),
        energies=_append(energies, difference),
        grad_norm=infos.grad_norm,
        acceptance=_append(infos.acceptance, jnp.ones(())),
        divergent=_append(infos.divergent, jnp.zeros((), bool)),
    )


def _steps(ladder: Any, energy: EnergyFn, rungs: Any, replicas: Any, states: Any, keys: Any) -> Any:
    """A step of the sampler for each replica on these rungs."""

    def move(rung, x, inner, key):
        of_rung = tempered(energy, ladder.base, rung[0])
        return take_step(ladder.at(rung), of_rung, x, inner, key=key)

    return jax.vmap(move)(rungs, replicas, states, keys)


def _append(array: jax.Array, one: jax.Array) -> jax.Array:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return jnp.concatenate([array, one[None]])
    return jnp.concatenate([array, one[None].astype(array.dtype)])
