"""A scalar field on a lattice."""

import equinox as eqx
import jax.numpy as jnp

from ... import _checks
from ..._types import Number, Scalar, X
from .._base import AbstractEnergy
from .._constants import number
from .._precision import as_dtype_of


class LatticeField(AbstractEnergy):
    """`E(φ) = Σₓ [Σ_μ (φ(x+μ) − φ(x))² + m² φ(x)² + λ φ(x)⁴]`: the φ⁴ theory on a periodic lattice.

    `μ` are the unit steps along the axes of the lattice. This is the action of Albergo et al.
    The other common form, `Σₓ [−2κ Σ_μ ψ(x)ψ(x+μ) + (1−2g) ψ(x)² + g ψ(x)⁴]`, is the same energy
    of `φ = √κ ψ` with `m² = (1−2g)/κ − 2D` and `λ = g/κ²`, `D` axes; its `log Z` is less by
    `½ log κ` for each site. Along an axis of 2 sites, neighbours are joined twice.

    Without coupling the field is a Gaussian, whose precision has the eigenvalues
    `2m² + 8 Σ_μ sin²(k_μ/2)`. With `m²` sufficiently below 0, the field has two phases, `φ` and
    `−φ`, between which chains seldom go.

    Albergo, Kanwar and Shanahan (2019), "Flow-based generative models for Markov chain Monte Carlo
    in lattice field theory".

    Args:
        shape: the sites along each axis of the lattice.
        mass_squared: `m²`. It has to be above 0 without coupling.
        coupling: `λ`, at least 0.

    Raises:
        ValueError: if a number is out of its range.
    """

    shape: tuple[int, ...] = eqx.field(static=True, converter=tuple)
    mass_squared: Number = number(default=-4.0)
    coupling: Number = number(default=8.0)

    def __check_init__(self):
        _checks.dimensions("shape", self.shape)
        _checks.finite_value("mass_squared", self.mass_squared)
        _checks.non_negative("coupling", self.coupling)
        if _checks.is_concrete(self.mass_squared) and _checks.is_concrete(self.coupling):
            ok = bool(self.coupling > 0 or self.mass_squared > 0)
            fix = "give a positive one, or a positive coupling, so that there is a density"
            _checks.require(ok, "mass_squared", self.mass_squared, fix)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        mass_squared, coupling = as_dtype_of(x, self.mass_squared, self.coupling)
        square = x**2
        links = sum((jnp.roll(x, -1, axis) - x) ** 2 for axis in range(x.ndim))
        return jnp.sum(links + mass_squared * square + coupling * square**2)
