"""Mixtures of Gaussians."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Count, Key, Scalar, X
from .._base import AbstractExactEnergy, log_weights
from .._precision import together


class GaussianMixture(AbstractExactEnergy):
    """`E(x) = -log Σₖ wₖ N(x; μₖ, diag σₖ²)`, a normalised mixture, so `log Z = 0`.

    Its parameters are `log_weights`, `means` and `scales`; the weights are `softmax(log_weights)`,
    and the sign of a scale does not matter, so each step of an optimiser gives a mixture.

    Args:
        means: the means of the components, `(components, *shape)`.
        scales: the standard deviations: one number, one each component `(components,)`, or one each
            coordinate `(components, *shape)`.
        weights: `(components,)`, positive; they are normalised. Equal if not given.

    Raises:
        ValueError: if a shape does not fit or a scale or weight is not positive.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    log_weights: jax.Array
    means: jax.Array
    scales: jax.Array

    def __init__(self, means: ArrayLike, scales: ArrayLike, weights: ArrayLike | None = None):
        self.means = jnp.asarray(means, dtype=jnp.result_type(float))
        if self.means.ndim == 0:
            _checks.invalid("means.shape", (), "give an array (components, *shape)")
        _checks.finite_value("means", self.means)
        count, self.shape = self.means.shape[0], self.means.shape[1:]
        scales = jnp.asarray(scales, self.means.dtype)
        _checks.positive("scales", scales)
        if scales.shape == (count,):
            scales = scales.reshape(count, *(1,) * len(self.shape))
        elif scales.shape not in ((), self.means.shape):
            fix = f"give a scalar, ({count},) or {self.means.shape}"
            _checks.invalid("scales.shape", scales.shape, fix)
        self.scales = jnp.broadcast_to(scales, self.means.shape)
        self.log_weights = log_weights(weights, count)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        return -jax.nn.logsumexp(self._log_terms(x))

    def component(self, x: X) -> Count:
        """The index of the component that most likely made one example, the mode that it is in.

        Where weights and scales are equal, it is the one with the nearest mean.
        """
        _checks.example(x, self.shape)
        return jnp.argmax(self._log_terms(x))

    def _log_terms(self, x: X) -> jax.Array:
        """`log wₖ N(x; μₖ, diag σₖ²)` of each component, `(components,)`."""
        axes = tuple(range(1, self.means.ndim))
        x, means, scales, log_w = together(x, self.means, self.scales, self.log_weights)
        z = (x[None] - means) / scales
        log_norm = jnp.log(jnp.abs(scales)) + 0.5 * math.log(2 * math.pi)
        return jax.nn.log_softmax(log_w) - jnp.sum(0.5 * z**2 + log_norm, axes)

    def sample(self, *, key: Key) -> X:
        component_key, noise_key = jax.random.split(key)
        # the inverse of the distribution function: one random number, where Gumbel's method takes
        # one for each component
        ends = jnp.cumsum(self.weights.astype(jnp.promote_types(self.weights.dtype, jnp.float32)))
        place = ends[-1] * jax.random.uniform(component_key, (), ends.dtype)
        k = jnp.searchsorted(ends, place, side="right")
        noise = jax.random.normal(noise_key, self.shape, self.means.dtype)
        return self.means[k] + self.scales[k] * noise

    @property
    def weights(self) -> jax.Array:
        """The weights of the components, `(components,)`; they add up to 1."""
        return jax.nn.softmax(self.log_weights)

    @property
    def mean(self) -> X:
        return jnp.tensordot(self.weights, self.means, 1)

    @property
    def variance(self) -> X:
        between = self.means - self.mean[None]
        return jnp.tensordot(self.weights, between**2 + self.scales**2, 1)

    @property
    def log_z(self) -> Scalar:
        return jnp.zeros((), self.means.dtype)
