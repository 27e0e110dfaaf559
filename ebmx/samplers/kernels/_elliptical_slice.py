"""Elliptical slice sampling: a Gaussian prior, and no step size."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Number, Scalar, X
from ...energies import Gaussian
from ...energies._batch import as_scalar
from .._base import AbstractSampler, StepInfo, always
from .._fields import at_least_single, cast

MAX_SHRINKS = 100
"""The bracket shrinks to a third and more each time, on average: long before this it is a point."""


class EllipticalSlice(AbstractSampler[Scalar]):
    """A step along an ellipse through `x` and a sample of a Gaussian prior; no step size.

    The chain is exact for any energy `E`, since it weighs the points of the ellipse by
    `E − E_prior`. It is good where most of the energy is the prior's, such as for a Gaussian
    process or a `Gaussian` plus a network. A step costs one energy for each point that is tried,
    two or three as a rule, and no gradient. Every step moves, so no acceptance is reported.

    Murray, Adams and MacKay (2010), "Elliptical slice sampling"; Nishihara, Murray and Adams
    (2014), "Parallel MCMC with generalized elliptical slice sampling", for energies without a
    Gaussian part.

    Args:
        prior: the Gaussian part of the energy, `Gaussian(mean, covariance)`; or any Gaussian near
            the density, at least as wide as it.

    Raises:
        ValueError: if the prior is not a `Gaussian`.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.energies import Gaussian
        >>> from ebmx.samplers import EllipticalSlice
        >>> prior, key = Gaussian(jnp.zeros(2)), jax.random.key(0)
        >>> posterior = lambda x: prior(x) + 2 * jnp.sum((x - 1) ** 2)
        >>> start, sampler = jnp.zeros((8, 2)), EllipticalSlice(prior)
        >>> x, _ = ebmx.run(posterior, sampler, start, num_steps=9, key=key)
        >>> x.shape
        (8, 2)
    """

    prior: Gaussian

    is_invariant = always(True)  # a slice of the density, whose points are drawn uniformly
    is_equivariant = always(False)  # the ellipse is about the mean of the prior
    reports_acceptance = always(False)
    reports_new_energy = always(True)

    def __check_init__(self):
        ok, fix = isinstance(self.prior, Gaussian), "give ebmx.energies.Gaussian(mean, covariance)"
        _checks.require(ok, "prior", type(self.prior).__name__, fix)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Scalar:
        """The energy at `x`."""
        del key
        return as_scalar(energy(x))

    def retemper(
        self, energy: EnergyFn, x: X, state: Scalar, factor: Number, *, key: Key
    ) -> Scalar:
        """The energy times the factor."""
        del energy, x, key
        return state * cast(factor, state)

    def step(
        self, energy: EnergyFn, x: X, state: Scalar, *, key: Key
    ) -> tuple[X, Scalar, StepInfo]:
        """Try points of the ellipse, ever nearer to `x`, until one is in the slice."""
        prior_key, height_key, angle_key, shrink_key = jax.random.split(key, 4)
        dtype = at_least_single(state.dtype)
        centre = self.prior.mean.astype(x.dtype)
        other = self.prior.sample(key=prior_key).astype(x.dtype) - centre

        def at(angle: jax.Array) -> tuple[X, Scalar, jax.Array]:
            """The point at an angle, its energy, and that without the prior's."""
            cos, sin = (cast(turn(angle), x) for turn in (jnp.cos, jnp.sin))
            y = centre + (x - centre) * cos + other * sin
            return y, *self._rest(as_scalar(energy(y)).astype(state.dtype), y, dtype)

        _, here = self._rest(state, x, dtype)
        height = here - jnp.log(1 - jax.random.uniform(height_key, (), dtype))
        begun = jax.random.uniform(angle_key, (), dtype, 0, 2 * math.pi)

        def outside(carry: Any) -> jax.Array:
            count, *_, rest = carry
            return ~(rest < height) & (count < MAX_SHRINKS)

        def shrink(carry: Any) -> Any:
            count, angle, low, high, *_ = carry
            # the bracket always holds 0, which is `x`
            low, high = jnp.where(angle < 0, angle, low), jnp.where(angle < 0, high, angle)
            new_key = jax.random.fold_in(shrink_key, count)
            angle = low + (high - low) * jax.random.uniform(new_key, (), dtype)
            return count + 1, angle, low, high, *at(angle)

        first = (jnp.int32(0), begun, begun - 2 * math.pi, begun, *at(begun))
        *_, y, value, rest = jax.lax.while_loop(outside, shrink, first)
        moved = rest < height
        new, value = jnp.where(moved, y, x), jnp.where(moved, value, state)
        one = jnp.ones((), value.dtype)
        return new, value, StepInfo(value, None, one, ~jnp.isfinite(value))

    def _rest(self, value: Scalar, x: X, dtype: Any) -> tuple[Scalar, jax.Array]:
        """The energy, and that without the prior's; infinite if it is not a number."""
        rest = value.astype(dtype) - self.prior(x).astype(dtype)
        return value, jnp.where(jnp.isnan(rest), jnp.inf, rest)
