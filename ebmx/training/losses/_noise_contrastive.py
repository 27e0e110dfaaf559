"""Losses on energies alone: likelihoods and their relatives, without chains."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from ... import _checks
from ..._arguments import guarded
from ..._types import EnergyFn, Number, Scalar, XBatch
from .._batch import Batch, Examples, as_examples, energies, mean, where_chain
from ..negatives._noise import AbstractNoise


@guarded
def noise_contrastive_loss(
    energy: EnergyFn, positives: Batch, negatives: Batch, *, noise: AbstractNoise
) -> tuple[Scalar, dict[str, Scalar]]:
    """The logistic loss of telling data from noise by `−E(x) − log q(x)`.

    The energy learns its own normaliser: at the optimum `exp(-E)` is the density of the data. Wrap
    it in `ebmx.energies.Normalised` where it has no free constant. Use with
    `NoiseSamples(noise, ratio)`.

    Gutmann and Hyvärinen (2010), "Noise-contrastive estimation".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: those of `NoiseSamples`, `(ratio · batch, *shape)`.
        noise: the distribution of the negatives, with a `log_density`.

    Returns:
        The loss in nats for each datum, and the accuracy.

    Raises:
        ValueError: if the noise has no log density, or its samples are no multiple of the data.
    """
    real, fake = as_examples(positives, "positives"), as_examples(negatives, "negatives")
    ratio = _ratio(len(real.x), len(fake.x), "NoiseSamples(noise, ratio)")
    log_ratio = jnp.log(float(ratio))
    # log of p(x) / (ratio · q(x)); noise has no gradient
    log_q = jax.lax.stop_gradient(jax.vmap(noise.log_density)(real.x))
    real_logit = -energies(energy, real) - log_q - log_ratio
    log_q = jax.lax.stop_gradient(jax.vmap(noise.log_density)(fake.x))
    fake_logit = -energies(energy, fake) - log_q - log_ratio
    missed, taken = jax.nn.softplus(-real_logit), jax.nn.softplus(fake_logit)
    loss = mean(missed, real) + ratio * mean(taken, fake)
    right = 0.5 * (mean(real_logit > 0, real) + mean(fake_logit < 0, fake))
    return loss, {"accuracy": right.astype(loss.dtype)}


@guarded
def energy_discrepancy(
    energy: EnergyFn, positives: Batch, negatives: Batch, *, stabilise: Number = 1.0
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean log(w/M + 1/M Σⱼ exp(E(x) − E(x⁻ⱼ)))` over data and the `M` negatives of each.

    Between score matching (`t → 0`) and maximum likelihood (`t → ∞`). Use with
    `PerturbedTwice(t, M)`.

    Schröder et al. (2023), "Energy discrepancies: a score-independent loss for energy-based
    models".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: those of `PerturbedTwice`, `(M · batch, *shape)`.
        stabilise: `w ≥ 0`, which keeps one lucky negative from dominating.

    Returns:
        The loss, in nats, and no metrics.

    Raises:
        ValueError: if the negatives are no multiple of the data.
    """
    real, fake = as_examples(positives, "positives"), as_examples(negatives, "negatives")
    num = _ratio(len(real.x), len(fake.x), "PerturbedTwice(time, num)")
    _checks.non_negative("stabilise", stabilise)
    gap = energies(energy, real)[None] - energies(energy, fake).reshape(num, -1)
    floor = jnp.full((1, gap.shape[1]), jnp.log(jnp.asarray(stabilise, gap.dtype)))
    values = jax.nn.logsumexp(jnp.concatenate([gap, floor]), axis=0)
    return mean(values, real) - jnp.log(float(num)), {}


@guarded
def minimum_probability_flow(
    energy: EnergyFn, positives: Batch, negatives: Batch
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean exp(½ (E(x) − E(x⁻)))`: how fast probability flows from the data to its neighbours.

    Use with `Neighbours(sigma, num)`.

    Sohl-Dickstein, Battaglino and DeWeese (2011), "Minimum probability flow learning".

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: the neighbours of `Neighbours`.

    Returns:
        The loss, without a unit, and no metrics.

    Raises:
        ValueError: if the negatives are no multiple of the data.
    """
    real, fake = as_examples(positives, "positives"), as_examples(negatives, "negatives")
    num = _ratio(len(real.x), len(fake.x), "Neighbours(sigma, num)")
    gap = energies(energy, real)[None] - energies(energy, fake).reshape(num, -1)
    return mean(jnp.mean(jnp.exp(0.5 * gap), axis=0), real), {}


@guarded
def negative_log_likelihood(
    energy: EnergyFn, positives: Batch, negatives: Batch
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean E(x) + log Z` with `log Z` by quadrature: maximum likelihood in one or two dimensions.

    Use with `Grid(low, high, num)`. It is the likelihood on the box of the grid. Data outside it
    are an error; within a compiled function they are left out and their share is counted.

    Args:
        energy: a fixed energy.
        positives: data `(batch, *shape)`.
        negatives: the points of a `Grid`.

    Returns:
        The loss in nats for each datum on the box, `log_z`, and the share of the data `outside`.

    Raises:
        ValueError: if the negatives have no weights, or data are outside their box.
    """
    real, grid = as_examples(positives, "positives"), as_examples(negatives, "negatives")
    fix = "the points of a grid need the volume of their cells: use Grid(low, high)"
    if grid.log_weights is None:
        _checks.invalid("negatives", "x", fix)
    log_z = jax.nn.logsumexp(grid.log_weights - energies(energy, grid))
    inside = _is_inside(real.x, grid)
    # an energy may be anything outside, and so may its gradient
    x = where_chain(inside, real.x, grid.x[:1])
    values = jnp.where(inside, energies(energy, Examples(x, real.y)), 0)
    share = mean(inside.astype(values.dtype), real)
    loss = mean(values, real) / jnp.where(share > 0, share, 1) + jnp.where(share > 0, log_z, 0)
    return loss, {"log_z": log_z, "outside": 1 - share}


def _is_inside(x: XBatch, grid: Examples) -> Bool[Array, "batch"]:
    """Which data are in the box of the grid, if it has one; an error where that is known."""
    fix = f"give a grid of the dimension of the data, {x.shape[1:]}"
    _checks.require(x.shape[1:] == grid.x.shape[1:], "negatives.shape", grid.x.shape, fix)
    if grid.box is None:
        return jnp.ones(len(x), bool)
    low, high = grid.box
    inside = jnp.all((x >= low[None]) & (x <= high[None]), 1)
    if _checks.is_concrete(inside):
        num = int(np.sum(~np.asarray(inside)))
        fix = f"give a Grid that holds the data; it covers {low.tolist()} to {high.tolist()}"
        _checks.require(num == 0, "positives", f"{num} of {len(x)} outside the grid", fix)
    return inside


def _ratio(num: int, num_negatives: int, source: str) -> int:
    fix = f"give a multiple of the {num} positives: use {source}"
    _checks.require(num_negatives % num == 0, "negatives.shape", (num_negatives,), fix)
    return num_negatives // num
