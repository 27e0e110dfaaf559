"""The Ising model."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key, Number, Scalar, X
from .._base import AbstractBlockEnergy
from .._precision import together
from ._lattice import even_sites, neighbour_sum, pair_sum


class Ising(AbstractBlockEnergy):
    """`E(x) = -J Σ s_i s_j - Σ h_i s_i` with spins `s = 2x - 1`, over neighbours on a lattice.

    Examples are zeros and ones. Each pair counts once. On a periodic lattice a side of two sites
    has two pairs between them. A side of one site has no pairs: `(height, width, 1)` is a plane.
    Between zeros and ones it is the same polynomial, which has a gradient.

    Ising (1925), "Beitrag zur Theorie des Ferromagnetismus"; Onsager (1944), "Crystal statistics.
    I. A two-dimensional model with an order-disorder transition".

    Args:
        shape: the sides of the lattice, of any dimension, such as `(16, 16)`.
        coupling: `J`, a number; above 0 equal neighbours are likely.
        field: `h`, a number or an array that broadcasts to `shape`; above 0 ones are likely.
        periodic: whether the two ends of each side are neighbours.

    Raises:
        ValueError: if a side is not a positive integer, or a number is not finite or does not fit.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    coupling: jax.Array
    field: jax.Array
    periodic: bool = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        coupling: Number,
        field: ArrayLike = 0.0,
        periodic: bool = True,
    ):
        self.shape = _checks.dimensions("shape", shape)
        self.coupling = jnp.asarray(coupling, float)
        self.field = jnp.asarray(field, float)
        self.periodic = periodic
        check_numbers(self.coupling, self.field, self.shape)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        x, coupling, field = together(x, self.coupling, self.field)
        spins = 2 * x - 1
        pairs = pair_sum(spins, len(self.shape), self.periodic)
        return -coupling * pairs - jnp.sum(jnp.broadcast_to(field, self.shape) * spins)

    def gibbs_sweep(self, x: X, *, weight: Number | None = None, key: Key) -> X:
        """All even sites of the checkerboard given the odd ones, then the odd ones.

        Raises:
            ValueError: if the lattice is periodic and a side is odd.
        """
        even = even_sites(self.shape, self.periodic)
        weight = 1.0 if weight is None else weight
        new, coupling, field, weight = together(x, self.coupling, self.field, weight)
        field = jnp.broadcast_to(field, self.shape)
        for block, block_key in zip((even, ~even), jax.random.split(key), strict=True):
            around = neighbour_sum(2 * new - 1, len(self.shape), self.periodic)
            likely = jax.nn.sigmoid(2 * weight * (coupling * around + field))
            ones = jax.random.uniform(block_key, self.shape, likely.dtype) < likely
            new = jnp.where(block, ones.astype(new.dtype), new)
        return new.astype(x.dtype)


def check_numbers(coupling: jax.Array, field: jax.Array, shape: tuple[int, ...]) -> None:
    """Check the coupling, one number, and the field, which broadcasts to an example."""
    _checks.require(coupling.shape == (), "coupling.shape", coupling.shape, "give one number")
    pairs = zip(reversed(field.shape), reversed(shape), strict=False)
    ok = field.ndim <= len(shape) and all(size in (1, wanted) for size, wanted in pairs)
    fix = f"give a number, or an array that broadcasts to the shape of one example, {shape}"
    _checks.require(ok, "field.shape", field.shape, fix)
    _checks.finite_value("coupling", coupling)
    _checks.finite_value("field", field)
