"""Eigenvalues of the Hessian of an energy, without the Hessian."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ... import _checks
from ..._checks import checked
from ..._types import EnergyFn, Key, Vector, X
from ...energies._batch import as_scalar
from ._slices import example_of

_BROKEN = 1e-5  # relative size of the next vector below which the Krylov space is exhausted


@dataclasses.dataclass(frozen=True)
class HessianEigenvalues:
    """The result of `hessian_eigenvalues`, which says what the fields are."""

    smallest: np.ndarray
    largest: np.ndarray
    smallest_vectors: np.ndarray
    largest_vectors: np.ndarray
    errors: np.ndarray


def hessian_eigenvalues(
    energy: EnergyFn,
    x: ArrayLike,
    *,
    num_eigenvalues: int = 5,
    num_steps: int | None = None,
    key: Key,
) -> HessianEigenvalues:
    """The smallest and the largest eigenvalues of the Hessian of the energy at one example.

    Where the gradient is zero, `x` is a minimum if all are positive, and a saddle point if some are
    negative. The method is that of Lanczos with full reorthogonalisation, from products of the
    Hessian with vectors. Equal eigenvalues are found once, unless there are as many steps as
    coordinates.

    Lanczos (1950), "An iteration method for the solution of the eigenvalue problem of linear
    differential and integral operators"; Ghorbani, Krishnan and Xiao (2019), "An investigation into
    neural net optimization via Hessian eigenvalue density".

    Args:
        energy: an energy that can be differentiated twice.
        x: one example.
        num_eigenvalues: number `k` of eigenvalues at each end, at most the number of coordinates.
        num_steps: number of products, at least `k`; by default `8 k + 60`, or the number of
            coordinates if that is smaller. The memory is that of `num_steps` examples.
        key: a key for the first vector.

    Returns:
        An object with `smallest` and `largest`, eigenvalues `(k,)` in ascending order, in nats per
        squared unit of `x`; `smallest_vectors` and `largest_vectors`, their eigenvectors
        `(k, *shape)` of length 1; and `errors`, a bound of the distance of each number to an
        eigenvalue, `(2 k,)`, the smallest first. All are in the precision of the energy.

    Raises:
        ValueError: if a shape or a number does not fit, or the Hessian is not finite.
    """
    from scipy.linalg import eigh_tridiagonal  # late: a faster `import ebmx`

    x = example_of(energy, x, "x")
    k = num_eigenvalues
    _checks.at_least("num_eigenvalues", k, 1)
    fix = f"there are {x.size} coordinates: give at most that"
    _checks.require(k <= x.size, "num_eigenvalues", k, fix)
    num_steps = min(x.size, 8 * k + 60) if num_steps is None else num_steps
    _checks.at_least("num_steps", num_steps, k)
    _checks.require(num_steps <= x.size, "num_steps", num_steps, fix)
    found = _lanczos(energy, x, num_steps, key)
    basis, diagonal, beside = (np.asarray(a, np.float64) for a in found)
    _checks.finite(diagonal, "hessian")
    values, vectors = eigh_tridiagonal(diagonal, beside[:-1])
    full = (vectors.T @ basis).reshape(num_steps, *x.shape)
    errors = np.abs(beside[-1] * vectors[-1])
    both = np.concatenate([errors[:k], errors[-k:]])
    return HessianEigenvalues(values[:k], values[-k:], full[:k], full[-k:], both)


@eqx.filter_jit
@checked
def _lanczos(
    energy: EnergyFn, x: X, num_steps: int, key: Key
) -> tuple[Float[Array, "steps size"], Vector, Vector]:
    """Orthonormal vectors, the diagonal and the off-diagonal of the tridiagonal matrix."""
    # compiled as a whole; SciPy's `eigsh` with a product from the host takes 1.3 (MLP) to 6 times
    # (ConvNet) as long for 784 coordinates, and does not find all eigenvalues of a small matrix
    size = math.prod(x.shape)
    tiny = jnp.finfo(x.dtype).tiny
    gradient = jax.grad(lambda v: as_scalar(energy(v.reshape(x.shape))))

    def product(v: jax.Array) -> jax.Array:
        return jax.jvp(gradient, (x.reshape(size),), (v,))[1]

    def orthogonal(basis: jax.Array, v: jax.Array) -> jax.Array:
        for _ in range(2):  # twice, because of rounding
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

    # one to begin with, and one for each time that the Krylov space is exhausted
    fresh = jax.random.normal(key, (num_steps + 1, size), x.dtype)
    start = jnp.zeros((num_steps, size), x.dtype), unit(fresh[0]), jnp.zeros((), x.dtype)
    steps = jnp.arange(num_steps), fresh[1:]
    (basis, _, _), (diagonal, beside) = jax.lax.scan(step, start, steps)
    return basis, diagonal, beside
