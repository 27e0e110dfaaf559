"""A `ConvNet` whose values and gradients by the image come from the kernel."""

import itertools
import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec

from .... import _checks
from . import _kernel

_FEWEST = 8  # examples, below which most lanes of a vector would be empty
Leaves = tuple[jax.Array, ...]


def check(net: Any) -> None:
    """Check that the kernel covers this network, and build it where it will be used."""
    if not net.native:
        return
    covered = {
        "out_size": (net.out_size == "scalar", "of energies alone, out_size='scalar'"),
        "activation": (net.activation is jax.nn.silu, "of activation='silu'"),
        "compute_dtype": (net.compute_dtype in (None, "float32"), "in float32"),
        "condition_size": (net.condition_size is None, "without a condition"),
    }
    for name, (ok, what) in covered.items():
        fix = f"the kernel is for networks {what}; leave native out"
        _checks.require(ok, name, getattr(net, name), fix)
    if _is_used():
        _kernel.load()


class Network(NamedTuple):
    """All of a network but its parameters: how JAX computes it, and its structure."""

    forward: Callable
    structure: Any

    def restore(self, leaves: Leaves) -> Any:
        return jax.tree.unflatten(self.structure, leaves)

    def in_jax(self, leaves: Leaves, x: jax.Array) -> jax.Array:
        """The energies of images `(*batch, height, width, channel)`."""
        energy = partial(self.forward, self.restore(leaves))
        for _ in range(x.ndim - 3):
            energy = jax.vmap(energy)
        return energy(x)

    def slopes_in_jax(self, leaves: Leaves, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The energies of images, and their gradients."""
        energy = jax.value_and_grad(partial(self.forward, self.restore(leaves)))
        for _ in range(x.ndim - 3):
            energy = jax.vmap(energy)
        return energy(x)


def native_energy(forward: Callable, net: Any, x: jax.Array) -> jax.Array:
    """The energy of one image, by the kernel on a CPU and by `forward(net, x)` elsewhere.

    Derivatives by parameters, and second ones, are those of `forward`.

    Raises:
        ValueError: if the parameters are not in single precision.
    """
    leaves, structure = jax.tree.flatten(net)
    others = [str(leaf.dtype) for leaf in leaves if leaf.dtype != jnp.float32]
    fix = "the kernel computes in float32: cast the parameters, or leave native out"
    _checks.require(not others, "dtype", " ".join(others[:1]), fix)
    if not _is_used():
        return forward(net, x)
    return _energy(Network(forward, structure), tuple(leaves), x)


def _is_used() -> bool:
    return jax.default_backend() == "cpu"


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _energy(network: Network, leaves: Leaves, x: jax.Array) -> jax.Array:
    return _call(network, with_gradient=False)(leaves, x)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value_and_gradient(network: Network, leaves: Leaves, x: jax.Array) -> Any:
    return _call(network, with_gradient=True)(leaves, x)


@partial(_energy.defjvp, symbolic_zeros=True)
def _(network: Network, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    if any(not isinstance(tangent, SymbolicZero) for tangent in tangents[0]):
        return _jvp(network.in_jax, primals, tangents)
    value, gradient = _value_and_gradient(network, *primals)
    if isinstance(tangents[1], SymbolicZero):
        return value, jnp.zeros_like(value)
    return value, jnp.sum(gradient * tangents[1])


@partial(_value_and_gradient.defjvp, symbolic_zeros=True)
def _(network: Network, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    return _jvp(network.slopes_in_jax, primals, tangents)


def _jvp(function: Callable, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """`jax.jvp` of a function, with tangents for those arguments alone that have one."""
    values, structure = jax.tree.flatten(primals)
    all_slopes = enumerate(jax.tree.leaves(tangents))
    slopes = {i: t for i, t in all_slopes if not isinstance(t, SymbolicZero)}

    def of_moving(moving: dict[int, jax.Array]) -> Any:
        filled = [moving.get(i, value) for i, value in enumerate(values)]
        return function(*jax.tree.unflatten(structure, filled))

    return jax.jvp(of_moving, ({i: values[i] for i in slopes},), (slopes,))


def _call(network: Network, *, with_gradient: bool) -> Callable:
    """The kernel's energies of images `(*batch, height, width, channel)`, and their gradients."""
    in_jax = network.slopes_in_jax if with_gradient else network.in_jax

    @custom_vmap
    def call(leaves: Leaves, x: jax.Array) -> Any:
        if math.prod(x.shape[: x.ndim - 3]) < _FEWEST:
            return in_jax(leaves, x)
        here = partial(_custom_call, network, with_gradient)
        return jax.lax.platform_dependent(leaves, x, cpu=here, default=in_jax)

    @call.def_vmap
    def _(size: int, batched: tuple, leaves: Leaves, x: jax.Array) -> tuple[Any, Any]:
        del size
        if any(batched[0]):  # networks, one for each example or for each set of them
            axes = tuple(0 if one else None for one in batched[0]), 0 if batched[1] else None
            results = jax.vmap(in_jax, axes)(leaves, x)
        else:
            results = call(leaves, x)
        return results, jax.tree.map(lambda _: True, results)

    return call


def _custom_call(network: Network, with_gradient: bool, leaves: Leaves, x: jax.Array) -> Any:
    net = network.restore(leaves)

    def compute(images: jax.Array, *weights: jax.Array) -> tuple[jax.Array, ...]:
        name, _ = _kernel.load()
        num, threads = images.shape[0], _num_threads()
        lanes = 32 if num >= 32 * threads else 16  # more examples share a weight that is read
        config = _config(net, lanes, threads)
        memory = _kernel.scratch_size(config) * max(1, min(threads, -(-num // lanes))) + 16
        shapes = [(num,), *[images.shape] * with_gradient, (memory,)]
        results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        call = jax.ffi.ffi_call(name, results)
        return tuple(call(images, *weights, config=np.array(config, np.int64))[:-1])

    batch = x.shape[: x.ndim - 3]
    images = x.reshape(math.prod(batch), *net.shape)
    energy, *gradient = _in_parts(compute, 1 + with_gradient)(images, *_weights(net))
    energy = energy.reshape(batch)
    return (energy, gradient[0].reshape(x.shape)) if with_gradient else energy


def _in_parts(compute: Callable, num_results: int) -> Callable:
    """`compute(images, *weights)`, of which each device of a mesh does its part of the images."""

    def partition(mesh: Any, arguments: Any, results: Any) -> tuple:
        axes = arguments[0].sharding.spec[:1]
        parts, whole = (
            NamedSharding(mesh, PartitionSpec(*axes)),
            NamedSharding(mesh, PartitionSpec()),
        )
        places = (parts, *[whole] * (len(arguments) - 1))
        return mesh, compute, tuple(parts for _ in results), places

    def rule(mesh: Any, arguments: Any, results: Any) -> tuple[str, dict]:
        del mesh, results
        ranks = [len(argument.shape) for argument in arguments[1:]]
        weights = [[f"w{i}d{axis}" for axis in range(rank)] for i, rank in enumerate(ranks)]
        taken = ["b h w c", *map(" ".join, weights)]
        given = ["b", "b h w c"][:num_results]
        whole = ("h", "w", "c", *itertools.chain(*weights))
        return f"{', '.join(taken)} -> {', '.join(given)}", {"need_replication_factors": whole}

    spread = custom_partitioning(compute)
    spread.def_partition(partition, sharding_rule=rule)
    return spread


def _num_threads() -> int:
    """The cores of this process, as many as XLA has threads."""
    cores = getattr(os, "sched_getaffinity", None)
    return len(cores(0)) if cores else os.cpu_count() or 1


def _config(net: Any, lanes: int, threads: int) -> list[int]:
    """Sizes, as the kernel reads them."""
    config = [*net.shape, lanes, threads, len(net.convolutions)]
    for layer in net.convolutions:
        size, _, _, channels = layer.weight.shape
        config += [channels, size, layer.stride, layer.padding]
    return [*config, len(net.layers), *(layer.weight.shape[0] for layer in net.layers)]


def _weights(net: Any) -> list[jax.Array]:
    """For each layer its weights with outputs last, with inputs last, and the bias."""
    weights = []
    for layer in net.convolutions:
        weights += [layer.weight, jnp.swapaxes(layer.weight, 2, 3), layer.bias]
    for number, layer in enumerate(net.layers):
        weight = layer.weight
        if number == 0 and net.head == "sum":  # a sum over pixels has equal weights at each
            weight = jnp.tile(weight, (1, _num_pixels(net)))
        weights += [weight.T, weight, layer.bias]
    return weights


def _num_pixels(net: Any) -> int:
    """The pixels of the last convolution's output."""
    height, width, _ = net.shape
    for layer in net.convolutions:
        height, width = layer.out_size(height), layer.out_size(width)
    return height * width
