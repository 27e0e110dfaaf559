"""From a config to the objects it names; `_networks` makes the energy."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optax

from .. import _checks
from .._arguments import guarded
from ..samplers import HMC, MALA, AbstractSampler, Langevin, UnderdampedLangevin
from ..training import (
    CD,
    PCD,
    AbstractNegatives,
    AbstractStorage,
    BFloat16,
    Directions,
    FullPrecision,
    Jarzynski,
    NoiseSamples,
    Perturbed,
    PerturbedTwice,
    ShortRun,
    Trainer,
    UInt8,
    UniformNoise,
    contrastive_loss,
    cross_entropy,
    denoising_score_matching,
    energy_discrepancy,
    noise_contrastive_loss,
    sampler_divergence,
    sliced_score_matching,
    weighted_sum,
)
from ._fields_read import WITHOUT_CHAINS, check_kind, check_without_chains
from ._schema import NegativesConfig, ObjectiveConfig, OptimiserConfig, RunConfig, SamplerConfig

Loss = Callable[..., Any]


@guarded
def build_sampler(config: SamplerConfig) -> AbstractSampler:
    """The sampler.

    Args:
        config: a part of a `RunConfig`.

    Returns:
        A sampler of one chain.

    Raises:
        ValueError: if a value does not fit, or a field is set that nothing reads.
    """
    check_kind("sampler", config)
    if config.kind == "mala":
        return MALA(config.step_size)
    if config.kind == "hmc":
        return HMC(config.step_size, config.num_integration_steps)
    options = {
        "temperature": config.temperature,
        "noise_scale": config.noise_scale,
        "grad_clip": config.grad_clip,
        "bounds": config.bounds,
    }
    if config.kind == "underdamped":
        return UnderdampedLangevin(config.step_size, config.friction, **options)
    return Langevin(config.step_size, **options)


def build_noise(config: SamplerConfig) -> UniformNoise:
    """Where chains start that do not start from data."""
    return UniformNoise(*(config.bounds or (-1.0, 1.0)))


@guarded
def build_negatives(
    config: NegativesConfig,
    sampler: SamplerConfig,
    objective: ObjectiveConfig | None = None,
    num_labels: int | None = None,
) -> AbstractNegatives:
    """The negatives for an objective, with their sampler.

    Args:
        config: parts of a `RunConfig`.
        sampler: parts of a `RunConfig`.
        objective: parts of a `RunConfig`.
        num_labels: how many labels the data have, for a conditional objective.

    Returns:
        The negatives.

    Raises:
        ValueError: if a value does not fit, a field is set that nothing reads, or the parts do not
            fit together.
    """
    objective = ObjectiveConfig() if objective is None else objective
    check_kind("objective", objective)
    chain, noise = build_sampler(sampler), build_noise(sampler)
    if objective.kind in WITHOUT_CHAINS:
        check_without_chains(config, objective)
        _checks.at_least("num_steps", config.num_steps, 1)
        return _without_chains(objective, noise)
    check_kind("negatives", config)
    if config.kind == "cd":
        return CD(chain, config.num_steps)
    if config.kind == "short-run":
        return ShortRun(chain, config.num_steps, noise)
    num_labels = num_labels if objective.kind == "conditional" else None
    if config.kind == "jarzynski":
        return _jarzynski(config, sampler, chain, noise, num_labels)
    return PCD(
        chain,
        config.num_steps,
        config.capacity,
        config.reinit_prob,
        noise,
        num_labels=num_labels,
        restart=config.restart,
        storage=_storage(config.storage, noise),
        num_shards=config.num_shards,
    )


@guarded
def build_objective(config: ObjectiveConfig, sampler: SamplerConfig) -> Loss:
    """The loss; the sampler says by which step and from which noise.

    Args:
        config: parts of a `RunConfig`.
        sampler: parts of a `RunConfig`.

    Returns:
        A function of `(energy, positives, negatives)`.

    Raises:
        ValueError: if a value does not fit, or a field is set that nothing reads.
    """
    check_kind("objective", config)
    for name in ("alpha", "divergence_weight", "entropy_weight", "classifier_weight"):
        _checks.non_negative(f"objective.{name}", getattr(config, name))
    if config.kind == "denoising":
        return eqx.Partial(denoising_score_matching, sigma=jnp.asarray(config.sigma))
    if config.kind == "sliced":
        return sliced_score_matching
    if config.kind == "noise-contrastive":
        return eqx.Partial(noise_contrastive_loss, noise=build_noise(sampler))
    if config.kind == "energy-discrepancy":
        return energy_discrepancy
    contrastive = eqx.Partial(contrastive_loss, alpha=jnp.asarray(config.alpha))
    if config.kind == "improved":
        return weighted_sum(
            (1.0, contrastive), (config.divergence_weight, _divergence(config, sampler))
        )
    if config.kind == "jem":
        return weighted_sum((1.0, contrastive), (config.classifier_weight, cross_entropy))
    return contrastive


@guarded
def build_optimiser(config: OptimiserConfig, num_steps: int) -> optax.GradientTransformation:
    """The optimiser for a training of `num_steps`.

    Args:
        config: a part of a `RunConfig`.
        num_steps: how many updates the schedule is for.

    Returns:
        An optax optimiser.

    Raises:
        ValueError: if a value does not fit, or a field is set that nothing reads.
    """
    check_kind("optimiser", config)
    _checks.positive("optimiser.learning_rate", config.learning_rate)
    _checks.at_least("optimiser.warmup_steps", config.warmup_steps, 0)
    _checks.at_least("num_steps", num_steps, 1)
    for name in ("b1", "b2"):
        value = getattr(config, name)
        _checks.require(0 <= value < 1, f"optimiser.{name}", value, "give a number in [0, 1)")
    rate = _schedule(config, num_steps)
    rule = optax.sgd(rate) if config.kind == "sgd" else optax.adam(rate, config.b1, config.b2)
    if config.clip is None:
        return rule
    _checks.positive("optimiser.clip", config.clip)
    return optax.chain(optax.clip_by_global_norm(config.clip), rule)


@guarded
def build_trainer(config: RunConfig, num_steps: int, num_labels: int | None = None) -> Trainer:
    """The trainer for a training of `num_steps` on data with so many labels.

    Args:
        config: a config.
        num_steps: how many updates the schedule is for.
        num_labels: how many labels the data have, for an objective that needs them.

    Returns:
        The trainer.

    Raises:
        ValueError: if a value or a combination does not fit.
    """
    _checks.probability("optimiser.ema_decay", config.optimiser.ema_decay)
    _checks.non_negative("data.noise", config.data.noise)
    return Trainer(
        build_optimiser(config.optimiser, num_steps),
        build_negatives(config.negatives, config.sampler, config.objective, num_labels),
        build_objective(config.objective, config.sampler),
        config.optimiser.ema_decay,
        config.data.noise,
    )


def _without_chains(objective: ObjectiveConfig, noise: UniformNoise) -> AbstractNegatives:
    if objective.kind == "denoising":
        return Perturbed(objective.sigma)
    if objective.kind == "sliced":
        return Directions()
    if objective.kind == "noise-contrastive":
        return NoiseSamples(noise, objective.ratio)
    _checks.positive("objective.sigma", objective.sigma)
    return PerturbedTwice(objective.sigma**2, objective.ratio)


def _jarzynski(
    config: NegativesConfig,
    sampler: SamplerConfig,
    chain: AbstractSampler,
    noise: UniformNoise,
    num_labels: int | None,
) -> Jarzynski:
    fix = "negatives.kind='jarzynski' needs an adjusted sampler: give mala or hmc"
    _checks.require(sampler.kind in ("mala", "hmc"), "sampler.kind", sampler.kind, fix)
    fix = "jarzynski carries no labels: with objective.kind='conditional' give pcd, cd or short-run"
    _checks.require(num_labels is None, "negatives.kind", config.kind, fix)
    return Jarzynski(
        chain,
        config.num_steps,
        config.capacity,
        config.num_held_out,
        noise,
        config.resample_below,
    )


def _storage(name: str, noise: UniformNoise) -> AbstractStorage:
    fix = "give float32, bfloat16 or uint8"
    _checks.require(name in ("float32", "bfloat16", "uint8"), "negatives.storage", name, fix)
    if name == "uint8":
        return UInt8(noise.low, noise.high)
    return BFloat16() if name == "bfloat16" else FullPrecision()


def _divergence(config: ObjectiveConfig, sampler: SamplerConfig) -> Loss:
    fix = "objective.kind='improved' follows one Langevin drift: give langevin or mala"
    _checks.require(sampler.kind in ("langevin", "mala"), "sampler.kind", sampler.kind, fix)
    return eqx.Partial(
        sampler_divergence,
        step_size=jnp.asarray(sampler.step_size),
        entropy_weight=jnp.asarray(config.entropy_weight),
    )


def _schedule(config: OptimiserConfig, num_steps: int) -> optax.Schedule:
    warm = config.warmup_steps
    ok, fix = config.schedule in ("cosine", "constant"), "give cosine or constant"
    _checks.require(ok, "optimiser.schedule", config.schedule, fix)
    if config.schedule == "constant":
        after = optax.constant_schedule(config.learning_rate)
    else:
        after = optax.cosine_decay_schedule(config.learning_rate, max(1, num_steps - warm))
    if warm == 0:
        return after
    # the first update is one already
    first = config.learning_rate / (warm + 1)
    rise = optax.linear_schedule(first, config.learning_rate, warm)
    return optax.join_schedules([rise, after], [warm])
