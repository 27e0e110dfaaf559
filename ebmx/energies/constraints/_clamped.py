"""A part of an example that is fixed."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Scalar, X
from .._base import common_shape
from .._conditional import AbstractConditionalEnergy, Conditioned
from .._discrete import check_kind
from ..exact._rbm import BernoulliRBM
from ._transformed import leading


class Clamped(AbstractConditionalEnergy):
    """`E(z, y) = E₁(x)`, where `x` is `y` where the mask holds and `z` elsewhere: inpainting.

    `at(y)` is the energy of the free part `z`, a vector, given the fixed part of the example `y`.
    Its density is `p(z | fixed part)`, so that every sampler, warm-up and estimate of log Z is as
    exact for it as for any energy. `at_each(y)` gives each chain its own example. `free` takes the
    free part out of an example, where chains start; `fill` puts samples back.

    Entries of `y` where the mask does not hold are not looked at and may be NaN: `~isnan(y)` is a
    mask for the imputation of missing values.

    Args:
        energy: an energy of whole examples; for a conditional one give `energy.at(label)`.
        mask: booleans, true where the example is fixed; of the shape of one example, where an axis
            may have size 1: `(height, width, 1)` fixes whole pixels.
        categorical: whether examples are one-hot along the last axis. The mask then fixes whole
            sites, and the free part is `(num_free_sites, num_categories)`, as samplers of
            categories take it.

    Raises:
        ValueError: if the energy has no `shape`, the mask does not fit it or is traced, nothing is
            free, or `categorical` is not what the energy takes.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    condition_shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int | None = eqx.field(static=True)
    energy: Any
    free_index: jax.Array  # of the flattened example; another mask of as many does not recompile
    categorical: bool = eqx.field(static=True)

    def __init__(self, energy: Any, mask: ArrayLike, *, categorical: bool = False):
        shape = common_shape([energy])
        fix = "give a NumPy array of booleans: the number of free coordinates has to be known"
        _checks.require(_checks.is_concrete(mask), "mask", "a traced array", fix)
        fixed = np.asarray(mask)
        _checks.require(fixed.dtype == bool, "mask.dtype", str(fixed.dtype), "give booleans")
        pairs = zip(fixed.shape, shape, strict=False)
        ok = fixed.ndim == len(shape) and all(size in (1, wanted) for size, wanted in pairs)
        fix = f"give the shape of one example, {shape}; axes may have size 1"
        _checks.require(ok, "mask.shape", fixed.shape, fix)
        whole = np.broadcast_to(fixed, shape)
        free = np.flatnonzero(~whole)
        fix = "it is true everywhere, so that nothing is left to sample"
        _checks.require(free.size > 0, "mask", "True", fix)
        last = whole.shape[-1] if whole.ndim > 0 else 0
        if categorical:
            ok = last > 0 and bool(np.all(whole == whole[..., :1]))
            fix = "one-hot examples are fixed by whole sites: give a last axis of size 1"
            _checks.require(ok, "mask.shape", fixed.shape, fix)
        check_kind(energy, categorical, "categorical")
        self.shape = (free.size // last, last) if categorical else free.shape
        self.categorical = categorical
        self.condition_shape = shape
        self.num_labels = None
        self.energy = energy
        self.free_index = jnp.asarray(free)

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        _checks.example(x, self.shape)
        return self.energy(self.fill(x, y))

    def free(self, x: ArrayLike) -> jax.Array:
        """The free part of whole examples.

        Args:
            x: `(..., *shape)`, of the shape of one example of the energy.

        Returns:
            The free coordinates, `(..., num_free)`; of categories `(..., num_free_sites,
            num_categories)`.
        """
        x = jnp.asarray(x)
        lead = leading("x", x, self.condition_shape, "whole examples, ")
        flat = x.reshape(*lead, math.prod(self.condition_shape))
        return flat[..., self.free_index].reshape(*lead, *self.shape)

    def fill(self, x: ArrayLike, y: ArrayLike) -> jax.Array:
        """Whole examples of their free and their fixed parts.

        Args:
            x: free coordinates as `free` returns them, such as the values of samples, `(chains,
                draws, num_free)`.
            y: what `at` or `at_each` was given: `(*shape)`, or `(chains, *shape)`.

        Returns:
            The examples, `(..., *shape)`.
        """
        x = jnp.asarray(x)
        y = jnp.asarray(y, x.dtype)
        lead = leading("x", x, self.shape, "free coordinates, ")
        own = leading("y", y, self.condition_shape, "whole examples, ")
        fix = f"x has the leading axes {lead}: give one example, or one for each of the first"
        _checks.require(own == lead[: len(own)], "y.shape", y.shape, fix)
        # axes of one between those of `y` and of the example, for the draws of each chain
        rows = y.reshape(*own, *(1,) * (len(lead) - len(own)), math.prod(self.condition_shape))
        free = x.reshape(*lead, math.prod(self.shape))
        whole = jnp.broadcast_to(rows, (*lead, rows.shape[-1])).at[..., self.free_index].set(free)
        return whole.reshape(*lead, *self.condition_shape)


def as_rbm(energy: Any) -> BernoulliRBM | None:
    """The machine of an energy, or of its free units if some are clamped; else `None`."""
    if isinstance(energy, BernoulliRBM):
        return energy
    clamped = energy.energy if isinstance(energy, Conditioned) else None
    if not (isinstance(clamped, Clamped) and isinstance(clamped.energy, BernoulliRBM)):
        return None
    rbm, free = clamped.energy, clamped.free_index
    # fixed visible units `v` move the hidden biases to `c + v·W`; the constant `-b·v` is left out
    fixed = jnp.asarray(energy.y, rbm.weight.dtype).reshape(-1).at[free].set(0.0)
    hidden_bias = rbm.hidden_bias + fixed @ rbm.weight
    return BernoulliRBM(rbm.weight[free], rbm.visible_logits[free], hidden_bias)
