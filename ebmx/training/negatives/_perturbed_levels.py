"""Data with noise of the levels of an energy `E(x, σ)`."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Number, Scalar, Vector
from ...energies import AbstractNoiseConditionalEnergy
from ...samplers._fields import cast, number
from .._batch import Examples
from ._base import AbstractNegatives
from ._chain_free import AbstractStateless, Stateless

_KEPT = 0.1
"""The part of the examples that draw their level by the weights of the energy in any case."""


class PerturbedLevels(AbstractStateless):
    """Data with Gaussian noise of the levels of a noise-conditional energy, `x̃ = x + σ ε`.

    Each example draws a level by the weights of `energy.levels`, stratified over the batch, so
    that a level's part of a batch varies little. The condition of an example is its `σ`; for an
    energy with classes it is `(σ, label)`, where label -1 stands for one that is left out.

    Args:
        label_dropout: the probability with which a label is left out, so that one energy learns
            the density of all classes, too; for classifier-free guidance. Ho and Salimans (2022).
        num_noisy: how many noisy examples there are, made of the first examples of a batch; all if
            not given. The others take part in the means of `noise_level_loss(stable_targets=True)`
            alone, which costs little: on the plane, batches of 2,048 with 256 noisy examples.

    Raises:
        ValueError: if a number is out of its range; in `step`, if the batch is smaller.
    """

    label_dropout: Number = number(default=0.1)
    num_noisy: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _checks.probability("label_dropout", self.label_dropout)
        if self.num_noisy is not None:
            _checks.at_least("num_noisy", self.num_noisy, 1)

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """The noisy data, in the order of the positives."""
        over_levels = check_levels(energy)
        if self.num_noisy is not None:
            num, fix = len(positives.x), "give larger batches, or fewer noisy examples"
            _checks.require(self.num_noisy <= num, "num_noisy", self.num_noisy, fix)
            positives = jax.tree.map(lambda part: part[: self.num_noisy], positives)
        prior = over_levels.levels.log_prior
        negatives, _ = _perturb(over_levels, positives, prior, self.label_dropout, key)
        return negatives, state, None


class AdaptiveLevels(AbstractNegatives[jax.Array]):
    """`PerturbedLevels` that draws a level more often where the loss of its scores is larger.

    Level `k` of weight `πₖ` is drawn in proportion to `πₖ √mₖ`, where `mₖ` is a running mean of the
    squared score loss of the level, and its examples have the weight `πₖ/qₖ`: the mean of the loss
    stays what it is, and its variance falls. One gradient for each example more than
    `PerturbedLevels`. Nichol and Dhariwal (2021), "Improved denoising diffusion probabilistic
    models", section 3.3.

    Args:
        num_levels: how many levels the energy has.
        decay: of the running means, in an update.
        label_dropout: as for `PerturbedLevels`.

    Raises:
        ValueError: if a number is out of its range; in `step`, if the energy has other levels.
    """

    num_levels: int = eqx.field(static=True)
    decay: Number = number(default=0.99)
    label_dropout: Number = number(default=0.1)

    def __check_init__(self):
        _checks.at_least("num_levels", self.num_levels, 2)
        _checks.probability("decay", self.decay)
        _checks.probability("label_dropout", self.label_dropout)

    def init(self, shape: tuple[int, ...], *, key: Key) -> jax.Array:
        """Running means of one, which draw the levels by their weights."""
        del shape, key
        return jnp.ones(self.num_levels)

    def step(
        self, energy: EnergyFn, positives: Examples, state: jax.Array, *, key: Key
    ) -> tuple[Examples, jax.Array, None]:
        """The noisy data with their weights, and the new running means."""
        over_levels = check_levels(energy)
        levels = over_levels.levels
        fix = f"the energy has {levels.sigma.size} levels: give as many"
        ok = levels.sigma.size == self.num_levels
        _checks.require(ok, "num_levels", self.num_levels, fix)
        prior = levels.log_prior.astype(state.dtype)
        by_loss = jax.nn.log_softmax(prior + 0.5 * jnp.log(state))
        drawn = jnp.logaddexp(by_loss + jnp.log1p(-_KEPT), prior + jnp.log(_KEPT))
        negatives, level = _perturb(over_levels, positives, drawn, self.label_dropout, key)
        weights = (prior - drawn)[level].astype(positives.x.dtype)
        if positives.log_weights is not None:
            weights = weights + positives.log_weights
        losses = _score_losses(over_levels, positives, negatives).astype(state.dtype)
        counts = jnp.zeros_like(state).at[level].add(1.0)
        means = jnp.zeros_like(state).at[level].add(losses**2) / jnp.maximum(counts, 1.0)
        # a loss that is not finite, or a level that is not in the batch, leaves the mean as it is
        known = (counts > 0) & jnp.isfinite(means) & (means > 0)
        decay = cast(self.decay, state)
        state = jnp.where(known, decay * state + (1 - decay) * means, state)
        return Examples(negatives.x, negatives.y, weights), state, None


def check_levels(energy: Any) -> AbstractNoiseConditionalEnergy:
    """Check that an energy is one over noise levels."""
    if not isinstance(energy, AbstractNoiseConditionalEnergy):
        fix = "give an energy over noise levels, such as NoiseConditional"
        _checks.invalid("energy", type(energy).__name__, fix)
    return energy


def _perturb(
    energy: AbstractNoiseConditionalEnergy,
    positives: Examples,
    log_probability: jax.Array,
    label_dropout: Any,
    key: Key,
) -> tuple[Examples, jax.Array]:
    """Noisy data whose levels are drawn with these probabilities, and their levels."""
    x, levels = positives.x, energy.levels
    shift_key, order_key, noise_key, label_key = jax.random.split(key, 4)
    # one uniform number u for the batch, whose examples take the quantiles (i + u) / batch in
    # random order, so that neither their place nor their label says anything of the level
    shift = jax.random.uniform(shift_key)
    order = jax.random.permutation(order_key, len(x)).astype(shift.dtype)
    uniform = (order + shift) / len(x)
    ends = jnp.cumsum(jnp.exp(log_probability))
    level = jnp.searchsorted(ends[:-1], uniform.astype(ends.dtype))
    sigma = levels.sigma[level].astype(x.dtype)
    noise = jax.random.normal(noise_key, x.shape, x.dtype)
    noisy = x + sigma.reshape(-1, *(1,) * (x.ndim - 1)) * noise
    if energy.num_classes is None:
        return Examples(noisy, sigma, positives.log_weights), level
    if positives.y is None:
        fix = f"{type(energy).__name__} has classes: train on batches (x, labels)"
        _checks.invalid("batch", "x", fix)
    dropped = jax.random.bernoulli(label_key, label_dropout, (len(x),))
    label = jnp.where(dropped, -1, positives.y).astype(x.dtype)
    return Examples(noisy, jnp.stack([sigma, label], 1), positives.log_weights), level


def _score_losses(energy: Any, positives: Examples, negatives: Examples) -> Vector:
    """`½ |σ ∂E/∂x - ε|² / d` of each example."""

    def one(x: jax.Array, noisy: jax.Array, y: jax.Array) -> Scalar:
        sigma = jnp.ravel(y)[0]
        residual = sigma * jax.grad(energy)(noisy, y) - (noisy - x) / sigma
        return 0.5 * jnp.mean(residual**2)

    assert negatives.y is not None
    return jax.vmap(one)(positives.x, negatives.x, negatives.y)
