"""A labelled energy without its label."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Scalar, X
from ._base import AbstractEnergy
from ._conditional import AbstractConditionalEnergy


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
