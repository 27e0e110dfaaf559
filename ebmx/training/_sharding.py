"""Training on a mesh of devices: chains and data in parts, all other arrays on each device."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from .. import _checks, _mesh
from .negatives._buffer import ReplayBuffer
from .negatives._jarzynski import WeightedChains

_WHOLE = {"storage", "log_z_before", "resamplings"}
"""Fields that are not of single chains."""


def shard(state: Any, mesh: Mesh) -> Any:
    """A copy of a state on a mesh: chains in equal parts, all other arrays on each device.

    `fit(..., mesh=mesh)` calls it. If the buffer fills the first device, delete the state of
    `Trainer.init` afterwards.

    Args:
        state: from `Trainer.init`, or any tree that holds persistent chains.
        mesh: of devices, such as `jax.make_mesh((4,), ("data",))`.

    Returns:
        The state, with each array on the devices of the mesh.

    Raises:
        ValueError: if the number of devices does not divide that of the shards, or of the chains of
            `Jarzynski`.
    """
    arrays, rest = eqx.partition(state, eqx.is_array)
    return eqx.combine(jax.tree.map(_mesh.put, arrays, shardings(arrays, mesh)), rest)


def shardings(state: Any, mesh: Mesh) -> Any:
    """The sharding of each array of a state; errors as of `shard`."""
    parts, whole = _mesh.spread(mesh), _mesh.everywhere(mesh)

    def place(node: Any) -> Any:
        if not isinstance(node, ReplayBuffer | WeightedChains):
            return whole
        if isinstance(node, ReplayBuffer):
            fix = f"the {mesh.size} devices must divide it: give num_shards={mesh.size}"
            _checks.require(node.num_shards % mesh.size == 0, "num_shards", node.num_shards, fix)
        else:
            num = node.log_weights.shape[0]
            fix = f"the {mesh.size} devices must divide num_chains and num_held_out"
            _checks.require(num % mesh.size == 0, "num_chains", num, fix)
        shared = {field.name for field in dataclasses.fields(node)} - _WHOLE
        return jax.tree_util.tree_map_with_path(
            lambda path, _: parts if path[0].name in shared else whole, node
        )

    groups = ReplayBuffer | WeightedChains
    return jax.tree.map(place, state, is_leaf=lambda node: isinstance(node, groups))


def shapes(like: Any, mesh: Mesh) -> Any:
    """A state of shapes and shardings, to read one from disk."""

    def shape(leaf: Any, sharding: Any) -> Any:
        if not isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct) or leaf.size == 0:
            return leaf
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(shape, like, shardings(like, mesh))


def stay(state: Any, mesh: Mesh | None) -> Any:
    """The state in a compiled function, with the shardings of `shard`."""
    if mesh is None:
        return state
    arrays, rest = eqx.partition(state, eqx.is_array)
    kept = jax.lax.with_sharding_constraint(arrays, shardings(arrays, mesh))
    return eqx.combine(kept, rest)


def put_batch(batch: Any, mesh: Mesh | None) -> Any:
    """A batch on the devices; each of several processes gives its own rows, in order."""
    if mesh is None:
        return jax.device_put(batch)
    sharding, here = _mesh.spread(mesh), len(mesh.local_devices)

    def put(x: Any) -> jax.Array:
        x = np.asarray(x, jax.dtypes.canonicalize_dtype(jnp.asarray(x).dtype))
        fix = f"give batches whose size is a multiple of the {here} devices that share it"
        _checks.require(len(x) % here == 0, "batches.shape", x.shape, fix)
        return jax.make_array_from_process_local_data(sharding, x)

    return jax.tree.map(put, batch)
