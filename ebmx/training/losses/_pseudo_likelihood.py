"""Losses on the conditional distributions of single sites, for discrete data."""

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Scalar
from .._batch import Examples, energies, mean, ratio_of
from ..negatives._discrete import sites_of


def pseudo_likelihood_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples, *, categorical: bool = False
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean Σᵢ −log p(xᵢ | x₋ᵢ)`: each site of the data given all others, without a normaliser.

    Minimal at the distribution of the data. Use with `DiscreteNeighbours()`, which makes it exact,
    or with `DiscreteNeighbours(num_sites)`, whose random sites give an unbiased estimate.

    Besag (1975), "Statistical analysis of non-lattice data".

    Args:
        energy: a fixed energy; conditional if the batches have labels or conditions.
        positives: zeros and ones `(batch, *shape)`, or one-hot `(batch, *sites, num_categories)`.
        negatives: those of `DiscreteNeighbours`.
        categorical: whether examples are one-hot along the last axis, as the negatives have it.

    Returns:
        The loss in nats for each example, and no metrics.

    Raises:
        ValueError: if the negatives are not the neighbours at whole sites of each positive.
    """
    log_p, weight = _log_conditionals(energy, positives, negatives, categorical)
    return mean(-weight * jnp.sum(log_p[:, 0], axis=0), positives), {}


def ratio_matching_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples, *, categorical: bool = False
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean Σᵢ (1 − p(xᵢ | x₋ᵢ))²`: ratios of probabilities of neighbours, matched to the data's.

    Minimal at the distribution of the data, and bounded: a site that is improbable counts for less
    than in the pseudo-likelihood. Of categories the term of a site is `½ Σ_k (1[xᵢ = k] −
    p(k | x₋ᵢ))²`, half of its Brier score, which is the same for two of them. Arguments and errors
    are as for `pseudo_likelihood_loss`, with the same negatives.

    Hyvärinen (2007), "Some extensions of score matching".

    Returns:
        The loss, between 0 and the number of sites, and no metrics.
    """
    log_p, weight = _log_conditionals(energy, positives, negatives, categorical)
    p = jnp.exp(log_p)
    scores = 0.5 * ((1 - p[:, 0]) ** 2 + jnp.sum(p[:, 1:] ** 2, axis=1))
    return mean(weight * jnp.sum(scores, axis=0), positives), {}


def _log_conditionals(
    energy: EnergyFn, positives: Examples, negatives: Examples, categorical: bool
) -> tuple[jax.Array, float]:
    """Log conditional probabilities, and what to multiply a sum over these sites with.

    They are `(sites, values, batch)`; the first value is that of the data.
    """
    source = "DiscreteNeighbours(num_sites, categorical)"
    total, num_values = sites_of(positives.x.shape[1:], categorical)
    num, others = ratio_of(positives, negatives, source), num_values - 1
    fix = f"give {others} for each site of the {len(positives.x)} positives: use {source}"
    ok = num > 0 and num % others == 0
    _checks.require(ok, "negatives.shape", negatives.x.shape, fix)
    real, fake = energies(energy, positives, negatives)
    gaps = real[None, None] - fake.reshape(num // others, others, -1)
    own = jnp.zeros_like(gaps[:, :1])
    log_p = jax.nn.log_softmax(jnp.concatenate([own, gaps], axis=1), axis=1)
    return log_p, total / (num // others)
