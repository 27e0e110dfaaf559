"""The declarative configuration of a training run: frozen dataclasses, one for each room.

Defaults are the recipe for the embedded digits.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class DataConfig:
    """What to learn from."""

    name: str = "digits"
    """A data set as `ebmx.data.load` takes it: digits, mnist-5k, hf:NAME, or a path."""
    test_share: float = 0.2
    """The share of examples held out, where the source has no such part."""
    batch_size: int = 128
    """Examples, and chains, in an update."""
    noise: float = 0.03
    """Standard deviation of Gaussian noise on the data, which spans [-1, 1]."""


@dataclass(frozen=True)
class EnergyConfig:
    """The network: `ConvNet` for images, `MLP` for anything else."""

    widths: tuple[int, ...] = (64, 64)
    """Channels after each convolution."""
    kernel_sizes: tuple[int, ...] = (3, 3)
    """Kernel of each convolution, pixels."""
    strides: tuple[int, ...] = (2, 2)
    """Stride of each convolution, pixels."""
    hidden_dims: tuple[int, ...] = (64,)
    """Widths of the linear layers between convolutions and output."""
    activation: str = "silu"
    """Name of the activation."""
    head: Literal["flatten", "sum"] = "flatten"
    """What becomes of the last feature maps."""


@dataclass(frozen=True)
class SamplerConfig:
    """`Langevin` chains."""

    step_size: float = 2.0
    """The factor in front of the gradient is half of it."""
    noise_scale: float = 0.02
    """Standard deviation of the noise of a step."""
    grad_clip: float = 3.0
    """Each coordinate of the gradient is clipped to it."""
    bounds: tuple[float, float] = (-1.0, 1.0)
    """Each coordinate of a chain is clipped to them."""


@dataclass(frozen=True)
class NegativesConfig:
    """Where the second batch comes from."""

    kind: Literal["pcd", "cd", "short-run"] = "pcd"
    """Persistent chains, chains from the data, or chains from noise."""
    num_steps: int = 30
    """Steps of a chain in an update."""
    capacity: int = 4096
    """How many persistent chains there are (pcd alone)."""
    reinit_prob: float = 0.05
    """The probability that a drawn chain restarts from noise (pcd alone)."""


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam with a cosine decay over the training."""

    learning_rate: float = 4e-3
    """At the start."""
    b1: float = 0.0
    """Decay of Adam's first moment."""
    b2: float = 0.999
    """Decay of Adam's second moment."""
    clip: float = 1.0
    """The norm to which a larger gradient is scaled down."""
    alpha: float = 0.05
    """Weight of the squared energies in the loss."""
    ema_decay: float = 0.99
    """Of the average of the parameters."""


@dataclass(frozen=True)
class RunConfig:
    """A training run."""

    data: DataConfig = field(default_factory=DataConfig)
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    steps: int | None = None
    """How many updates; if not given, as many as fit into `seconds`."""
    seconds: float = 60.0
    """How long to train, compilation included, if `steps` is not given."""
    log_every: int = 25
    """Updates between two lines of metrics."""
    seed: int = 0
    """Of everything random."""
    out: str | None = None
    """The folder of the run; `runs/NAME-SEED` if not given."""


def mnist_config() -> RunConfig:
    """The recipe for 28×28 digits."""
    return RunConfig(
        data=DataConfig(name="mnist-5k"),
        energy=EnergyConfig(widths=(32, 64, 64), kernel_sizes=(3, 3, 3), strides=(2, 2, 2)),
        sampler=SamplerConfig(noise_scale=0.01),
        negatives=NegativesConfig(num_steps=40, reinit_prob=0.03),
        seconds=300.0,
    )


def default_config(data: str) -> RunConfig:
    """The recipe for a data set; that of the digits, with its network, for one not known."""
    if data == "digits":
        return RunConfig()
    return dataclasses.replace(mnist_config(), data=DataConfig(name=data))
