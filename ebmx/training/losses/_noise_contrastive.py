"""Losses on energies alone, without chains: noise contrast, discrepancy, flow, likelihood."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from ... import _checks
from ..._types import EnergyFn, Number, Scalar, Vector, XBatch
from .._batch import Examples, energies, mean, ratio_of, where_chain
from ..negatives._noise import AbstractNoise


def noise_contrastive_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples, *, noise: AbstractNoise
) -> tuple[Scalar, dict[str, Scalar]]:
    """The logistic loss of telling data from noise by `−E(x) − log q(x)`.

    The energy learns its own normaliser: at the optimum `exp(-E)` is the density of the data. Wrap
    it in `ebmx.energies.Normalised` where it has no free constant. Use with
    `NoiseSamples(noise, ratio)`. Other arguments are as for `contrastive_loss`.

    Gutmann and Hyvärinen (2010), "Noise-contrastive estimation".

    Args:
        negatives: those of `NoiseSamples`, `(ratio · batch, *shape)`.
        noise: the distribution of the negatives, with a `log_density`.

    Returns:
        The loss in nats for each example, and the accuracy.

    Raises:
        ValueError: if the noise has no log density, or its samples are no multiple of the data.
    """
    ratio = ratio_of(positives, negatives, "NoiseSamples(noise, ratio)")

    def logit(energies: Vector, examples: Examples) -> Vector:
        """The log of `p(x) / (ratio · q(x))`; the noise has no gradient."""
        log_q = jax.lax.stop_gradient(jax.vmap(noise.log_density)(examples.x))
        return -energies - log_q - jnp.log(float(ratio))

    real_energy, fake_energy = energies(energy, positives, negatives)
    real, fake = logit(real_energy, positives), logit(fake_energy, negatives)
    loss = mean(jax.nn.softplus(-real), positives)
    loss = loss + ratio * mean(jax.nn.softplus(fake), negatives)
    right = 0.5 * (mean(real > 0, positives) + mean(fake < 0, negatives))
    return loss, {"accuracy": right.astype(loss.dtype)}


def energy_discrepancy_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples, *, stabilise: Number = 1.0
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean log(w/M + 1/M Σⱼ exp(E(x) − E(x⁻ⱼ)))` over data and the `M` negatives of each.

    Between score matching (`t → 0`) and maximum likelihood (`t → ∞`). Use with
    `PerturbedTwice(t, M)`, or for discrete data `FlippedTwice(p, M)`.
    Other arguments are as for `contrastive_loss`.

    Schröder et al. (2023), "Energy discrepancies: a score-independent loss for energy-based
    models".

    Args:
        negatives: those of `PerturbedTwice`, `(M · batch, *shape)`.
        stabilise: `w ≥ 0`, which bounds the effect of a single negative.

    Returns:
        The loss, in nats, and no metrics.

    Raises:
        ValueError: if the negatives are no multiple of the data.
    """
    num = ratio_of(positives, negatives, "PerturbedTwice(time, num_negatives)")
    _checks.non_negative("stabilise", stabilise)
    real, fake = energies(energy, positives, negatives)
    gap = real[None] - fake.reshape(num, -1)
    # w is one more term of the sum, exp(log w), so that a large gap does not overflow
    floor = jnp.full((1, gap.shape[1]), jnp.log(jnp.asarray(stabilise, gap.dtype)))
    values = jax.nn.logsumexp(jnp.concatenate([gap, floor]), axis=0)
    return mean(values, positives) - jnp.log(float(num)), {}


def minimum_probability_flow_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean exp(½ (E(x) − E(x⁻)))`: how fast probability flows from the data to its neighbours.

    Use with `Neighbours(sigma, num_neighbours)`, whose neighbours are the negatives, or for
    discrete data, as in the paper, `DiscreteNeighbours()`. Arguments and
    errors are as for `energy_discrepancy_loss`.

    Sohl-Dickstein, Battaglino and DeWeese (2011), "Minimum probability flow learning".

    Returns:
        The loss, without a unit, and no metrics.
    """
    num = ratio_of(positives, negatives, "Neighbours(sigma, num_neighbours)")
    real, fake = energies(energy, positives, negatives)
    gap = real[None] - fake.reshape(num, -1)
    return mean(jnp.mean(jnp.exp(0.5 * gap), axis=0), positives), {}


def negative_log_likelihood_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean E(x) + log Z` with `log Z` by quadrature: maximum likelihood in one or two dimensions.

    Use with `QuadraturePoints(low, high, num_points)`. It is the likelihood on the box of the
    points. Data outside it are an error; in a compiled function they are left out and their
    fraction is reported. Other arguments are as for `contrastive_loss`.

    Args:
        negatives: those of `QuadraturePoints`.

    Returns:
        The loss in nats for each example in the box, `log_z`, and the fraction of the data
        `outside`.

    Raises:
        ValueError: if the negatives have no weights, or data are outside their box.
    """
    fix = "the points need the volume of their cells: use QuadraturePoints(low, high)"
    if negatives.log_weights is None:
        _checks.invalid("negatives", "x", fix)
    (values,) = energies(energy, negatives)
    log_z = jax.nn.logsumexp(negatives.log_weights - values)
    inside = _is_inside(positives.x, negatives)
    # outside, energies and their gradients may be non-finite
    x = where_chain(inside, positives.x, negatives.x[:1])
    (values,) = energies(energy, Examples(x, positives.y))
    values = jnp.where(inside, values, 0)
    fraction = mean(inside.astype(values.dtype), positives)
    some = fraction > 0
    loss = mean(values, positives) / jnp.where(some, fraction, 1) + jnp.where(some, log_z, 0)
    return loss, {"log_z": log_z, "outside": 1 - fraction}


def _is_inside(x: XBatch, points: Examples) -> Bool[Array, "batch"]:
    """Which data are in the box of the points, if it has one; an error where that is known."""
    fix = f"give points of the dimension of the data, {x.shape[1:]}"
    _checks.require(x.shape[1:] == points.x.shape[1:], "negatives.shape", points.x.shape, fix)
    if points.box is None:
        return jnp.ones(len(x), bool)
    low, high = points.box
    inside = jnp.all((x >= low[None]) & (x <= high[None]), 1)
    if _checks.is_concrete(inside):
        num = int(np.sum(~np.asarray(inside)))
        fix = f"give a box that holds the data; it is {low.tolist()} to {high.tolist()}"
        _checks.require(num == 0, "positives", f"{num} of {len(x)} outside the box", fix)
    return inside
