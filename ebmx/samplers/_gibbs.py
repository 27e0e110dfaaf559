"""Block Gibbs sampling of restricted Boltzmann machines."""

import jax
import jax.numpy as jnp

from .. import _checks
from .._types import EnergyFn, Key, X
from ..energies.constraints._clamped import as_rbm
from ._base import AbstractSampler, StepInfo, always


class BlockGibbs(AbstractSampler[None]):
    """Block Gibbs sampling of a `BernoulliRBM`: all hidden units, then all visible ones.

    If some of its units are `Clamped`, the others are sampled. There is nothing to tune, and no
    step is rejected. The chain is reversible for the density of the visible units.

    Smolensky (1986); Hinton (2002), "Training products of experts by minimizing contrastive
    divergence".
    """

    is_invariant = always(True)  # both draws are of exact conditionals
    is_equivariant = always(False)  # a draw does not start from the position
    reports_acceptance = always(False)
    reports_new_energy = always(True)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> None:
        """No state."""
        del x, key
        fix = "BlockGibbs samples a BernoulliRBM only; give MALA or HMC for other energies"
        _checks.require(as_rbm(energy) is not None, "energy", type(energy).__name__, fix)

    def step(self, energy: EnergyFn, x: X, state: None, *, key: Key) -> tuple[X, None, StepInfo]:
        """One draw of the hidden units given `x`, and of `x` given these."""
        rbm = as_rbm(energy)
        assert rbm is not None
        hidden_key, visible_key = jax.random.split(key)
        visible = x.astype(rbm.weight.dtype).reshape(-1)
        hidden = _flip(rbm.hidden_bias + visible @ rbm.weight, hidden_key)
        new = _flip(rbm.visible_logits + rbm.weight @ hidden, visible_key)
        x = new.astype(x.dtype).reshape(x.shape)
        value = energy(x)
        info = StepInfo(value, None, jnp.ones((), value.dtype), ~jnp.isfinite(value))
        return x, state, info


def _flip(logits: jax.Array, key: Key) -> jax.Array:
    """Zeros and ones, with the probabilities of these logits."""
    uniform = jax.random.uniform(key, logits.shape, logits.dtype)
    return (uniform < jax.nn.sigmoid(logits)).astype(logits.dtype)
