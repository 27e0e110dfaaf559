"""Eigenvalues of the Hessian of an energy, without the Hessian."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ... import _checks
from ..._arguments import guarded
from ..._checks import checked
from ..._types import EnergyFn, Key, Vector, X
from ...energies import as_scalar
from ._slices import example_of

_BROKEN = 1e-5  # of the largest number of the matrix: the vectors so far span what H maps to


@dataclasses.dataclass(frozen=True)
class HessianEigenvalues:
    """What `hessian_eigenvalues` finds."""

    smallest: np.ndarray
    """`(k,)`, rising, in nats per squared unit of `x`."""
    largest: np.ndarray
    """`(k,)`, rising."""
    smallest_vectors: np.ndarray
    """`(k, *shape)`, of length 1: along these the energy is flattest, or falls."""
    largest_vectors: np.ndarray
    """`(k, *shape)`: along these it is steepest."""
    errors: np.ndarray
    """For each number, the smallest first, how far the next eigenvalue is at most, `(2 k,)`."""


@guarded
def hessian_eigenvalues(
    energy: EnergyFn, x: ArrayLike, *, k: int = 5, num_steps: int | None = None, key: Key
) -> HessianEigenvalues:
    """The smallest and the largest eigenvalues of the Hessian of the energy at one example.

    All positive, it is a minimum; one negative, a saddle of two valleys. By Lanczos' method with
    full reorthogonalisation, from products of the Hessian with vectors. Eigenvalues that are equal
    show up as one, unless there are as many steps as coordinates.

    Lanczos (1950), "An iteration method for the solution of the eigenvalue problem of linear
    differential and integral operators"; Ghorbani, Krishnan and Xiao (2019), "An investigation into
    neural net optimization via Hessian eigenvalue density".

    Args:
        energy: an energy that can be differentiated twice.
        x: one example.
        k: how many at each end, at most as many as `x` has coordinates.
        num_steps: how many products, at least `k`; `8 k + 60`, or the number of coordinates if that
            is smaller, if not given. Memory grows as `num_steps` examples.
        key: a key for the first vector.

    Returns:
        `HessianEigenvalues`, in the precision of the energy.

    Raises:
        ValueError: if a shape or a number does not fit, or the Hessian is not finite.
    """
    x = example_of(energy, x, "x")
    _checks.at_least("k", k, 1)
    fix = f"there are {x.size} coordinates: give at most that"
    _checks.require(k <= x.size, "k", k, fix)
    num_steps = min(x.size, 8 * k + 60) if num_steps is None else num_steps
    _checks.at_least("num_steps", num_steps, k)
    _checks.require(num_steps <= x.size, "num_steps", num_steps, fix)
    found = _lanczos(energy, x, num_steps, key)
    basis, diagonal, beside = (np.asarray(a, np.float64) for a in found)
    _checks.finite(diagonal, "hessian")
    small = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    values, vectors = np.linalg.eigh(small)
    full = (vectors.T @ basis).reshape(num_steps, *x.shape)
    errors = np.abs(beside[-1] * vectors[-1])
    both = np.concatenate([errors[:k], errors[-k:]])
    return HessianEigenvalues(values[:k], values[-k:], full[:k], full[-k:], both)


@eqx.filter_jit
@checked
def _lanczos(
    energy: EnergyFn, x: X, num_steps: int, key: Key
) -> tuple[Float[Array, "steps size"], Vector, Vector]:
    """Orthonormal vectors, and the diagonals of the tridiagonal matrix between them."""
    size = math.prod(x.shape)
    tiny = jnp.finfo(x.dtype).tiny
    gradient = jax.grad(lambda v: as_scalar(energy(v.reshape(x.shape))))

    def product(v: jax.Array) -> jax.Array:
        return jax.jvp(gradient, (x.reshape(size),), (v,))[1]

    def orthogonal(basis: jax.Array, v: jax.Array) -> jax.Array:
        for _ in range(2):  # once more takes away what rounding has left
            v = v - (basis @ v) @ basis
        return v

    def unit(v: jax.Array) -> jax.Array:
        return v / jnp.maximum(jnp.linalg.norm(v), tiny)

    def step(carry, values):
        (basis, v, scale), (i, fresh) = carry, values
        basis = basis.at[i].set(v)
        w = product(v)
        alpha = v @ w
        w = orthogonal(basis, w)
        beta = jnp.linalg.norm(w)
        scale = jnp.maximum(scale, jnp.maximum(jnp.abs(alpha), beta))
        broken = beta <= _BROKEN * scale
        after = jnp.where(broken, unit(orthogonal(basis, unit(fresh))), unit(w))
        return (basis, after, scale), (alpha, jnp.where(broken, 0.0, beta))

    # one to begin with, and one for each time that the space is used up
    fresh = jax.random.normal(key, (num_steps + 1, size), x.dtype)
    start = jnp.zeros((num_steps, size), x.dtype), unit(fresh[0]), jnp.zeros((), x.dtype)
    steps = jnp.arange(num_steps), fresh[1:]
    (basis, _, _), (diagonal, beside) = jax.lax.scan(step, start, steps)
    return basis, diagonal, beside
