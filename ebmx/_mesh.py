"""Where arrays go on a mesh of devices."""

import contextlib
from typing import Any, TypeVar

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from . import _checks

Tree = TypeVar("Tree")


def spread(mesh: Any) -> NamedSharding:
    """The first axis in equal parts, one on each device of the mesh."""
    return NamedSharding(_automatic(mesh), PartitionSpec(tuple(mesh.axis_names)))


def everywhere(mesh: Any) -> NamedSharding:
    """All of it on each device of the mesh."""
    return NamedSharding(_automatic(mesh), PartitionSpec())


def put(array: Any, sharding: NamedSharding) -> jax.Array:
    """A copy there; each process has the whole of the array, or it is on this mesh already."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return jax.device_put(array, sharding, may_alias=False)
    whole = np.asarray(array)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def share(x: Any, mesh: Any) -> jax.Array:
    """Chains in equal parts on the devices of the mesh."""
    place = spread(mesh)
    fix = "inside of a compiled function the arguments have their places: leave mesh out there"
    _checks.require(not isinstance(x, Tracer), "mesh", mesh, fix)
    fix = f"give a multiple of the {mesh.size} devices of the mesh"
    _checks.require(x.shape[0] % mesh.size == 0, "x.shape", x.shape, fix)
    return put(x, place)


def within(mesh: Any) -> Any:
    """A context for what is traced for a mesh, or for none."""
    if mesh is None:
        return contextlib.nullcontext()
    return jax.sharding.use_abstract_mesh(_automatic(mesh).abstract_mesh)


def implicit() -> Any:
    """A context in which axes that `jax.set_mesh` has made explicit are left to the compiler."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.are_all_axes_auto:
        return contextlib.nullcontext()
    axes = tuple(AxisType.Auto for _ in mesh.axis_names)
    return jax.sharding.use_abstract_mesh(mesh.update(axis_types=axes))


def is_shared() -> bool:
    """Whether what is traced is for a mesh, so that two batches are not to be laid end to end."""
    return not jax.sharding.get_abstract_mesh().empty


def automatic(tree: Tree) -> Tree:
    """Arrays that lie on a mesh with explicit axes, on the same devices without them.

    `jax.make_mesh` gives explicit axes: then each operation must say where its result lies, which
    loops and `vmap` over chains cannot. No data move.
    """

    def move(leaf):
        if isinstance(leaf, Tracer):
            mesh = jax.typeof(leaf).sharding.mesh
            fix = "inside of a compiled function, give arrays on axes of jax.sharding.AxisType.Auto"
            _checks.require(mesh.are_all_axes_auto or mesh.empty, "mesh", mesh, fix)
            return leaf
        if not isinstance(leaf, jax.Array):
            return leaf
        place = leaf.sharding
        if not isinstance(place, NamedSharding) or place.mesh.are_all_axes_auto:
            return leaf
        return jax.device_put(leaf, NamedSharding(_automatic(place.mesh), place.spec))

    return jax.tree.map(move, tree)


def _automatic(mesh: Any) -> Mesh:
    """The same devices, where the compiler decides on what is not said."""
    fix = "give a mesh of devices, such as jax.make_mesh((4,), ('data',))"
    _checks.require(isinstance(mesh, Mesh), "mesh", mesh, fix)
    return Mesh(mesh.devices, mesh.axis_names)
