"""Losses on energies alone: likelihoods and their relatives, without chains."""

import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._types import EnergyFn, Number, Scalar
from ._examples import Batch, as_examples, energies, mean
from ._noise import AbstractNoise


@guarded
def noise_contrastive_loss(
    energy: EnergyFn, positives: Batch, negatives: Batch, *, noise: AbstractNoise
) -> tuple[Scalar, dict[str, Scalar]]:
    """The logistic loss of telling data from noise by `−E(x) − log q(x)`.

    The energy learns its own normaliser: at the optimum `exp(-E)` is the density of the data. Wrap
    it in `ebmx.energies.Normalised` where it has no free constant. Use with
    `NoiseSamples(noise, ratio)`.

    Gutmann and Hyvärinen (2010), "Noise-contrastive estimation".

    **Arguments:**

    - `energy`: a fixed energy.
    - `positives`: data `(batch, *shape)`.
    - `negatives`: those of `NoiseSamples`, `(ratio · batch, *shape)`.
    - `noise`: the distribution of the negatives, with a `log_density`.

    **Returns:**

    The loss in nats for each datum, and the accuracy.

    **Raises:**

    `ValueError` if the noise has no log density, or its samples are no multiple of the data.
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

    **Arguments:**

    - `energy`: a fixed energy.
    - `positives`: data `(batch, *shape)`.
    - `negatives`: those of `PerturbedTwice`, `(M · batch, *shape)`.
    - `stabilise`: `w ≥ 0`, which keeps one lucky negative from dominating.

    **Returns:**

    The loss, in nats, and no metrics.

    **Raises:**

    `ValueError` if the negatives are no multiple of the data.
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

    **Arguments:**

    - `energy`: a fixed energy.
    - `positives`: data `(batch, *shape)`.
    - `negatives`: the neighbours of `Neighbours`.

    **Returns:**

    The loss, without a unit, and no metrics.

    **Raises:**

    `ValueError` if the negatives are no multiple of the data.
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

    Use with `Grid(low, high, num)`. What lies outside the grid counts as impossible.

    **Arguments:**

    - `energy`: a fixed energy.
    - `positives`: data `(batch, *shape)`.
    - `negatives`: the points of a `Grid`.

    **Returns:**

    The loss in nats for each datum, and `log_z`.

    **Raises:**

    `ValueError` if the negatives have no weights.
    """
    real, grid = as_examples(positives, "positives"), as_examples(negatives, "negatives")
    fix = "the points of a grid need the volume of their cells: use Grid(low, high)"
    if grid.log_weights is None:
        _checks.invalid("negatives", "x", fix)
    log_z = jax.nn.logsumexp(grid.log_weights - energies(energy, grid))
    return mean(energies(energy, real), real) + log_z, {"log_z": log_z}


def _ratio(num: int, num_negatives: int, source: str) -> int:
    fix = f"give a multiple of the {num} positives: use {source}"
    _checks.require(num_negatives % num == 0, "negatives.shape", (num_negatives,), fix)
    return num_negatives // num
