"""Point patterns whose intensity is the exponential of a Gaussian process."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Number, Scalar, X
from .._base import AbstractEnergy
from .._constants import as_number, constant
from .._precision import as_dtype_of
from ._gaussian import Gaussian

_MEAN, _VARIANCE, _LENGTH_SCALE = math.log(126) - 1.91 / 2, 1.91, 1 / 33


class LogGaussianCox(AbstractEnergy):
    """The posterior of a log intensity `x` on a grid, given counts `y` in its cells.

    `E(x) = a Σ exp(xᵢ) − Σ yᵢ xᵢ − log N(x; μ, K)`, with cells of area `a` that divide the unit
    square and the covariance `K = σ² exp(−distance / β)` between centres of cells. The prior has
    its normaliser, and the Poisson probabilities leave out `Π yᵢ!`, as in the literature:
    `log p(y) = log Z + Σ (yᵢ log a − log yᵢ!)`. The default numbers are those of the Finnish pines,
    on a grid of 40 by 40.

    Møller, Syversveen and Waagepetersen (1998), "Log Gaussian Cox processes".

    Args:
        counts: `y`, `(rows, columns)`, whole numbers of points in each cell.
        latent_mean: `μ`, the mean of the log intensity.
        latent_variance: `σ²`, its variance.
        length_scale: `β`, the distance over which it correlates; the square has side 1. It is not
            traced.
        whitened: whether an example is `z` with `x = μ + Lz`, `K = LLᵀ`, whose prior is a standard
            normal distribution; `log_intensity` gives `x`. `log Z` is the same.

    Raises:
        ValueError: if a shape does not fit, or a number is out of its range.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    whitened: bool = eqx.field(static=True)
    counts: jax.Array = constant()
    matrix: jax.Array = constant()  # L / σ if whitened, else its inverse
    latent_mean: jax.Array = constant()
    latent_variance: jax.Array = constant()

    def __init__(
        self,
        counts: ArrayLike,
        latent_mean: Number = _MEAN,
        latent_variance: Number = _VARIANCE,
        length_scale: float = _LENGTH_SCALE,
        *,
        whitened: bool = False,
    ):
        counts = np.asarray(counts)
        ok = counts.ndim == 2 and counts.size > 0
        _checks.require(ok, "counts.shape", counts.shape, "give an array (rows, columns)")
        _checks.non_negative("counts", counts)
        ok = bool(np.all(counts == np.round(counts)))
        _checks.require(ok, "counts", counts, "give whole numbers")
        self.shape = counts.shape
        self.counts = jnp.asarray(counts, float)
        self.latent_mean, self.latent_variance = as_number(latent_mean), as_number(latent_variance)
        _checks.finite_value("latent_mean", self.latent_mean)
        _checks.positive("latent_variance", self.latent_variance)
        factor = _factor(self.shape, length_scale)
        if not whitened:
            from scipy.linalg import solve_triangular  # late: a faster `import ebmx`

            factor = solve_triangular(factor, np.eye(len(factor)), lower=True)
        self.matrix = jnp.asarray(factor, float)
        self.whitened = whitened

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        variance, matrix = as_dtype_of(x, self.latent_variance, self.matrix)
        counts, mean = as_dtype_of(x, self.counts, self.latent_mean)
        latent, z, log_det = self.log_intensity(x), x, 0.0
        if not self.whitened:
            z = _product(matrix, x - mean) / jnp.sqrt(variance)
            log_det = jnp.sum(jnp.log(jnp.diag(matrix))) - 0.5 * x.size * jnp.log(variance)
        prior = 0.5 * jnp.sum(z**2) + 0.5 * x.size * math.log(2 * math.pi) - log_det
        return prior + jnp.sum(jnp.exp(latent)) / x.size - jnp.sum(counts * latent)

    def log_intensity(self, x: X) -> X:
        """The log intensity in each cell, `(rows, columns)`: the example itself if not whitened."""
        _checks.example(x, self.shape)
        if not self.whitened:
            return x
        mean, variance, factor = as_dtype_of(x, self.latent_mean, self.latent_variance, self.matrix)
        return mean + jnp.sqrt(variance) * _product(factor, x)

    @property
    def prior(self) -> Gaussian:
        """The prior of an example, where annealing may begin."""
        if self.whitened:
            return Gaussian(jnp.zeros(self.shape))
        gaussian = Gaussian(jnp.full(self.shape, self.latent_mean))
        return eqx.tree_at(
            lambda g: g.whiten, gaussian, self.matrix / jnp.sqrt(self.latent_variance)
        )


def log_gaussian_cox(size: int = 40, *, whitened: bool = False) -> LogGaussianCox:
    """A log Gaussian Cox process on a square grid, with counts drawn from the model itself.

    The numbers of the model are those of the Finnish pines in Møller et al. (1998), with 126 points
    expected. The counts are not the pines: they are drawn with a fixed seed, one pattern for each
    size. For the pines give their counts to `LogGaussianCox`.

    Args:
        size: cells along each side; papers have 32 or 40.
        whitened: as for `LogGaussianCox`.

    Returns:
        The energy, of shape `(size, size)`.

    Raises:
        ValueError: if the size is not a positive integer.
    """
    _checks.at_least("size", size, 1)
    # NumPy keeps the stream of this generator as it is
    generator = np.random.RandomState(0)
    field = _factor((size, size), _LENGTH_SCALE) @ generator.standard_normal(size**2)
    intensity = np.exp(_MEAN + math.sqrt(_VARIANCE) * field) / size**2
    counts = generator.poisson(intensity).reshape(size, size)
    return LogGaussianCox(counts, whitened=whitened)


def _product(matrix: jax.Array, x: X) -> X:
    """A matrix times the flattened example, in full precision also on accelerators."""
    product = jnp.matmul(matrix, x.reshape(-1), precision=jax.lax.Precision.HIGHEST)
    return product.reshape(x.shape)


def _factor(shape: tuple[int, ...], length_scale: float) -> np.ndarray:
    """The lower triangle `L` of the correlations between cells, `LLᵀ`, in float64."""
    _checks.positive("length_scale", length_scale)
    places = np.indices(shape).reshape(2, -1).T / np.array(shape)
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    try:
        return np.linalg.cholesky(np.exp(-distance / float(length_scale)))
    except np.linalg.LinAlgError:
        fix = "give a smaller one: the cells do not differ in double precision"
        _checks.invalid("length_scale", length_scale, fix)
