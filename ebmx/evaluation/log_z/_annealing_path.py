"""Paths of densities from an exact one to that of an energy."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._types import Key, Scalar, X
from ...energies import (
    AbstractEnergy,
    AbstractExactEnergy,
    AbstractNoiseConditionalEnergy,
    BernoulliRBM,
)
from ...energies._batch import as_scalar
from ...energies._precision import together
from ...energies.exact._bernoulli import Bernoulli


class AbstractPath(eqx.Module):
    """Energies `E_β` for `0 ≤ β ≤ 1`, with exact `log Z` and samples of `E_0`."""

    @property
    @abc.abstractmethod
    def log_z(self) -> Scalar:
        """`log Z` of `E_0`, in nats."""

    @abc.abstractmethod
    def sample(self, *, key: Key) -> X:
        """An exact sample of the positions of `E_0`."""

    @abc.abstractmethod
    def at(self, beta: jax.Array) -> AbstractEnergy:
        """The energy `E_β` of a position."""

    @abc.abstractmethod
    def statistics(self, x: X) -> Any:
        """The statistics of a position that `log_ratio` needs."""

    @abc.abstractmethod
    def log_ratio(self, statistics: Any, before: jax.Array, after: jax.Array) -> Scalar:
        """`E_before(x) - E_after(x)`, the increment of the log density."""

    @abc.abstractmethod
    def enter(self, x: X, *, key: Key) -> X:
        """From an example to a position."""

    @abc.abstractmethod
    def leave(self, x: X, *, key: Key) -> X:
        """From a position to an example."""


class Tempered(AbstractEnergy):
    """`(1 - β) E₀(x) + β E₁(x)`; at `β = 1` without the first term, even if it is infinite."""

    shape: tuple[int, ...] = eqx.field(static=True)
    base: AbstractExactEnergy
    energy: Any
    beta: jax.Array

    def __call__(self, x: X) -> Scalar:
        first = jnp.where(self.beta < 1, (1 - self.beta) * self.base(x), 0.0)
        second = jnp.where(self.beta > 0, self.beta * as_scalar(self.energy(x)), 0.0)
        return first + second


class GeometricPath(AbstractPath):
    """The geometric mean of two densities: `E_β = (1 - β) E₀ + β E₁`. Positions are examples."""

    base: AbstractExactEnergy
    energy: Any

    @property
    def log_z(self) -> Scalar:
        return self.base.log_z

    def sample(self, *, key: Key) -> X:
        return self.base.sample(key=key)

    def at(self, beta: jax.Array) -> Tempered:
        return Tempered(self.base.shape, self.base, self.energy, beta)

    def statistics(self, x: X) -> Scalar:
        return self.base(x) - as_scalar(self.energy(x))

    def log_ratio(self, statistics: Scalar, before: jax.Array, after: jax.Array) -> Scalar:
        # a step of 0 adds 0 also where an energy is infinite
        return jnp.where(after == before, 0.0, (after - before) * statistics)

    def enter(self, x: X, *, key: Key) -> X:
        del key
        return x

    def leave(self, x: X, *, key: Key) -> X:
        del key
        return x


class LevelPath(AbstractPath):
    """The levels of an energy `E(x, σ)` from the highest to the lowest, equal steps in `log σ`.

    Positions are `z = (x - m) / √(s² + σ²)` with the mean `m` and the mean variance `s²` of the
    data, which have the same spread at all levels: otherwise each level would contract the one
    before, and the weights would vary with the volume.
    """

    energy: AbstractNoiseConditionalEnergy

    @property
    def log_z(self) -> Scalar:
        """`log Z` of the highest level."""
        return self.energy.top.log_z

    def sample(self, *, key: Key) -> X:
        """A sample of the highest level."""
        return self.at(jnp.zeros(())).position(self.energy.top.sample(key=key))

    def at(self, beta: jax.Array) -> "AtFraction":
        """The energy of a position at the level of `β`."""
        levels, top = self.energy.levels, self.energy.top
        variance, sigma = together(jnp.mean(top.variance), levels.sigma)
        spread = jnp.maximum(variance - sigma[-1] ** 2, sigma[0] ** 2)
        return AtFraction(self.energy.shape, self.energy, top, spread, beta)

    def statistics(self, x: X) -> X:
        """The position: energies at other levels are not linear in anything less."""
        return x

    def log_ratio(self, statistics: X, before: jax.Array, after: jax.Array) -> Scalar:
        """The difference of two energies."""
        return self.at(before)(statistics) - self.at(after)(statistics)

    def enter(self, x: X, *, key: Key) -> X:
        """The position of an example of the lowest level."""
        del key
        return self.at(jnp.ones(())).position(x)

    def leave(self, x: X, *, key: Key) -> X:
        """The example of the lowest level at a position."""
        del key
        return self.at(jnp.ones(())).example(x)


class AtFraction(AbstractEnergy):
    """`E(x, σ) - d log c` of `z = (x - m) / c` at `log σ = (1 - β) log σ_K + β log σ₀`."""

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: Any
    top: AbstractExactEnergy
    spread: jax.Array
    beta: jax.Array

    def __call__(self, x: X) -> Scalar:
        example = self.example(x)
        value = self.energy(example, self.sigma.astype(x.dtype))
        # at the highest level that which is sampled and has the known log Z
        value = jnp.where(self.beta > 0, value, self.top(example).astype(value.dtype))
        return value - x.size * jnp.log(self.unit).astype(value.dtype)

    @property
    def sigma(self) -> Scalar:
        """The noise level."""
        low, high = jnp.log(self.energy.levels.sigma[jnp.array([0, -1])])
        beta = self.beta.astype(low.dtype)
        return jnp.exp((1 - beta) * high + beta * low)

    @property
    def unit(self) -> Scalar:
        """The spread of noisy data."""
        spread, sigma = together(self.spread, self.sigma)
        return jnp.sqrt(spread + sigma**2)

    def position(self, x: X) -> X:
        """The position of an example."""
        return (x - self.top.mean.astype(x.dtype)) / self.unit.astype(x.dtype)

    def example(self, x: X) -> X:
        """The example at a position."""
        return self.top.mean.astype(x.dtype) + self.unit.astype(x.dtype) * x


class RBMPath(AbstractPath):
    """RBMs from one without weights to that of the energy, each with exact block Gibbs steps.

    The position is the layer with fewer units and the energy marginalises the other one, which
    gives weights of lower variance than the reverse.

    Salakhutdinov and Murray (2008), "On the quantitative analysis of deep belief networks".
    """

    base: Bernoulli
    energy: BernoulliRBM

    @property
    def log_z(self) -> Scalar:
        """`log Z` of the base and of uniform hidden units."""
        return self.base.log_z + self.energy.hidden_bias.size * jnp.log(2.0)

    def sample(self, *, key: Key) -> X:
        if not self._over_hidden:
            return self.base.sample(key=key).reshape(-1)
        num, dtype = self.energy.hidden_bias.size, self.energy.weight.dtype
        return jax.random.bernoulli(key, 0.5, (num,)).astype(dtype)

    def at(self, beta: jax.Array) -> BernoulliRBM:
        """The RBM at `β`, with the layer of the positions as the visible one."""
        weight, own, other = self._machine(beta)
        return BernoulliRBM(weight, own, other)

    def statistics(self, x: X) -> tuple[jax.Array, Scalar, Scalar]:
        """The input of the other layer, and the bias terms of this layer at both ends."""
        weight, own, _ = self._machine(jnp.ones(()))
        return x @ weight, x @ self._machine(jnp.zeros(()))[1], x @ own

    def log_ratio(self, statistics: Any, before: jax.Array, after: jax.Array) -> Scalar:
        """Unit by unit of the other layer, with smaller rounding errors than whole energies."""
        field, first, last = statistics
        inputs = [self._machine(beta)[2] + beta * field for beta in (before, after)]
        units = jax.nn.softplus(inputs[1]) - jax.nn.softplus(inputs[0])
        return jnp.sum(units) + (after - before) * (last - first)

    def enter(self, x: X, *, key: Key) -> X:
        """Sample the hidden units, if they are the position."""
        x = x.reshape(-1)
        if not self._over_hidden:
            return x
        logits = self.energy.hidden_bias + x @ self.energy.weight
        return jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(x.dtype)

    def leave(self, x: X, *, key: Key) -> X:
        """Sample the visible units, if the hidden ones are the position."""
        if not self._over_hidden:
            return x.reshape(self.energy.shape)
        logits = self.energy.visible_logits + self.energy.weight @ x
        found = jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(x.dtype)
        return found.reshape(self.energy.shape)

    @property
    def _over_hidden(self) -> bool:
        return self.energy.weight.shape[1] <= self.energy.weight.shape[0]

    def _machine(self, beta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Weights, biases of the layer of the positions, biases of the other layer."""
        weight, hidden = beta * self.energy.weight, beta * self.energy.hidden_bias
        first, last = self.base.logits.reshape(-1), self.energy.visible_logits
        visible = (1 - beta) * first + beta * last
        return (weight.T, hidden, visible) if self._over_hidden else (weight, visible, hidden)
