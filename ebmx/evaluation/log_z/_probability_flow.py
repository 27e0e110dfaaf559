"""Log densities by the probability flow of an energy over noise levels."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key, Scalar, Vector, X, XBatch
from ...energies import AbstractNoiseConditionalEnergy


def probability_flow_log_density(
    energy: AbstractNoiseConditionalEnergy,
    x: ArrayLike,
    *,
    num_steps: int = 64,
    num_probes: int | None = None,
    key: Key | None = None,
) -> Vector:
    """Log densities at the lowest noise level, from the scores of all levels alone.

    The flow `dx/d log σ = σ² ∂E/∂x` carries the density of the lowest level to that of the highest,
    which is known; the log density changes by the integral of the divergence. The constants of the
    energy play no role, so this is a second opinion on `ebmx.energies.log_density`: the two agree
    where the energy is the log density of a diffusion.

    Song et al. (2021), "Score-based generative modeling through stochastic differential equations".

    Args:
        energy: a noise-conditional energy without classes.
        x: a batch, `(batch, *shape)`.
        num_steps: steps of a Runge-Kutta method of order 4, equal in `log σ`; at least 1.
        num_probes: random directions for the divergence, as in Hutchinson's estimator, which is
            unbiased for the integral; `None` for the exact trace, at `size` products an evaluation.
        key: a key for the directions; needed with `num_probes`.

    Returns:
        Log densities `(batch,)`, in nats.

    Raises:
        ValueError: if the energy is not noise-conditional, `x` does not fit it, a number is below
            1, or the key is missing.
    """
    fix = "choose a class first: energy.at_label(label), or at_label(None) for all"
    _checks.require(energy.num_classes is None, "energy.num_classes", energy.num_classes, fix)
    x = _checks.batch(x, "x", energy.shape)
    _checks.at_least("num_steps", num_steps, 1)
    size = math.prod(energy.shape)
    if num_probes is None:
        probes = jnp.broadcast_to(jnp.eye(size, dtype=x.dtype), (len(x), size, size))
    else:
        _checks.at_least("num_probes", num_probes, 1)
        if key is None:
            _checks.invalid("key", None, "give a key for the random directions")
        probes = jax.random.rademacher(key, (len(x), num_probes, size), x.dtype)
        probes = probes / math.sqrt(num_probes)
    return _log_density(energy, x, probes, num_steps)


@eqx.filter_jit
def _log_density(energy: Any, x: XBatch, probes: jax.Array, num_steps: int) -> Vector:
    top = energy.top
    ends = jnp.log(energy.levels.sigma[jnp.array([0, -1])]).astype(x.dtype)
    step = (ends[1] - ends[0]) / num_steps

    def slope(x: X, t: Scalar, probes: jax.Array) -> tuple[X, Scalar]:
        """The velocity, and its divergence: the trace of the Hessian by products with probes."""
        sigma = jnp.exp(t)
        gradient, product = jax.linearize(lambda x: jax.grad(energy)(x, sigma), x)
        traces = jax.vmap(lambda v: jnp.vdot(v, product(v.reshape(x.shape))))(probes)
        return sigma**2 * gradient, sigma**2 * jnp.sum(traces)

    def one(x: X, probes: jax.Array) -> Scalar:
        def advance(i: jax.Array, carry: tuple[X, Scalar]) -> tuple[X, Scalar]:
            t = ends[0] + i.astype(x.dtype) * step
            x0, total = carry
            first = slope(x0, t, probes)
            second = slope(x0 + step / 2 * first[0], t + step / 2, probes)
            third = slope(x0 + step / 2 * second[0], t + step / 2, probes)
            last = slope(x0 + step * third[0], t + step, probes)
            all_four = zip(first, second, third, last, strict=True)
            velocity, divergence = (a + 2 * b + 2 * c + d for a, b, c, d in all_four)
            return x0 + step / 6 * velocity, total + step / 6 * divergence

        start = x, jnp.zeros((), x.dtype)
        x, divergence = jax.lax.fori_loop(0, num_steps, advance, start)
        return divergence - (top(x) + top.log_z).astype(x.dtype)

    return jax.vmap(one)(x, probes)
