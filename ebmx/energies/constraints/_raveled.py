"""Energies of trees of arrays."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Scalar, X
from .._base import AbstractEnergy
from .._batch import as_scalar
from ..bijections._bijections import AbstractBijection, Identity, split
from ._transformed import check_inside, leading, over_leading


class Raveled(AbstractEnergy):
    """`E(z) = E₁(tree of z)`: a function of a tree of arrays as an energy of vectors.

    With `bijections`, leaves are on their domains and `z` has no bounds: the logarithms of the
    determinants are subtracted, as in `Transformed`.

    Leaves have the names of their places, such as `loc` or `layers.0.weight`. `save` keeps draws by
    these names, as `ebmx.sample(..., save=raveled.save)`; so `diagnose` and `to_arviz` show them.

    Args:
        function: from one tree to one number, `E₁`. It may be a pytree with parameters.
        example: a tree of floating-point arrays, of which the structure and shapes count.
        bijections: for the name of a leaf, its map from real numbers; others are unconstrained.

    Raises:
        ValueError: if a leaf is no array of floating-point numbers, two have one name, or a
            bijection is of no leaf or does not fit it.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    function: Callable[[Any], Any]
    bijections: tuple[AbstractBijection, ...]
    names: tuple[str, ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    structure: Any = eqx.field(static=True)

    def __init__(
        self,
        function: Callable[[Any], Any],
        example: Any,
        bijections: Mapping[str, AbstractBijection] | None = None,
    ):
        leaves, self.structure = jax.tree_util.tree_flatten_with_path(example)
        _checks.require(len(leaves) > 0, "example", example, "give a tree with arrays")
        self.names = tuple(_name(path) for path, _ in leaves)
        fix = f"leaves need names of their own; these are {self.names}"
        _checks.require(len(set(self.names)) == len(leaves), "example", self.structure, fix)
        for name, (_, leaf) in zip(self.names, leaves, strict=True):
            ok = eqx.is_inexact_array_like(leaf) and not jnp.iscomplexobj(leaf)
            fix = "positions are real: give an array of floating-point numbers"
            _checks.require(ok, f"example[{name!r}]", leaf, fix)
        self.shapes = tuple(jnp.shape(leaf) for _, leaf in leaves)
        given = dict(bijections or {})
        unknown = sorted(given.keys() - set(self.names))
        _checks.require(not unknown, "bijections", unknown, f"the leaves are {self.names}")
        for name, bijection in given.items():
            ok = isinstance(bijection, AbstractBijection)
            fix = "give a bijection, such as ebmx.energies.bijections.Exp()"
            _checks.require(ok, f"bijections[{name!r}]", bijection, fix)
        self.bijections = tuple(given.get(name, Identity()) for name in self.names)
        self.function = function
        self.shape = (sum(map(math.prod, self._unconstrained())),)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        parts = self._parts(x)
        value = as_scalar(self.function(self.structure.unflatten(self._leaves(parts))))
        logs = [b.log_det(part) for b, part in zip(self.bijections, parts, strict=True)]
        return value - jnp.sum(jnp.stack(logs)).astype(value.dtype)

    def ravel(self, tree: Any) -> jax.Array:
        """The vector of a tree, or of many; such as where chains start.

        Args:
            tree: of the structure of the example, each leaf `(..., *shape)`.

        Returns:
            Vectors `(..., size)`.

        Raises:
            ValueError: if structure or shapes differ, or a leaf is outside of its domain.
        """
        structure = jax.tree.structure(tree)
        fix = f"give the structure of the example, {self.structure}"
        _checks.require(structure == self.structure, "tree", structure, fix)
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
        leaves = [leaf if eqx.is_inexact_array(leaf) else leaf.astype(float) for leaf in leaves]
        dtype = max((leaf.dtype for leaf in leaves), key=lambda dtype: dtype.itemsize)
        lead = leaves[0].shape[: leaves[0].ndim - len(self.shapes[0])]
        parts = []
        rows = zip(self.names, leaves, self.shapes, self.bijections, strict=True)
        for name, leaf, shape, bijection in rows:
            fix = f"give the shape {(*lead, *shape)}"
            _checks.require(leaf.shape == (*lead, *shape), f"tree[{name!r}].shape", leaf.shape, fix)
            part = over_leading(bijection.inverse, leaf.astype(dtype), len(shape))
            check_inside(part, f"tree[{name!r}]", bijection)
            parts.append(part.reshape(*lead, math.prod(part.shape[len(lead) :])))
        return jnp.concatenate(parts, -1)

    def unravel(self, z: ArrayLike) -> Any:
        """The tree of a vector, or of many.

        Args:
            z: vectors `(..., size)`, such as the values of samples, `(chains, draws, size)`.

        Returns:
            A tree of the structure of the example, each leaf `(..., *shape)` and on its domain.
        """
        return self.structure.unflatten(self._many(z))

    def named(self, z: ArrayLike) -> dict[str, jax.Array]:
        """The leaves of `unravel(z)` by their names, each `(..., *shape)`."""
        return dict(zip(self.names, self._many(z), strict=True))

    def save(self, x: X, info: Any) -> dict[str, jax.Array]:
        """What `ebmx.sample(..., save=raveled.save)` keeps of a draw: leaves by names, `energy`.

        Raises:
            ValueError: if a leaf is called `energy`.
        """
        fix = "its name is that of the energy of a draw: call the leaf by another name"
        _checks.require("energy" not in self.names, "example", "energy", fix)
        return {**self.named(x), "energy": info.energy}

    def _many(self, z: ArrayLike) -> list[jax.Array]:
        z = jnp.asarray(z)
        leading("z", z, self.shape, "vectors ")
        return over_leading(lambda row: self._leaves(self._parts(row)), z, 1)

    def _parts(self, x: jax.Array) -> list[jax.Array]:
        """The coordinates of each leaf, without bounds."""
        shapes = self._unconstrained()
        parts = split(x, [math.prod(shape) for shape in shapes])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def _leaves(self, parts: list[jax.Array]) -> list[jax.Array]:
        return [b.forward(part) for b, part in zip(self.bijections, parts, strict=True)]

    def _unconstrained(self) -> list[tuple[int, ...]]:
        pairs = zip(self.bijections, self.shapes, strict=True)
        return [bijection.unconstrained_shape(shape) for bijection, shape in pairs]


def _name(path: Any) -> str:
    """The place of a leaf, such as `layers.0.weight`; `x` if the tree is one array."""
    return jax.tree_util.keystr(path, simple=True, separator=".") or "x"
