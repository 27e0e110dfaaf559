"""Restricted Boltzmann machines."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Key, Number, Scalar, X
from .._base import AbstractBlockEnergy, AbstractExactEnergy
from .._precision import together

LARGEST = 22  # 4 million states
CHUNK = 10  # so many of the units run in one batch of states


class BernoulliRBM(AbstractExactEnergy, AbstractBlockEnergy):
    """The free energy of a restricted Boltzmann machine with binary units.

    `E(x) = -b·x - Σⱼ log(1 + exp(cⱼ + x·W[:, j]))` for `x` of zeros and ones, and its smooth
    extension between them, which has a gradient. Normaliser, mean and exact samples are sums over
    all states of the fewer units, at most 22 of them.

    Smolensky (1986); Hinton (2002), "Training products of experts by minimizing contrastive
    divergence".

    Args:
        weight: `W`, `(visible, hidden)`.
        visible_bias: `b`, `(visible,)`, or of another shape with as many entries, which then is
            the shape of an example, such as `(height, width, 1)`; `W` is of the flattened example.
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
        ok, fix = self.weight.ndim == 2 and self.weight.size > 0, "give an array (visible, hidden)"
        _checks.require(ok, "weight.shape", self.weight.shape, fix)
        visible, shape = self.weight.shape[0], self.visible_bias.shape
        fix = f"give ({visible},), or {visible} entries in all"
        ok = len(shape) > 0 and self.visible_bias.size == visible
        _checks.require(ok, "visible_bias.shape", shape, fix)
        self.shape = shape
        check_biases(self)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        return _free_energy(
            *together(x.reshape(-1), self.weight, self.visible_logits, self.hidden_bias)
        )

    @property
    def visible_logits(self) -> jax.Array:
        """The visible biases as a vector, `(visible,)`."""
        return self.visible_bias.reshape(-1)

    def gibbs_sweep(self, x: X, *, weight: Number | None = None, key: Key) -> X:
        """All hidden units given `x`, then `x` given these."""
        refuse_weight(weight)
        hidden_key, visible_key = jax.random.split(key)
        visible = x.reshape(-1).astype(self.weight.dtype)
        hidden = draw_bits(self.hidden_bias + visible @ self.weight, hidden_key)
        new = draw_bits(self.visible_logits + self.weight @ hidden, visible_key)
        return new.reshape(self.shape).astype(x.dtype)

    @property
    def log_z(self) -> Scalar:
        """`log Σ_x exp(-E(x))` over all binary `x`, in nats.

        Raises:
            ValueError: if there are more than 22 units on the smaller side.
        """
        return jax.nn.logsumexp(self._log_weights())

    @property
    def mean(self) -> X:
        """The probability of each visible unit to be one; as for `log_z`."""
        log_p = jax.nn.log_softmax(self._log_weights())

        def add(total, chunk):
            states, log_p = chunk
            units = bits(states, self._num_units, self.weight.dtype)
            return total + jnp.exp(log_p) @ self._expected(units), None

        states = self._chunks()
        chunks = states, log_p.reshape(states.shape)
        return jax.lax.scan(add, jnp.zeros_like(self.visible_logits), chunks)[0].reshape(self.shape)

    @property
    def variance(self) -> X:
        """The variance of each visible unit; as for `log_z`."""
        mean = self.mean  # once, since it is a sum over all states
        return mean * (1 - mean)

    def sample(self, *, key: Key) -> X:
        """Draw one exact, independent example of zeros and ones; as for `log_z`."""
        state_key, unit_key = jax.random.split(key)
        index = jax.random.categorical(state_key, self._log_weights())
        expected = self._expected(bits(index[None], self._num_units, self.weight.dtype))[0]
        uniform = jax.random.uniform(unit_key, self.shape, self.weight.dtype)
        return (uniform < expected.reshape(self.shape)).astype(self.weight.dtype)

    @property
    def _over_hidden(self) -> bool:
        """Whether the hidden units are the fewer, over whose states the sums are."""
        return self.weight.shape[1] <= self.weight.shape[0]

    @property
    def _num_units(self) -> int:
        num = min(self.weight.shape)
        fix = f"the smaller side may have {LARGEST} units; use annealed importance sampling"
        _checks.require(num <= LARGEST, "weight.shape", self.weight.shape, fix)
        return num

    def _chunks(self) -> jax.Array:
        """All states of the fewer units, as numbers, in chunks."""
        num = self._num_units
        return jnp.arange(2**num).reshape(-1, 2 ** min(CHUNK, num))

    def _log_weights(self) -> jax.Array:
        """The log probability of each state, up to one constant."""
        num = self._num_units
        # the sum over the units of the other side is known, whichever side that is
        parts = self.weight, self.visible_logits, self.hidden_bias
        if self._over_hidden:
            parts = self.weight.T, self.hidden_bias, self.visible_logits

        # one batch of states after another: all of them at once would not fit in memory
        def chunk(states):
            units = bits(states, num, self.weight.dtype)
            return -jax.vmap(lambda x: _free_energy(x, *parts))(units)

        return jax.lax.map(chunk, self._chunks()).reshape(-1)

    def _expected(self, states: jax.Array) -> jax.Array:
        """The expected visible units in each state of the fewer units, `(states, visible)`."""
        if not self._over_hidden:
            return states
        return jax.nn.sigmoid(states @ self.weight.T + self.visible_logits[None])


def _free_energy(x: jax.Array, weight: jax.Array, own: jax.Array, other: jax.Array) -> Scalar:
    """The energy of one side, with the units of the other side summed out."""
    return -own @ x - jnp.sum(jax.nn.softplus(other + x @ weight))


def check_biases(machine: Any) -> None:
    """Check the biases of a machine, whose weights have the shape `(*visible, hidden)`."""
    hidden = machine.weight.shape[-1:]
    for name, shape in (("visible_bias", machine.shape), ("hidden_bias", hidden)):
        bias = getattr(machine, name)
        _checks.require(bias.shape == shape, f"{name}.shape", bias.shape, f"give {shape}")
        _checks.finite_value(name, bias)
    _checks.finite_value("weight", machine.weight)


def refuse_weight(weight: Number | None) -> None:
    """Refuse a multiple of a free energy, of which no hidden units are known."""
    fix = "a multiple of the free energy has no blocks: give Gibbs, DMALA or GibbsWithGradients "
    fix += "to sample a machine at another temperature"
    shown = weight if _checks.is_concrete(weight) else "a traced number"
    _checks.require(weight is None, "weight", shown, fix)


def draw_bits(logits: jax.Array, key: Key) -> jax.Array:
    """Zeros and ones, with the probabilities of these logits."""
    uniform = jax.random.uniform(key, logits.shape, logits.dtype)
    return (uniform < jax.nn.sigmoid(logits)).astype(logits.dtype)


def bits(states: jax.Array, num: int, dtype: jnp.dtype) -> jax.Array:
    """Numbers as binary digits, `(states, num)`."""
    return ((states[:, None] >> jnp.arange(num)[None]) & 1).astype(dtype)
