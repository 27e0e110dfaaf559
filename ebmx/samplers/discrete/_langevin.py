"""Langevin-like proposals for discrete examples, which change many sites at once."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Number, Scalar, X
from ...energies._batch import value_and_gradient
from ...energies._discrete import check_kind
from .._base import StepInfo, always
from .._fields import at_least_single, number
from ._informed import AbstractInformed
from ._space import AbstractDiscrete, nearest, rises

LONGEST = 100.0
"""The longest step size that tuning takes. Without a gradient a bit then flips with probability
0.4988, and even of infinite steps with 0.5: longer ones make no difference."""


class DULA(AbstractDiscrete[None]):
    """Discrete unadjusted Langevin: all sites change at once, each with its own probability.

    The proposal is `q(y | x) ∝ exp(-∇E(x)·(y - x) / 2T - |y - x|² / 2α)`, which factorises over the
    sites; one gradient a step. It samples `exp(-E/T)` only in the limit of small steps: see
    `DMALA`.

    Zhang, Liu and Liu (2022), "A Langevin-like sampler for discrete distributions".

    Args:
        step_size: `α > 0`. Without a gradient a bit flips with probability `sigmoid(-1 / 2α)`.
        temperature: `T > 0`.
        categorical: whether examples are one-hot along the last axis, and not zeros and ones.

    Raises:
        ValueError: if a number is not positive.
    """

    step_size: Number = number()
    temperature: Number = number(default=1.0)
    categorical: bool = eqx.field(static=True, default=False)

    reports_acceptance = always(False)

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)
        _checks.positive("temperature", self.temperature)

    @property
    def effective_temperature(self) -> Number:
        """The temperature."""
        return self.temperature

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> None:
        """No state."""
        del x, key
        check_kind(energy, self.categorical, "categorical")

    def step(self, energy: EnergyFn, x: X, state: None, *, key: Key) -> tuple[X, None, StepInfo]:
        """One draw of all sites."""
        x = nearest(x, self.categorical)
        value, gradient = value_and_gradient(energy, x)
        wide = gradient.astype(at_least_single(gradient.dtype))
        norm = jnp.sqrt(jnp.sum(wide**2)).astype(x.dtype)
        info = StepInfo(value, norm, jnp.ones((), value.dtype), ~jnp.isfinite(value))
        cold = wide / jnp.asarray(self.temperature).astype(wide.dtype)
        logits = _logits(x, cold, self.step_size, self.categorical)
        return _draw(logits, x, self.categorical, key), state, info


class DMALA(AbstractInformed):
    """Discrete Langevin with a Metropolis test: the proposal of `DULA`, exact at any step size.

    One gradient a step. `ebmx.samplers.warmup` and `StepSizeAdaptation` tune the step size to an
    acceptance of 0.574. Where even the longest steps are accepted more often, as of an energy that
    is nearly linear, they stop at 100: each site is then drawn given the gradient, whatever its
    value was, and longer steps would be the same.

    Zhang, Liu and Liu (2022), "A Langevin-like sampler for discrete distributions".

    Args:
        step_size: `α > 0`, as for `DULA`.
        categorical: whether examples are one-hot along the last axis, and not zeros and ones.

    Raises:
        ValueError: if the step size is not positive.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.energies import Potts
        >>> from ebmx.samplers import DMALA
        >>> energy, key = Potts((4, 4), num_states=3, coupling=0.2), jax.random.key(0)
        >>> start = jnp.zeros((8, 4, 4, 3)).at[..., 0].set(1.0)
        >>> x, _ = ebmx.run(energy, DMALA(0.2, categorical=True), start, num_steps=50, key=key)
        >>> bool(jnp.all(jnp.sum(x, -1) == 1))
        True
    """

    step_size: Number = number()
    categorical: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)

    def propose(self, x: X, gradient: X, *, key: Key) -> X:
        """One draw of all sites."""
        logits = _logits(x, gradient, self.step_size, self.categorical)
        return _draw(logits, x, self.categorical, key)

    def log_proposal(self, x: X, gradient: X, y: X) -> Scalar:
        """The sum over the sites."""
        logits = _logits(x, gradient, self.step_size, self.categorical)
        if self.categorical:
            return jnp.sum(jnp.where(y > 0.5, jax.nn.log_softmax(logits), 0))
        return jnp.sum(jax.nn.log_sigmoid(jnp.where(y != x, logits, -logits)))


def _logits(x: X, gradient: X, step_size: Number, categorical: bool) -> jax.Array:
    """Those of each flip, or of each category up to a constant."""
    rise = rises(x, gradient, categorical) / 2
    step = jnp.asarray(step_size).astype(rise.dtype)
    if not categorical:
        return rise - 1 / (2 * step)
    # two numbers change with a category, so that the squared distance is 2
    return rise - (1 - x.astype(rise.dtype)) / step


def _draw(logits: jax.Array, x: X, categorical: bool, key: Key) -> X:
    if categorical:
        index = jax.random.categorical(key, logits)
        return jax.nn.one_hot(index, x.shape[-1], dtype=x.dtype)
    uniform = jax.random.uniform(key, x.shape, logits.dtype)
    return jnp.where(uniform < jax.nn.sigmoid(logits), 1 - x, x)
