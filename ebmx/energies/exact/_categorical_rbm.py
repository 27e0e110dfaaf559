"""Restricted Boltzmann machines whose visible units are categories."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key, Number, Scalar, X
from .._base import AbstractBlockEnergy, AbstractExactEnergy
from .._precision import together
from ._categorical import draw_one_hot
from ._rbm import CHUNK, LARGEST, bits, check_biases, draw_bits, refuse_weight


class CategoricalRBM(AbstractExactEnergy, AbstractBlockEnergy):
    """The free energy of a restricted Boltzmann machine with softmax visible units.

    `E(x) = -b·x - Σⱼ log(1 + exp(cⱼ + Σ x W[:, :, j]))` for `x` one-hot along the last axis,
    `(visible, states)`, and its smooth extension between them; the hidden units are zeros and ones.
    Normaliser, mean and exact samples are sums over all states of the hidden units, at most 22.

    Salakhutdinov, Mnih and Hinton (2007), "Restricted Boltzmann machines for collaborative
    filtering".

    Args:
        weight: `W`, `(visible, states, hidden)`, at least two states.
        visible_bias: `b`, `(visible, states)`.
        hidden_bias: `c`, `(hidden,)`.

    Raises:
        ValueError: if a shape does not fit.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    weight: jax.Array
    visible_bias: jax.Array
    hidden_bias: jax.Array

    def __init__(self, weight: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike):
        self.weight = jnp.asarray(weight, float)
        self.visible_bias = jnp.asarray(visible_bias, float)
        self.hidden_bias = jnp.asarray(hidden_bias, float)
        ok = self.weight.ndim == 3 and self.weight.size > 0 and self.weight.shape[1] > 1
        fix = "give an array (visible, states, hidden) with at least two states"
        _checks.require(ok, "weight.shape", self.weight.shape, fix)
        self.shape = self.weight.shape[:2]
        check_biases(self)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        x, weight, visible, hidden = together(x, self.weight, self.visible_bias, self.hidden_bias)
        inputs = hidden + jnp.tensordot(x, weight, 2)
        return -jnp.sum(visible * x) - jnp.sum(jax.nn.softplus(inputs))

    def gibbs_sweep(self, x: X, *, weight: Number | None = None, key: Key) -> X:
        """All hidden units given `x`, then `x` given these."""
        refuse_weight(weight)
        hidden_key, visible_key = jax.random.split(key)
        inputs = jnp.tensordot(x.astype(self.weight.dtype), self.weight, 2)
        hidden = draw_bits(self.hidden_bias + inputs, hidden_key)
        logits = self.visible_bias + self.weight @ hidden
        return draw_one_hot(logits, key=visible_key).astype(x.dtype)

    @property
    def log_z(self) -> Scalar:
        """`log Σ_x exp(-E(x))` over all one-hot `x`, in nats.

        Raises:
            ValueError: if there are more than 22 hidden units.
        """
        return jax.nn.logsumexp(self._log_weights())

    @property
    def mean(self) -> X:
        """The probability of each state of each visible unit; as for `log_z`."""
        log_p = jax.nn.log_softmax(self._log_weights())

        def add(total, chunk):
            states, log_p = chunk
            p = jax.nn.softmax(self._logits(states))
            return total + jnp.tensordot(jnp.exp(log_p), p, 1), None

        states = self._chunks()
        chunks = states, log_p.reshape(states.shape)
        return jax.lax.scan(add, jnp.zeros_like(self.visible_bias), chunks)[0]

    @property
    def variance(self) -> X:
        """The variance of each number of an example; as for `log_z`."""
        mean = self.mean  # once, since it is a sum over all states
        return mean * (1 - mean)

    def sample(self, *, key: Key) -> X:
        """Draw one exact, independent example, one-hot; as for `log_z`."""
        state_key, unit_key = jax.random.split(key)
        index = jax.random.categorical(state_key, self._log_weights())
        return draw_one_hot(self._logits(index[None])[0], key=unit_key)

    def _chunks(self) -> jax.Array:
        """All states of the hidden units, as numbers, in chunks."""
        num = self.hidden_bias.size
        fix = f"there may be {LARGEST} hidden units; use annealed importance sampling"
        _checks.require(num <= LARGEST, "weight.shape", self.weight.shape, fix)
        return jnp.arange(2**num).reshape(-1, 2 ** min(CHUNK, num))

    def _hidden(self, states: jax.Array) -> jax.Array:
        """The hidden units of these numbers, `(states, hidden)`."""
        return bits(states, self.hidden_bias.size, self.weight.dtype)

    def _logits(self, states: jax.Array) -> jax.Array:
        """The log probabilities of the visible units up to constants, `(states, *shape)`."""
        return self.visible_bias[None] + jnp.tensordot(self._hidden(states), self.weight, (1, 2))

    def _log_weights(self) -> jax.Array:
        """The log probability of each state of the hidden units, up to one constant."""

        def chunk(states):
            visible = jnp.sum(jax.nn.logsumexp(self._logits(states), -1), -1)
            return self._hidden(states) @ self.hidden_bias + visible

        return jax.lax.map(chunk, self._chunks()).reshape(-1)
