"""Samples of energies over noise levels, from the highest level to the lowest."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .. import _checks
from .._types import Key, Scalar, Vector, X, XBatch
from ..energies import AbstractEnergy, AbstractNoiseConditionalEnergy
from ._base import AbstractSampler, check_restartable
from ._run import advance_chain, chain_keys


class LevelSamples(eqx.Module):
    """The result of `sample_levels`."""

    x: XBatch
    """The samples at the lowest level, `(num_samples, *shape)`."""
    acceptance: Vector
    """The mean acceptance of the corrector at each level below the highest, in descending order,
    `(levels - 1,)`; 1 without a corrector, or where it never rejects."""
    num_gradients: int = eqx.field(static=True)
    """How many gradients of the network the predictor took for each sample; a corrector takes its
    own, one a step for Langevin and MALA."""


class AbstractPredictor(eqx.Module):
    """A step from one noise level to the next lower one."""

    @property
    @abc.abstractmethod
    def num_gradients(self) -> int:
        """How many gradients of the energy a step takes."""

    @abc.abstractmethod
    def step(self, energy: Any, x: X, sigma: Scalar, lower: Scalar, *, key: Key) -> X:
        """The position of one chain at the level `lower`; `energy(x, sigma)` is that of a level."""


class ProbabilityFlow(AbstractPredictor):
    """The probability flow `dx/dσ = σ ∂E/∂x(x, σ)`, by Heun's method: no noise, two gradients.

    Song et al. (2021), "Score-based generative modeling through stochastic differential equations";
    Karras et al. (2022), "Elucidating the design space of diffusion-based generative models".
    """

    @property
    def num_gradients(self) -> int:
        return 2

    def step(self, energy: Any, x: X, sigma: Scalar, lower: Scalar, *, key: Key) -> X:
        """One step of Heun's method."""
        del key
        slope = sigma * jax.grad(energy)(x, sigma)
        end = x + (lower - sigma) * slope
        return x + (lower - sigma) / 2 * (slope + lower * jax.grad(energy)(end, lower))


class Ancestral(AbstractPredictor):
    """A sample of the lower level given the higher one, as if the data given `x` were one point.

    `x - (σ² - σ'²) ∂E/∂x + √(σ'² (σ² - σ'²) / σ²) ξ`. Ho, Jain and Abbeel (2020), "Denoising
    diffusion probabilistic models", in the form without a decay of the data.
    """

    @property
    def num_gradients(self) -> int:
        return 1

    def step(self, energy: Any, x: X, sigma: Scalar, lower: Scalar, *, key: Key) -> X:
        """One denoising step and fresh noise."""
        lost = sigma**2 - lower**2
        noise = jnp.sqrt(lower**2 * lost / sigma**2) * jax.random.normal(key, x.shape, x.dtype)
        return x - lost * jax.grad(energy)(x, sigma) + noise


class InUnits(AbstractEnergy):
    """An energy of positions in units of `scale`."""

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: Any
    scale: jax.Array

    def __call__(self, x: X) -> Scalar:
        return self.energy(self.scale * x)


def sample_levels(
    energy: AbstractNoiseConditionalEnergy,
    num_samples: int,
    *,
    predictor: AbstractPredictor | None = None,
    corrector: AbstractSampler | None = None,
    num_steps: int = 1,
    sigma: ArrayLike | None = None,
    start: ArrayLike | None = None,
    key: Key,
) -> LevelSamples:
    """Draw samples at the lowest noise level, from exact ones at the highest, or from others.

    At each level the predictor, if there is one, brings the chains from the level above, and the
    corrector, if there is one, takes `num_steps` steps that leave the density of the level
    invariant. A predictor alone is a diffusion sampler, a corrector alone is annealed Langevin
    dynamics (or MALA, HMC, or any sampler), both are predictor and corrector. The corrector moves
    positions in units of the level's `σ`, so that one step size serves all levels: about 0.5 for
    MALA in few dimensions.

    Song et al. (2021), "Score-based generative modeling through stochastic differential equations".

    Args:
        energy: a noise-conditional energy, also a sum or a mixture of several.
        num_samples: how many, at least 1.
        predictor: `ProbabilityFlow()` or `Ancestral()`; `Ancestral()` if neither is given.
        corrector: a sampler without bounds; one that rejects makes up for what the predictor and
            the number of levels leave, also where the energy is a sum.
        num_steps: how many steps of the corrector at each level.
        sigma: the levels, `(levels,)`, ascending, within those of the energy; all of its levels if
            not given.
        start: samples at the highest of `sigma`, `(num_samples, *shape)`, which then may be any
            level of the energy: chains of it, or data with noise of that level.
        key: a key.

    Returns:
        The samples, and the acceptance at each level below the highest.

    Raises:
        ValueError: if the energy is not noise-conditional or has classes (give one by
            `energy.at_label(label)`), the levels are not ascending or beyond those of the energy,
            `start` has another shape, or the corrector has bounds or cannot be restarted.
    """
    fix = "choose a class first: energy.at_label(label), or at_label(None) for all"
    _checks.require(energy.num_classes is None, "energy.num_classes", energy.num_classes, fix)
    _checks.at_least("num_samples", num_samples, 1)
    _checks.at_least("num_steps", num_steps, 1)
    levels = _descending(energy, sigma, from_top=start is None)
    if start is not None:
        start = _checks.batch(start, "start", energy.shape)
        fix = f"give num_samples={num_samples} of them"
        _checks.require(len(start) == num_samples, "start.shape", start.shape, fix)
    if corrector is not None:
        check_restartable(corrector, "corrector")
        fix = "positions are in units of the level: give a sampler without bounds"
        _checks.require(corrector.bounds is None, "corrector.bounds", corrector.bounds, fix)
    if predictor is None and corrector is None:
        predictor = Ancestral()
    x, acceptance = _sample_levels(
        energy, predictor, corrector, levels, num_samples, num_steps, start, key
    )
    per_level = 0 if predictor is None else predictor.num_gradients
    return LevelSamples(x, acceptance, per_level * (levels.size - 1))


def _descending(
    energy: AbstractNoiseConditionalEnergy, sigma: ArrayLike | None, *, from_top: bool
) -> jax.Array:
    own = energy.levels.sigma
    if sigma is None:
        return own[::-1]
    sigma = jnp.asarray(sigma, own.dtype)
    fix = "give a vector of at least two ascending levels"
    _checks.require(sigma.ndim == 1 and sigma.size > 1, "sigma.shape", sigma.shape, fix)
    if not (_checks.is_concrete(sigma) and _checks.is_concrete(own)):
        return sigma[::-1]
    values = np.asarray(sigma)
    _checks.require(bool(np.all(np.diff(values) > 0)), "sigma", sigma, fix)
    low, high = float(own[0]), float(own[-1])
    ok = bool(values[0] >= low * (1 - 1e-5)) and bool(values[-1] <= high * (1 + 1e-5))
    fix = f"the levels of the energy go from {low:.4g} to {high:.4g}"
    _checks.require(ok, "sigma", sigma, fix)
    fix = f"end with {high:.4g}, where the density is known, or give start"
    ok = not from_top or bool(np.isclose(values[-1], high, rtol=1e-5))
    _checks.require(ok, "sigma", sigma, fix)
    return sigma[::-1]


@eqx.filter_jit
def _sample_levels(
    energy: Any,
    predictor: AbstractPredictor | None,
    corrector: AbstractSampler | None,
    levels: jax.Array,
    num_samples: int,
    num_steps: int,
    start: XBatch | None,
    key: Key,
) -> tuple[XBatch, Vector]:
    start_key, key = jax.random.split(key)
    draw = jax.vmap(lambda key: energy.top.sample(key=key))
    known = draw(jax.random.split(start_key, num_samples)) if start is None else start

    def correct(x: X, sigma: Scalar, key: Key) -> tuple[X, Scalar]:
        if corrector is None:
            return x, jnp.ones((), x.dtype)
        init_key, steps_key = jax.random.split(key)
        scaled = InUnits(energy.shape, energy.at(sigma), sigma)
        state = corrector.init(scaled, x / sigma, key=init_key)
        z, _, info = advance_chain(scaled, corrector, x / sigma, state, num_steps, key=steps_key)
        return sigma * z, info.acceptance.astype(x.dtype)

    def descend(x: X, sigma: Scalar, lower: Scalar, key: Key) -> tuple[X, Scalar]:
        predict_key, correct_key = jax.random.split(key)
        if predictor is not None:
            x = predictor.step(energy, x, sigma, lower, key=predict_key)
        return correct(x, lower, correct_key)

    def level(x: XBatch, values: tuple) -> tuple[XBatch, Scalar]:
        sigma, lower, number = values
        keys = chain_keys(jax.random.fold_in(key, number), num_samples)
        x, acceptance = jax.vmap(descend, (0, None, None, 0))(x, sigma, lower, keys)
        return x, jnp.mean(acceptance)

    pairs = levels[:-1], levels[1:]
    steps = *(part.astype(known.dtype) for part in pairs), jnp.arange(levels.size - 1)
    return jax.lax.scan(level, known, steps)
