"""A labelled energy without its label."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._types import Scalar, X
from ._base import AbstractEnergy
from ._conditional import AbstractConditionalEnergy


@guarded
class Marginal(AbstractEnergy):
    """`E(x) = -log Σ_y exp(-E(x, y))` over all labels: what a labelled energy says of `x` alone.

    Labels then have the shares `Z(y) / Σ Z`, which training under labels does not set: it is the
    density of the data as far as the labels' normalisers happen to agree with their shares.

    Args:
        energy: a conditional energy with labels.

    Raises:
        ValueError: if it is none, or its conditions are real numbers.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int = eqx.field(static=True)
    energy: AbstractConditionalEnergy

    def __init__(self, energy: AbstractConditionalEnergy):
        num_labels = getattr(energy, "num_labels", None)
        fix = "give a conditional energy with labels"
        ok = isinstance(energy, AbstractConditionalEnergy) and num_labels is not None
        _checks.require(ok, "energy", type(energy).__name__, fix)
        self.shape, self.num_labels, self.energy = energy.shape, int(num_labels or 0), energy

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        labels = jnp.arange(self.num_labels)
        return -jax.nn.logsumexp(-jax.vmap(self.energy, (None, 0))(x, labels))
