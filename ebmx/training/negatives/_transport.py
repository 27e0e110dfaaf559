"""Pairs of data and noise from an optimal transport plan."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from ... import _checks
from ..._types import EnergyFn, Key, Number
from ...samplers._fields import cast, number
from .._batch import Examples
from .._distances import squared_distances
from ._base import draw_noise
from ._chain_free import AbstractStateless, Stateless
from ._noise import AbstractNoise, GaussianNoise


class TransportPairs(AbstractStateless):
    """For each example, noise that is drawn from an optimal transport plan of the batch.

    The plan `"sinkhorn"` is that of Sinkhorn's iteration at a small temperature: each example draws
    its partner with the probabilities of its row, so two may draw the same noise. At a low
    temperature the partner is nearly always the most likely one. The plan `"exact"` is the
    assignment of the smallest mean squared distance, by the Hungarian algorithm: each noise has one
    partner.

    For 128 of the 8×8 digits on two cores beside other work, Sinkhorn's takes 1.5 ms and the exact
    one 8 to 12 ms, with mean squared distances of 92.0 and 89.3 (of all pairs: 108.7). The exact
    one takes its steps one after the other, which a GPU does not speed up.

    Args:
        noise: the distribution at time 0.
        num_iterations: of Sinkhorn's iteration, at least 1.
        temperature: of Sinkhorn's transport, relative to the mean squared distance.
        plan: `"sinkhorn"` or `"exact"`.

    Raises:
        ValueError: if a number is out of its range, or the plan is another word.
    """

    noise: AbstractNoise = eqx.field(default_factory=GaussianNoise)
    num_iterations: int = eqx.field(static=True, default=30)
    temperature: Number = number(default=0.02)
    plan: Literal["sinkhorn", "exact"] = eqx.field(static=True, default="sinkhorn")

    def __check_init__(self):
        _checks.at_least("num_iterations", self.num_iterations, 1)
        _checks.positive("temperature", self.temperature)
        ok = self.plan in ("sinkhorn", "exact")
        _checks.require(ok, "plan", repr(self.plan), "give 'sinkhorn' or 'exact'")

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """Noise in the order of the positives, with the times in [0, 1] as conditions."""
        del energy
        x = positives.x
        noise_key, pick_key, time_key = jax.random.split(key, 3)
        noise = draw_noise(self.noise, len(x), x.shape[1:], key=noise_key).astype(x.dtype)
        rows = x.reshape(len(x), -1), noise.reshape(len(x), -1)
        if self.plan == "exact":
            partner = assignment(*rows)
        else:
            partner = jax.random.categorical(pick_key, self._log_plan(*rows), axis=1)
        times = jax.random.uniform(time_key, (len(x),), x.dtype)
        return Examples(noise[partner], times), state, None

    def _log_plan(self, x: jax.Array, y: jax.Array) -> jax.Array:
        cost = squared_distances(x, y)
        # Sinkhorn's iteration on logarithms: at a low temperature the kernel itself underflows
        log_kernel = -cost / (cast(self.temperature, x) * jnp.mean(cost))

        def iterate(_, potentials):
            f, g = potentials
            f = -jax.nn.logsumexp(log_kernel + g[None], axis=1)
            return f, -jax.nn.logsumexp(log_kernel + f[:, None], axis=0)

        zero = jnp.zeros(len(x), x.dtype)
        f, g = jax.lax.fori_loop(0, self.num_iterations, iterate, (zero, zero))
        return log_kernel + f[:, None] + g[None]


def assignment(x: Float[Array, "num d"], y: Float[Array, "num d"]) -> Int[Array, "num"]:
    """For each row of `x` another row of `y`, of the smallest mean squared distance."""
    # optax computes in the default precision
    cost = squared_distances(x, y).astype(jnp.zeros(()).dtype)
    rows, columns = optax.assignment.hungarian_algorithm(cost)
    return jnp.zeros_like(columns).at[rows].set(columns)
