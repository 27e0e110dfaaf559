"""The Potts model."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key, Number, Scalar, X
from .._base import AbstractBlockEnergy
from .._precision import together
from ._categorical import draw_one_hot
from ._ising import check_numbers
from ._lattice import even_sites, neighbour_sum, pair_sum


class Potts(AbstractBlockEnergy):
    """`E(x) = -J Σ δ(x_i, x_j) - Σ h·x_i` over neighbours on a lattice of sites with `q` states.

    Examples are one-hot along the last axis, `(*sides, q)`: `δ` is the product of two sites, which
    has a gradient between them. Pairs are those of `Ising`, which for two states and half the
    coupling is the same model but for a constant.

    Potts (1952), "Some generalized order-disorder transformations"; Wu (1982), "The Potts model".

    Args:
        shape: the sides of the lattice, without the states, such as `(8, 8)`. One example has the
            shape `(8, 8, q)`.
        num_states: `q`, at least 2.
        coupling: `J`, a number; above 0 equal neighbours are likely.
        field: `h`, an array `(q,)`, or one that broadcasts to one example.
        periodic: whether the two ends of each side are neighbours.

    Raises:
        ValueError: if a size or a number is out of its range or does not fit.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    coupling: jax.Array
    field: jax.Array
    periodic: bool = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        num_states: int,
        coupling: Number,
        field: ArrayLike = 0.0,
        periodic: bool = True,
    ):
        _checks.at_least("num_states", num_states, 2)
        self.shape = (*_checks.dimensions("shape", shape), int(num_states))
        self.coupling = jnp.asarray(coupling, float)
        self.field = jnp.asarray(field, float)
        self.periodic = periodic
        check_numbers(self.coupling, self.field, self.shape)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        x, coupling, field = together(x, self.coupling, self.field)
        pairs = pair_sum(x, len(self.shape) - 1, self.periodic)
        return -coupling * pairs - jnp.sum(jnp.broadcast_to(field, self.shape) * x)

    def gibbs_sweep(self, x: X, *, weight: Number | None = None, key: Key) -> X:
        """All even sites of the checkerboard given the odd ones, then the odd ones.

        Raises:
            ValueError: if the lattice is periodic and a side is odd.
        """
        sides = self.shape[:-1]
        even = even_sites(sides, self.periodic)[..., None]
        weight = 1.0 if weight is None else weight
        new, coupling, field, weight = together(x, self.coupling, self.field, weight)
        field = jnp.broadcast_to(field, self.shape)
        for block, block_key in zip((even, ~even), jax.random.split(key), strict=True):
            around = neighbour_sum(new, len(sides), self.periodic)
            drawn = draw_one_hot(weight * (coupling * around + field), key=block_key)
            new = jnp.where(block, drawn, new)
        return new.astype(x.dtype)
