"""The Gaussian, for which everything is known."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key, Scalar, X
from .._base import AbstractExactEnergy
from .._precision import together


class Gaussian(AbstractExactEnergy):
    """`E(x) = ½ (x - μ)ᵀ Σ⁻¹ (x - μ)`, so `log Z = ½ log det(2πΣ)`.

    `mean` and `covariance` are the moments; `variance` is the diagonal of the covariance.

    Its parameters are the mean and a lower triangular `W` with `Σ⁻¹ = WᵀW`, or the diagonal of one.
    Signs on its diagonal and numbers above it do not matter, so each step of an optimiser gives a
    Gaussian.

    Args:
        mean: the mean, an array of the shape of one example.
        covariance: one variance for all coordinates; an array of the shape of `mean`, a variance
            each; or a matrix `(d, d)` over the flattened coordinates.

    Raises:
        ValueError: if the covariance is of another shape or not positive definite.

    Examples:
        >>> import jax.numpy as jnp
        >>> from ebmx.energies import Gaussian
        >>> energy = Gaussian(jnp.zeros(2), jnp.array([1.0, 4.0]))  # variances of two coordinates
        >>> energy(jnp.array([0.0, 2.0]))
        Array(0.5, dtype=float32)
        >>> round(float(energy.log_z), 4)  # log(2π) + log(4) / 2
        2.531
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    location: X
    whiten: jax.Array  # W: one number for each coordinate, or a matrix with a lower triangle

    def __init__(self, mean: ArrayLike, covariance: ArrayLike = 1.0):
        self.location = jnp.asarray(mean, dtype=jnp.result_type(float))
        _checks.finite_value("mean", self.location)
        self.shape = self.location.shape
        covariance = jnp.asarray(covariance, self.location.dtype)
        self.whiten = _whiten(covariance, self.shape)
        if _checks.is_concrete(covariance) and not bool(jnp.all(jnp.isfinite(self.whiten))):
            _checks.invalid("covariance", covariance, "give a positive definite covariance")

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        x, location, whiten = together(x, self.location, self.whiten)
        return 0.5 * jnp.sum(_apply(whiten, x - location) ** 2)

    def sample(self, *, key: Key) -> X:
        noise = jax.random.normal(key, self.shape, self.location.dtype)
        if self.whiten.shape == self.shape:
            return self.location + noise / self.whiten
        z = jax.scipy.linalg.solve_triangular(self.whiten, noise.reshape(-1), lower=True)
        return self.location + z.reshape(self.shape)

    @property
    def mean(self) -> X:
        return self.location

    @property
    def covariance(self) -> jax.Array:
        """The covariance of the flattened coordinates, `(d, d)`."""
        if self.whiten.shape == self.shape:
            return jnp.diag(self.variance.reshape(-1))
        identity = jnp.eye(len(self.whiten), dtype=self.whiten.dtype)
        inverse = jax.scipy.linalg.solve_triangular(self.whiten, identity, lower=True)
        return inverse @ inverse.T

    @property
    def variance(self) -> X:
        if self.whiten.shape == self.shape:
            return 1 / self.whiten**2
        return jnp.diag(self.covariance).reshape(self.shape)

    @property
    def log_z(self) -> Scalar:
        diagonal = self.whiten if self.whiten.shape == self.shape else jnp.diag(self.whiten)
        log_det = jnp.sum(jnp.log(jnp.abs(diagonal)))
        return 0.5 * self.location.size * math.log(2 * math.pi) - log_det


def _whiten(covariance: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    size = math.prod(shape)
    if covariance.shape in ((), shape):
        return jnp.broadcast_to(covariance, shape) ** -0.5
    if covariance.shape == (size, size):
        # of `Σ = LLᵀ`, `W = L⁻¹`: energies take a product, and only samples have to solve
        return jnp.linalg.inv(jnp.linalg.cholesky(covariance))
    fix = f"give a scalar, an array {shape} of variances, or a matrix {(size, size)}"
    _checks.invalid("covariance.shape", covariance.shape, fix)


def _apply(whiten: jax.Array, x: jax.Array) -> jax.Array:
    return whiten * x if whiten.shape == x.shape else jnp.tril(whiten) @ x.reshape(-1)
