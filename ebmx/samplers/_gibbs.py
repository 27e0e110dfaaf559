"""Gibbs sampling."""

import jax
import jax.numpy as jnp

from .. import _checks
from .._types import EnergyFn, Key, X
from ..energies import BernoulliRBM
from ._base import AbstractSampler, StepInfo


class BlockGibbs(AbstractSampler[None]):
    """Block Gibbs sampling of a `BernoulliRBM`: all hidden units, then all visible ones.

    There is nothing to tune and nothing is rejected. It is reversible for the density of the
    visible units.

    Smolensky (1986); Hinton (2002), "Training products of experts by minimizing contrastive
    divergence".
    """

    @property
    def is_invariant(self) -> bool:
        """Yes: both draws are of exact conditionals."""
        return True

    @property
    def reports_acceptance(self) -> bool:
        """No: nothing is rejected."""
        return False

    @property
    def reports_new_energy(self) -> bool:
        """Yes."""
        return True

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> None:
        """No state.

        **Raises:**

        `ValueError` if the energy is no `BernoulliRBM`.
        """
        del x, key
        fix = "BlockGibbs knows a BernoulliRBM only; take MALA or HMC for other energies"
        _checks.require(isinstance(energy, BernoulliRBM), "energy", type(energy).__name__, fix)

    def step(self, energy: EnergyFn, x: X, state: None, *, key: Key) -> tuple[X, None, StepInfo]:
        """One draw of the hidden units given `x`, and of `x` given these."""
        assert isinstance(energy, BernoulliRBM)
        hidden_key, visible_key = jax.random.split(key)
        hidden = _flip(energy.hidden_bias + x @ energy.weight, hidden_key)
        x = _flip(energy.visible_bias + energy.weight @ hidden, visible_key).astype(x.dtype)
        value = energy(x)
        info = StepInfo(value, None, jnp.ones((), value.dtype), ~jnp.isfinite(value))
        return x, state, info


def _flip(logits: jax.Array, key: Key) -> jax.Array:
    """Ones with the probabilities of these logits."""
    uniform = jax.random.uniform(key, logits.shape, logits.dtype)
    return (uniform < jax.nn.sigmoid(logits)).astype(logits.dtype)
