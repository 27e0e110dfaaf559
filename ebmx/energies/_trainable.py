"""Selecting the numbers of an energy that training changes."""

from typing import Any

import equinox as eqx
import jax

from .. import _checks
from .._types import Scalar, X
from ._base import AbstractAnalyticEnergy, AbstractEnergy, common_shape
from ._constants import CONSTANT, EXACT, FREE, constant, role_of


class Fixed(AbstractEnergy):
    """An energy that training does not change: all its numbers are constants.

    `network + Fixed(trained)` trains the network alone.

    Args:
        energy: an energy.

    Raises:
        ValueError: if the energy has no `shape`.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: Any = constant()

    def __init__(self, energy: Any):
        self.shape = common_shape([energy])
        self.energy = energy

    def __call__(self, x: X) -> Scalar:
        numbers, rest = eqx.partition(self.energy, eqx.is_inexact_array)
        return eqx.combine(jax.lax.stop_gradient(numbers), rest)(x)


def trainable(energy: Any) -> Any:
    """Select the numbers of an energy that training changes by default.

    They are its floating-point arrays, except for

    - what is marked with `constant`, such as the corners of a `Box`, the weight of `Weighted`, a
      fixed condition, and all of `Fixed`;
    - the numbers of an exact density (`Gaussian`, `GaussianMixture`, …) that is combined with a
      network or something else with parameters. Alone, or if all parameters are those of exact
      densities, as in a `Mixture` of Gaussians, they are trained.

    Args:
        energy: an energy, a pytree.

    Returns:
        A filter tree as Equinox takes it: the energy with `True` or `False` in place of each leaf.
    """
    roles = _roles(energy, FREE)
    fixed = {CONSTANT, EXACT} if FREE in jax.tree.leaves(roles) else {CONSTANT}
    return jax.tree.map(lambda role: role not in fixed, roles)


def parameters_of(energy: Any, filter_tree: Any) -> Any:
    """The leaves that a filter tree, or a prefix of one, selects, but for constants.

    `None` is `trainable(energy)`.
    """
    if filter_tree is None:
        return trainable(energy)
    try:
        selected = eqx.filter(energy, filter_tree)
    except (TypeError, ValueError):
        fix = "give a filter tree of this energy: start from ebmx.energies.trainable(energy)"
        _checks.invalid("trainable", type(filter_tree).__name__, fix)
    roles = _roles(energy, FREE)
    return jax.tree.map(lambda role, leaf: role != CONSTANT and leaf is not None, roles, selected)


def _roles(node: Any, role: str) -> Any:
    """A pytree with the role of each leaf in its place."""
    if role == FREE and isinstance(node, AbstractAnalyticEnergy):
        role = EXACT
    if jax.tree_util.all_leaves([node]):
        return role if eqx.is_inexact_array(node) else CONSTANT
    # one level at a time, since a mark on a field is of all below it
    children, treedef = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda n: n is not node)
    marked = isinstance(node, eqx.Module) and role != CONSTANT
    roles = [
        _roles(child, (marked and role_of(node, getattr(path[0], "name", ""))) or role)
        for path, child in children
    ]
    return treedef.unflatten(roles)
