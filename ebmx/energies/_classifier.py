"""Classifiers as energies, and labelled energies without their label."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Scalar, X
from ._base import AbstractEnergy, check_features
from ._conditional import AbstractConditionalEnergy, Conditioned


class ClassEnergy(AbstractConditionalEnergy):
    """`E(x, y) = -logits(x)[y]`: the energy of an example of class `y`."""

    shape: tuple[int, ...] = eqx.field(static=True)
    condition_shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int | None = eqx.field(static=True)
    network: Callable[[X], jax.Array]

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        _checks.example(x, self.shape)
        logits = self.network(x)
        # out of range is NaN, which a training step notices; JAX would clip or wrap
        return jnp.where((y >= 0) & (y < logits.shape[0]), -logits[y], jnp.nan)


class JEM(AbstractEnergy):
    """A classifier as an energy, `E(x) = -log Σ_y exp(logits(x)[y])`.

    `softmax(logits(x))` is then `p(y | x)` of the joint density `p(x, y) ∝ exp(logits(x)[y])`, and
    this is the energy of its marginal.

    Grathwohl et al. (2020), "Your classifier is secretly an energy based model and you should treat
    it like one".

    Args:
        network: from one example to logits `(num_labels,)`: any classifier, such as
            `ConvNet(shape, out_size=10, key=key)`.
        shape: the shape of one example, if the network has no `shape`.

    Raises:
        ValueError: if no shape is known, or the network does not return a vector.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int = eqx.field(static=True)
    network: Callable[[X], jax.Array]

    def __init__(self, network: Any, shape: tuple[int, ...] | None = None):
        check_features(network)
        shape = getattr(network, "shape", None) if shape is None else shape
        if shape is None:
            _checks.invalid("shape", None, "give the shape of one example, such as (28, 28, 1)")
        self.shape = _checks.dimensions("shape", shape)
        self.network = network
        # traced for its shape alone: nothing is computed
        logits = eqx.filter_eval_shape(network, jnp.zeros(self.shape))
        got = getattr(logits, "shape", type(logits).__name__)
        fix = "the network returns logits (num_labels,) for one example"
        _checks.require(isinstance(got, tuple) and len(got) == 1, "network(x).shape", got, fix)
        self.num_labels = logits.shape[0]

    def logits(self, x: X) -> jax.Array:
        """The logits of one example, `(num_labels,)`."""
        _checks.example(x, self.shape)
        return self.network(x)

    def __call__(self, x: X) -> Scalar:
        return -jax.nn.logsumexp(self.logits(x))

    @property
    def conditional(self) -> ClassEnergy:
        """`E(x, y) = -logits(x)[y]`."""
        return ClassEnergy(self.shape, (), self.num_labels, self.network)

    def at(self, y: Any) -> Conditioned:
        """The energy of class `y`, `-logits(x)[y]`.

        Raises:
            ValueError: if the label is not a whole number, or out of range.
        """
        return self.conditional.at(y)


class Marginal(AbstractEnergy):
    """`E(x) = -log Σ_y exp(-E(x, y))` over all labels: the energy of `x` without its label.

    Labels then have the probabilities `Z(y) / Σ Z`. Training on `p(x | y)` does not determine them,
    so that this is the density of the data only if the normalisers happen to be in proportion to
    the frequencies of the labels.

    Args:
        energy: a conditional energy with labels.

    Raises:
        ValueError: if it is not a conditional energy, or its conditions are real numbers.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int = eqx.field(static=True)
    energy: AbstractConditionalEnergy

    def __init__(self, energy: AbstractConditionalEnergy):
        num_labels = getattr(energy, "num_labels", None)
        if num_labels is None or not isinstance(energy, AbstractConditionalEnergy):
            fix = "give a conditional energy with labels"
            _checks.invalid("energy", type(energy).__name__, fix)
        self.shape, self.num_labels, self.energy = energy.shape, num_labels, energy

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        labels = jnp.arange(self.num_labels)
        return -jax.nn.logsumexp(-jax.vmap(self.energy, (None, 0))(x, labels))
