"""Recipes by name: whole configs that are known, here or in print, to work.

Data span [-1, 1] and `x ← x − (ε/2) ∇E + noise · ξ`. A recipe that was published for data in [0, 1]
with a factor F on the gradient, noise S and a clip C has here the step size ε = 8F, for the factor
4F, noise 2S and clip C/2: chains, energies and temperatures are the same.
"""

import dataclasses

from .. import _checks
from .._arguments import guarded
from ..samplers import AbstractLangevin, displacement_budget
from ._build import build_noise, build_sampler
from ._schema import (
    DataConfig,
    EnergyConfig,
    NegativesConfig,
    ObjectiveConfig,
    OptimiserConfig,
    RunConfig,
    SamplerConfig,
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A config with where it comes from."""

    config: RunConfig
    """All of it."""
    source: str
    """Who published it."""
    remarks: str
    """What is other than in the source, and what to expect."""

    @property
    def displacement_budget(self) -> float:
        """How far the drift of one update can carry a coordinate, in units of [-1, 1].

        It has to be at least the width of the noise that chains start from.
        """
        sampler = build_sampler(self.config.sampler)
        return displacement_budget(sampler, self.config.negatives.num_steps)

    @property
    def data_range(self) -> float:
        """The width of the noise that chains start from, 2 for data in [-1, 1]."""
        noise = build_noise(self.config.sampler)
        return float(noise.high - noise.low)

    @property
    def effective_temperature(self) -> float:
        """The `T` of the density `exp(-E/T)` that the chains sample; 1 for adjusted samplers."""
        sampler = build_sampler(self.config.sampler)
        if not isinstance(sampler, AbstractLangevin):
            return 1.0
        return float(sampler.effective_temperature)

    @property
    def description(self) -> str:
        """Source, remarks, displacement budget and effective temperature in words."""
        return (
            f"{self.source}\n{self.remarks}\n"
            f"Displacement budget {self.displacement_budget:.3g} over a range of "
            f"{self.data_range:.3g}, effective temperature {self.effective_temperature:.3g}."
        )


RECIPES: dict[str, Recipe] = {
    "digits": Recipe(
        RunConfig(),
        "Measured here on 8×8 digits, two cores, one minute.",
        "The samples' Fréchet ratio comes to about 1.",
    ),
    "mnist_5k": Recipe(
        RunConfig(
            data=DataConfig(name="mnist-5k", batch_size=64),
            energy=EnergyConfig(
                widths=(16, 32), kernel_sizes=(5, 3), strides=(2, 2), hidden_dims=(128,)
            ),
            sampler=SamplerConfig(noise_scale=0.01),
            negatives=NegativesConfig(num_steps=20, capacity=2048, reinit_prob=0.02),
            objective=ObjectiveConfig(alpha=0.005),
            optimiser=OptimiserConfig(learning_rate=2e-3),
            seconds=600.0,
        ),
        "Measured here on 5,000 digits of MNIST: 400 CPU seconds, 3,600 updates.",
        "A Fréchet ratio of about 1.4. The squared energies have a tenth of the usual weight: with "
        "all of it, many chains stay in noise.",
    ),
    "uva_mnist": Recipe(
        RunConfig(
            data=DataConfig(name="hf:ylecun/mnist", noise=0.005),
            energy=EnergyConfig(
                widths=(16, 32, 64, 64),
                kernel_sizes=(5, 3, 3, 3),
                strides=(2, 2, 2, 2),
                paddings=(4, 1, 1, 1),
            ),
            sampler=SamplerConfig(step_size=20.0, noise_scale=0.005, grad_clip=0.03),
            negatives=NegativesConfig(num_steps=60, capacity=8192),
            objective=ObjectiveConfig(alpha=0.1),
            optimiser=OptimiserConfig(learning_rate=1e-4, clip=0.1, ema_decay=0.0),
            steps=28_000,
        ),
        "Lippe, University of Amsterdam deep-learning tutorial 8 (2020), MNIST.",
        "The same network. A cosine instead of 3 % less learning rate an epoch; noisy data are not "
        "clamped to the range.",
    ),
    "igebm_cifar10": Recipe(
        RunConfig(
            data=DataConfig(name="hf:uoft-cs/cifar10", noise=0.0),
            energy=EnergyConfig(
                kind="resnet",
                widths=(128, 256, 512),
                strides=(2, 2, 2),
                blocks_per_stage=3,
                norm="spectral",
                activation="leaky_relu",
                head="sum",
            ),
            sampler=SamplerConfig(step_size=80.0, noise_scale=0.01, grad_clip=0.005),
            negatives=NegativesConfig(num_steps=60, capacity=10_000, storage="uint8"),
            objective=ObjectiveConfig(alpha=1.0),
            optimiser=OptimiserConfig(
                learning_rate=1e-4, schedule="constant", clip=None, ema_decay=0.0
            ),
            steps=120_000,
        ),
        "Du and Mordatch (2019), 'Implicit generation and modeling with energy-based models', "
        "CIFAR-10 without classes, published FID 38 to 52.",
        "Stages shrink the image where they begin, to 4×4; the last layer has the norm too, and "
        "leaky ReLU has the slope 0.01. Data have no dequantisation noise, gradients are not "
        "clipped.",
    ),
    "improved_cd_cifar10": Recipe(
        RunConfig(
            data=DataConfig(name="hf:uoft-cs/cifar10", noise=0.0),
            energy=EnergyConfig(
                kind="resnet",
                widths=(64, 128, 256),
                strides=(2, 2, 2),
                blocks_per_stage=2,
                norm="group",
                head="sum",
            ),
            sampler=SamplerConfig(step_size=800.0, noise_scale=0.002, grad_clip=None),
            negatives=NegativesConfig(
                num_steps=40, capacity=10_000, reinit_prob=0.001, storage="uint8"
            ),
            objective=ObjectiveConfig(kind="improved", alpha=1.0),
            optimiser=OptimiserConfig(
                learning_rate=2e-4, schedule="constant", b2=0.9, clip=0.5, ema_decay=0.99
            ),
            steps=50_000,
        ),
        "Du et al. (2021), 'Improved contrastive divergence training of energy-based models', "
        "CIFAR-10, published FID 25.1.",
        "One scale of the image instead of three, no attention, and chains are not augmented when "
        "they are used again.",
    ),
    "jem_cifar10": Recipe(
        RunConfig(
            data=DataConfig(name="hf:uoft-cs/cifar10", batch_size=64, noise=0.03),
            energy=EnergyConfig(
                kind="resnet",
                widths=(160, 320, 640),
                strides=(1, 2, 2),
                blocks_per_stage=4,
                activation="leaky_relu",
                head="sum",
            ),
            sampler=SamplerConfig(step_size=2.0, noise_scale=0.01, grad_clip=None, bounds=None),
            negatives=NegativesConfig(num_steps=20, capacity=10_000),
            objective=ObjectiveConfig(kind="jem", alpha=0.0),
            optimiser=OptimiserConfig(
                learning_rate=1e-4,
                schedule="constant",
                warmup_steps=1000,
                b1=0.9,
                clip=None,
                ema_decay=0.0,
            ),
            steps=120_000,
        ),
        "Grathwohl et al. (2020), 'Your classifier is secretly an energy based model', CIFAR-10, "
        "published accuracy 92.9 % and FID 38.4.",
        "A wide residual network 28-10 without norms, whose first convolution has 160 channels "
        "instead of 16, with the sum of the last feature maps instead of their mean and leaky ReLU "
        "of slope 0.01. Data are not cropped and flipped at "
        "random, and the learning rate does not fall.",
    ),
    "convergent_mnist": Recipe(
        RunConfig(
            data=DataConfig(name="hf:ylecun/mnist", batch_size=100, noise=0.015),
            energy=EnergyConfig(
                widths=(32, 64, 128),
                kernel_sizes=(3, 3, 3),
                strides=(2, 2, 2),
                hidden_dims=(256,),
                activation="leaky_relu",
                scale=2 / 0.0075**2,
            ),
            sampler=SamplerConfig(
                step_size=0.0075**2, noise_scale=None, grad_clip=None, bounds=None
            ),
            negatives=NegativesConfig(num_steps=500, capacity=60_000, reinit_prob=0.0),
            objective=ObjectiveConfig(alpha=0.0),
            optimiser=OptimiserConfig(
                kind="sgd",
                learning_rate=1e-2 * 0.0075**2 / 2,
                schedule="constant",
                clip=None,
                ema_decay=0.0,
            ),
            steps=100_000,
        ),
        "Nijkamp et al. (2020), 'On the anatomy of MCMC-based maximum likelihood learning of "
        "energy-based models', MNIST, convergent learning.",
        "Chains at T = 1, so exp(-E) is the density. The energy is the network times 2/ε² with "
        "ε = 0.0075, as in the source. Images of 28×28, strides instead of pooling, no non-local "
        "blocks, leaky ReLU of slope 0.01.",
    ),
}
"""All recipes by their names."""


@guarded
def recipe(name: str) -> RunConfig:
    """The config of a recipe.

    Args:
        name: one of `RECIPES`.

    Returns:
        A config.

    Raises:
        ValueError: that lists the names if there is no such recipe.
    """
    fix = f"no such recipe; give one of {', '.join(RECIPES)}"
    _checks.require(name in RECIPES, "recipe", repr(name), fix)
    return RECIPES[name].config


@guarded
def default_config(data: str) -> RunConfig:
    """The recipe for a data set; that of MNIST, with its network, for one not known.

    Args:
        data: the name of a data set.

    Returns:
        A config.
    """
    if data == "digits":
        return recipe("digits")
    images = recipe("mnist_5k")
    return dataclasses.replace(images, data=dataclasses.replace(images.data, name=data))
