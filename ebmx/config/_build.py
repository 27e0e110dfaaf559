"""From a config to the objects it names."""

import equinox as eqx
import jax.numpy as jnp
import optax

from .._types import Key
from ..energies import MLP, AbstractEnergy, ConvNet
from ..samplers import Langevin
from ..training import CD, PCD, AbstractNegatives, ShortRun, Trainer, UniformNoise, contrastive_loss
from ._config import EnergyConfig, NegativesConfig, OptimiserConfig, RunConfig, SamplerConfig


def build_energy(config: EnergyConfig, shape: tuple[int, ...], *, key: Key) -> AbstractEnergy:
    """The energy for examples of this shape."""
    if len(shape) != 3:
        return MLP(shape, config.hidden_dims, activation=config.activation, key=key)
    return ConvNet(
        shape,
        config.widths,
        kernel_sizes=config.kernel_sizes,
        strides=config.strides,
        hidden_dims=config.hidden_dims,
        activation=config.activation,
        head=config.head,
        key=key,
    )


def build_sampler(config: SamplerConfig) -> Langevin:
    """The sampler."""
    return Langevin(
        config.step_size,
        noise_scale=config.noise_scale,
        grad_clip=config.grad_clip,
        bounds=config.bounds,
    )


def build_negatives(config: NegativesConfig, sampler: SamplerConfig) -> AbstractNegatives:
    """The negatives, with their sampler."""
    chain = build_sampler(sampler)
    noise = UniformNoise(*sampler.bounds)
    if config.kind == "cd":
        return CD(chain, config.num_steps)
    if config.kind == "short-run":
        return ShortRun(chain, config.num_steps, noise)
    return PCD(chain, config.num_steps, config.capacity, config.reinit_prob, noise)


def build_optimiser(config: OptimiserConfig, num_steps: int) -> optax.GradientTransformation:
    """The optimiser for a training of `num_steps`."""
    schedule = optax.cosine_decay_schedule(config.learning_rate, num_steps)
    return optax.chain(
        optax.clip_by_global_norm(config.clip), optax.adam(schedule, b1=config.b1, b2=config.b2)
    )


def build_trainer(config: RunConfig, num_steps: int) -> Trainer:
    """The trainer for a training of `num_steps`."""
    return Trainer(
        build_optimiser(config.optimiser, num_steps),
        build_negatives(config.negatives, config.sampler),
        eqx.Partial(contrastive_loss, alpha=jnp.asarray(config.optimiser.alpha)),
        config.optimiser.ema_decay,
        config.data.noise,
    )
