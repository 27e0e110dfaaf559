"""Losses of energies over noise levels: level classification and the level derivative."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Number, Scalar, Vector
from ...energies import AbstractNoiseConditionalEnergy
from ...samplers._fields import cast
from .._batch import Examples, mean, same_shape
from ._sources import Sources, all_sources, own_sources, posterior_means, sigma_of, squares_of

Result = tuple[Scalar, dict[str, Scalar]]


def noise_level_loss(
    energy: Any,
    positives: Examples,
    negatives: Examples,
    *,
    score_weight: ArrayLike = 1.0,
    classification_weight: Number = 1.0,
    derivative_weight: Number = 0.25,
    num_neighbours: int = 3,
    stable_targets: bool = False,
) -> Result:
    """Score regression, level classification and level derivative, with one gradient for all.

    With noise `x̃ = x + σ ε` in `d` dimensions, the mean over pairs of data and noisy data of

    - `½ |σ ∂E/∂x(x̃, σ) - ε|² / d`, denoising score matching at each level,
    - the cross entropy of `level_classification_loss` with `num_neighbours`,
    - `½ (∂E/∂log σ(x̃, σ) - (d - |ε|²))² / d`, as in `level_derivative_loss`,

    each with its weight. Scores leave a constant free at each level; the two other terms fix its
    differences, and the highest level is known. Use with `PerturbedLevels()`.

    Song and Ermon (2019), "Generative modeling by estimating gradients of the data distribution";
    Yadin, Elata and Michaeli (2024), "Classification diffusion models", arXiv 2402.10095; Guth,
    Kadkhodaie and Simoncelli (2025), "Learning normalized image densities via dual score
    matching", arXiv 2506.05310.

    Args:
        energy: a noise-conditional energy.
        positives: data, `(batch, *shape)`.
        negatives: those of `PerturbedLevels`.
        score_weight: of the first term, at least 0; one number, or one for each level,
            `(levels,)`. In many dimensions, where the levels are easy to tell apart, a score weight
            of a quarter of the dimensions learns faster.
        classification_weight: of the second.
        derivative_weight: of the third.
        num_neighbours: as for `level_classification_loss`.
        stable_targets: whether the targets are means given `x̃` over all data of the batch, as what
            it may come from. Their variance is lower, by half on the plane, and a bias of one over
            the size of the batch is added; it needs large batches in few dimensions, of which few
            examples need noise: `PerturbedLevels(num_noisy=256)`. Xu, Tong and Jaakkola (2023),
            "Stable target field for reduced variance score estimation in diffusion models", arXiv
            2302.00670.

    Returns:
        The loss, without a unit, and the metrics `score_loss`, `classification_loss` and
        `derivative_loss`.

    Raises:
        ValueError: if the energy is not noise-conditional, shapes differ, a number is out of its
            range, or there is one example alone.
    """
    given = {
        "score_weight": score_weight,
        "classification_weight": classification_weight,
        "derivative_weight": derivative_weight,
    }
    for name, value in given.items():
        _checks.non_negative(name, value)
    energy, noise, y = _pairs(energy, positives, negatives, further_sources=stable_targets)
    values, gradients, rates = jax.vmap(_gradients, (None, 0, 0))(energy, negatives.x, y)
    sigma, d = sigma_of(negatives), noise[0].size
    sources = own_sources(noise)
    if stable_targets:
        sources = all_sources(energy, positives, negatives, noise)
    target, squares = posterior_means(positives.x, noise, sigma, sources)
    residual = _rows(sigma, gradients) * gradients - target
    scale = jnp.ones((), values.dtype)
    if jnp.ndim(score_weight) > 0:
        number = energy.levels.sigma.size
        fix = f"give one number, or one for each of the {number} levels"
        _checks.require(jnp.shape(score_weight) == (number,), "score_weight", score_weight, fix)
        scale = jnp.asarray(score_weight, values.dtype)[energy.levels.nearest(sigma)]
        given["score_weight"] = 1.0
    terms = {
        "score_loss": scale * 0.5 * jnp.mean(residual.reshape(len(noise), -1) ** 2, 1),
        "classification_loss": _neighbour_entropy(
            energy, negatives, y, values, sources, num_neighbours
        ),
        "derivative_loss": 0.5 * (rates - (d - squares)) ** 2 / d,
    }
    metrics = {name: mean(term, negatives) for name, term in terms.items()}
    weights = jnp.stack([cast(weight, values) for weight in given.values()])
    return jnp.dot(weights, jnp.stack(list(metrics.values()))), metrics


def level_classification_loss(
    energy: Any,
    positives: Examples,
    negatives: Examples,
    *,
    num_neighbours: int | None = None,
) -> Result:
    """The cross entropy of telling the level `k` of a noisy example from other levels `j`.

    The logits are `-E(x, σⱼ) + log π(j)`, where `π(j)` is how often training draws level `j`.
    Minimal where differences of energies are log ratios of densities: it fixes the constants
    between levels, which scores leave free. Use with `PerturbedLevels()`.

    Yadin, Elata and Michaeli (2024), "Classification diffusion models: revitalizing density ratio
    estimation", arXiv 2402.10095; between pairs of levels, as in DiffCLF, arXiv 2601.21025.

    Args:
        energy: a noise-conditional energy.
        positives: data, `(batch, *shape)`.
        negatives: those of `PerturbedLevels`.
        num_neighbours: `None` for all levels at once, at the cost of an energy for each; or `m` for
            pairs, `k` against one of `k ± 1, …, k ± m`, which takes one energy more. Pairs beyond
            the ends count as 0. The place of an example in the batch chooses the neighbour, so that
            data have to be in random order, as those of `ebmx.data.batches` are.

    Returns:
        The loss, in nats, and no metrics.

    Raises:
        ValueError: if the energy is not noise-conditional, shapes differ, or there is one example
            alone and `num_neighbours` is given.
    """
    energy, noise, y = _pairs(energy, positives, negatives)
    if num_neighbours is not None:
        values = jax.vmap(energy)(negatives.x, y)
        entropy = _neighbour_entropy(
            energy, negatives, y, values, own_sources(noise), num_neighbours
        )
        return mean(entropy, negatives), {}
    levels = energy.levels
    sigma = levels.sigma.astype(negatives.x.dtype)

    def one(x: jax.Array, y: jax.Array) -> Scalar:
        values = jax.vmap(lambda s: energy(x, _with_sigma(y, s)))(sigma)
        logits = levels.log_prior.astype(values.dtype) - values
        return -jax.nn.log_softmax(logits)[levels.nearest(jnp.ravel(y)[0])]

    return mean(jax.vmap(one)(negatives.x, y), negatives), {}


def level_derivative_loss(energy: Any, positives: Examples, negatives: Examples) -> Result:
    """`mean ½ (∂E/∂log σ(x̃, σ) - (d - |ε|²))² / d` over noisy data `x̃ = x + σ ε`.

    By the heat equation, `-∂ log p_σ(x̃)/∂log σ` is the mean of `d - |ε|²` given `x̃`, so that the
    minimiser has the constants between levels right. Use with `PerturbedLevels()`.

    Guth, Kadkhodaie and Simoncelli (2025), "Learning normalized image densities via dual score
    matching", arXiv 2506.05310.

    Args:
        energy: a noise-conditional energy.
        positives: data, `(batch, *shape)`.
        negatives: those of `PerturbedLevels`.

    Returns:
        The loss, without a unit, and no metrics.

    Raises:
        ValueError: if the energy is not noise-conditional, or shapes differ.
    """
    energy, noise, y = _pairs(energy, positives, negatives)
    d = noise[0].size
    _, _, rates = jax.vmap(_gradients, (None, 0, 0))(energy, negatives.x, y)
    return mean(0.5 * (rates - (d - squares_of(noise))) ** 2 / d, negatives), {}


def _pairs(
    energy: Any, positives: Examples, negatives: Examples, *, further_sources: bool = False
) -> tuple[Any, jax.Array, jax.Array]:
    """The energy, checked, the noise `ε` of each noisy example, and its condition.

    The first examples are those that noise was added to: all of them, but for `further_sources`.
    """
    fix = "give an energy over noise levels, such as NoiseConditional"
    ok = isinstance(energy, AbstractNoiseConditionalEnergy)
    _checks.require(ok, "energy", type(energy).__name__, fix)
    fix = "give one noisy example for each example: use PerturbedLevels()"
    num = len(negatives.x)
    if num < len(positives.x) and not further_sources:
        _checks.invalid("num_noisy", num, "use it with noise_level_loss(stable_targets=True)")
    x = positives.x[:num]
    same_shape(Examples(x), negatives, fix)
    shape = (num, *energy.condition_shape)
    y = negatives.y
    if y is None or y.shape != shape:
        _checks.invalid("negatives.y.shape", getattr(y, "shape", None), fix)
    return energy, (negatives.x - x) / _rows(sigma_of(negatives), x), y


def _gradients(energy: Any, x: jax.Array, y: jax.Array) -> tuple[Scalar, jax.Array, Scalar]:
    """`E`, `∂E/∂x` and `∂E/∂log σ` of one example."""
    rows = jnp.ravel(y)
    at = lambda x, log_sigma: energy(x, _with_sigma(y, jnp.exp(log_sigma)))  # noqa: E731
    value, (gradient, rate) = jax.value_and_grad(at, (0, 1))(x, jnp.log(rows[0]))
    return value, gradient, rate


def _neighbour_entropy(
    energy: Any,
    negatives: Examples,
    y: jax.Array,
    values: Vector,
    sources: Sources,
    num_neighbours: int,
) -> Vector:
    """The cross entropy of each example's level against one of its neighbours."""
    _checks.at_least("num_neighbours", num_neighbours, 1)
    levels, num = energy.levels, len(values)
    fix = "levels and neighbours on both sides need batches of at least two examples"
    _checks.require(num > 1, "len(positives.x)", num, fix)
    level = levels.nearest(sigma_of(negatives))
    # Levels are drawn apart from the place in the batch, so the offset may go by the place. Both
    # signs occur equally often, so that k against j is asked as often, given k, as j against k.
    place = jnp.arange(num, dtype=level.dtype) % (2 * num_neighbours)
    other = level + jnp.where(place % 2 == 0, 1, -1) * (place // 2 + 1)
    # the last of an odd number is without the other sign
    paired = jnp.arange(num) < num - num % 2
    inside = (other >= 0) & (other < levels.sigma.size) & paired
    other = jnp.clip(other, 0, levels.sigma.size - 1)
    sigma = levels.sigma.astype(values.dtype)[other]
    conditions = jax.vmap(_with_sigma)(y, sigma)
    others = jax.vmap(energy)(negatives.x, conditions)
    prior = levels.log_prior.astype(values.dtype)
    log_odds = prior[level] - prior[other]
    logit = log_odds - values + others
    # Which of the two levels the noise is of is not known for certain even where the data are: the
    # target is the probability given the noisy example and its sources, in place of the level that
    # was drawn. The mean of the entropy is the same, and its variance is lower.
    ratio = sigma_of(negatives) / sigma
    at_own, at_other = (
        jax.nn.logsumexp(sources.log_weights - 0.5 * sources.squares * factor, axis=1)
        for factor in (1.0, ratio[:, None] ** 2)
    )
    known = log_odds - negatives.x[0].size * jnp.log(ratio) + at_own - at_other
    entropy = jax.nn.softplus(-logit) + jax.nn.sigmoid(-known) * logit
    return jnp.where(inside, entropy, 0.0)


def _with_sigma(y: jax.Array, sigma: Scalar) -> jax.Array:
    """The condition with another noise level."""
    return sigma if y.ndim == 0 else y.at[0].set(sigma)


def _rows(values: Vector, like: jax.Array) -> jax.Array:
    """One number for each example, to multiply with a batch."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
