"""Block Gibbs sampling of the energies whose blocks are known."""

from typing import Any

import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, X
from ...energies import AbstractBlockEnergy, Fixed, Normalised, Weighted
from ...energies._batch import as_scalar
from ...energies._tempered import Tempered
from ...energies.constraints._clamped import as_rbm
from .._base import StepInfo, always
from ._space import AbstractDiscrete


class BlockGibbs(AbstractDiscrete[None]):
    """Block Gibbs sampling: all sites of a block at once, then all of the next.

    For a `BernoulliRBM` and a `CategoricalRBM` all hidden units, then all visible ones; for `Ising`
    and `Potts` the even sites of the checkerboard, then the odd ones, which on a periodic lattice
    needs even sides. Any other `AbstractBlockEnergy` says what a sweep is. There is nothing to
    tune, and no step is rejected.

    A multiple of an `Ising` or a `Potts` energy, as `ReplicaExchange` has at each temperature, is
    sampled as well; one of a machine is not, since it is no machine. If some units of a
    `BernoulliRBM` are `Clamped`, the others are sampled. For machines the chain is reversible.

    Smolensky (1986); Hinton (2002), "Training products of experts by minimizing contrastive
    divergence".
    """

    is_invariant = always(True)  # all draws are of exact conditionals
    reports_acceptance = always(False)
    reports_new_energy = always(True)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> None:
        """No state."""
        del x, key
        _block_energy(energy)

    def step(self, energy: EnergyFn, x: X, state: None, *, key: Key) -> tuple[X, None, StepInfo]:
        """One sweep."""
        block, weight = _block_energy(energy)
        x = block.gibbs_sweep(x, weight=weight, key=key)
        value = as_scalar(energy(x))
        info = StepInfo(value, None, jnp.ones((), value.dtype), ~jnp.isfinite(value))
        return x, state, info


def _block_energy(energy: Any) -> tuple[AbstractBlockEnergy, Any]:
    """The energy that has blocks, and its weight if it is not 1."""
    if isinstance(energy, AbstractBlockEnergy):
        return energy, None
    if isinstance(energy, Normalised | Fixed):
        return _block_energy(energy.energy)  # a constant, or numbers that do not train
    if isinstance(energy, Weighted | Tempered):
        block, inner = _block_energy(energy.energy)
        weight = energy.weight if isinstance(energy, Weighted) else 1 / energy.temperature
        return block, weight if inner is None else weight * inner
    machine = as_rbm(energy)
    fix = "BlockGibbs samples a BernoulliRBM, CategoricalRBM, Ising or Potts; give Gibbs or DMALA "
    fix += "for other discrete energies, MALA or HMC for continuous ones"
    if machine is None:
        _checks.invalid("energy", type(energy).__name__, fix)
    return machine, None
