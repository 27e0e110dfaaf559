"""The declarative configuration of a training run: frozen dataclasses, one for each room.

Defaults are the recipe for the embedded digits. A field says in brackets which kinds read it, if
not all do; for the others it has to stay at its default. `None` is written `"none"` in TOML.
"""

from dataclasses import dataclass, field
from typing import Literal

from .._arguments import guarded
from ..data._layout import Layout


@guarded
@dataclass(frozen=True)
class DataConfig:
    """What to learn from."""

    name: str = "digits"
    """A data set as `ebmx.data.load` takes it: digits, mnist-5k, hf:NAME, or a path."""
    layout: Layout = "auto"
    """What the axes of a file's examples are, as `ebmx.data.load` takes it; auto: by their
    shape."""
    test_share: float = 0.2
    """The share of examples held out, where the source has no such part."""
    batch_size: int = 128
    """Examples, and chains, in an update."""
    noise: float = 0.03
    """Standard deviation of Gaussian noise on the data, which spans [-1, 1]."""


@guarded
@dataclass(frozen=True)
class EnergyConfig:
    """The network."""

    kind: Literal["auto", "convnet", "mlp", "resnet"] = "auto"
    """Convolutions, a perceptron, residual blocks; auto: convnet for images, mlp for all else."""
    widths: tuple[int, ...] = (64, 64)
    """Channels after each convolution, or of each stage of residual blocks (convnet, resnet)."""
    kernel_sizes: tuple[int, ...] = (3, 3)
    """Kernel of each convolution, pixels (convnet)."""
    strides: tuple[int, ...] = (2, 2)
    """Stride of each convolution or stage, pixels (convnet, resnet)."""
    paddings: tuple[int, ...] | None = None
    """Padding of each convolution, pixels; half the kernel if not given (convnet)."""
    hidden_dims: tuple[int, ...] = (64,)
    """Widths of the linear layers before the output (convnet, mlp)."""
    blocks_per_stage: int = 1
    """Residual blocks with the same channels (resnet)."""
    norm: Literal["none", "layer", "group", "batch", "spectral"] = "none"
    """Normalisation: spectral for any network, layer, group and batch for resnet alone."""
    activation: str = "silu"
    """Name of the activation."""
    head: Literal["flatten", "sum"] = "flatten"
    """What becomes of the last feature maps (convnet, resnet)."""
    compute_dtype: Literal["bfloat16", "float16", "float32", "float64"] | None = None
    """What all but the last layer compute in; that of the parameters if not given."""
    scale: float = 1.0
    """The energy is this many times the output of the network."""


@guarded
@dataclass(frozen=True)
class SamplerConfig:
    """The Markov chains."""

    kind: Literal["langevin", "underdamped", "mala", "hmc"] = "langevin"
    """`Langevin`, `UnderdampedLangevin`, `MALA` or `HMC` of `ebmx.samplers`."""
    step_size: float = 2.0
    """Of langevin and mala, the factor in front of the gradient is half of it; of underdamped and
    hmc the time of a step."""
    noise_scale: float | None = 0.02
    """Standard deviation of the noise of a step; that of `temperature` if none (langevin,
    underdamped)."""
    temperature: float = 1.0
    """T of the density exp(-E/T), if there is no `noise_scale` (langevin, underdamped)."""
    grad_clip: float | None = 3.0
    """Each coordinate of the gradient is clipped to it; none does not clip (langevin,
    underdamped)."""
    bounds: tuple[float, float] | None = (-1.0, 1.0)
    """Chains start here; those of langevin and underdamped are clipped to it. None clips nothing,
    and chains start in [-1, 1]."""
    friction: float = 1.0
    """How fast a velocity is forgotten, per unit of time (underdamped)."""
    num_integration_steps: int = 10
    """Leapfrog steps of a trajectory (hmc)."""


@guarded
@dataclass(frozen=True)
class NegativesConfig:
    """Where the second batch comes from, for objectives with chains."""

    kind: Literal["pcd", "cd", "short-run", "jarzynski"] = "pcd"
    """Persistent chains, chains from the data, chains from noise, or weighted persistent chains."""
    num_steps: int = 30
    """Steps of a chain in an update, and of chains that are drawn after training."""
    capacity: int = 4096
    """How many persistent chains there are (pcd, jarzynski)."""
    reinit_prob: float = 0.05
    """The probability that a drawn chain restarts from noise (pcd)."""
    restart: Literal["alike", "age", "energy"] = "alike"
    """Which chains restart more often: old ones, those of high energy, or none (pcd)."""
    storage: Literal["float32", "bfloat16", "uint8"] = "float32"
    """What chains are kept as between updates; uint8 needs bounds (pcd)."""
    num_shards: int = 1
    """Into how many blocks the chains are cut; the devices that share them have to divide it
    (pcd)."""
    resample_below: float = 0.5
    """Chains are drawn by their weights if their effective share is below it (jarzynski)."""
    num_held_out: int = 0
    """Further chains that are no negatives, for an unbiased log Z (jarzynski)."""


@guarded
@dataclass(frozen=True)
class ObjectiveConfig:
    """The loss."""

    kind: Literal[
        "contrastive",
        "improved",
        "jem",
        "conditional",
        "denoising",
        "sliced",
        "noise-contrastive",
        "energy-discrepancy",
    ] = "contrastive"
    """Contrastive divergence, alone, with the term that it leaves out, with cross entropy, or for
    E(x, label); then objectives without chains: score matching, denoising or sliced,
    noise-contrastive estimation, energy discrepancy."""
    alpha: float = 0.05
    """Weight of the squared energies (contrastive, improved, jem, conditional)."""
    divergence_weight: float = 1.0
    """Weight of the term that contrastive divergence leaves out (improved)."""
    entropy_weight: float = 0.3
    """Weight of the nearest-neighbour entropy in that term (improved)."""
    classifier_weight: float = 1.0
    """Weight of the cross entropy (jem)."""
    sigma: float = 0.3
    """Standard deviation of a perturbation of the data (denoising, energy-discrepancy)."""
    ratio: int = 8
    """Negatives for each datum (noise-contrastive, energy-discrepancy)."""


@guarded
@dataclass(frozen=True)
class OptimiserConfig:
    """How the parameters move."""

    kind: Literal["adam", "sgd"] = "adam"
    """Adam, or plain gradient descent."""
    learning_rate: float = 4e-3
    """Its highest value."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """What becomes of the learning rate: a cosine decay to 0 over the training, or nothing."""
    warmup_steps: int = 0
    """Updates in which the learning rate rises from 0."""
    b1: float = 0.0
    """Decay of the first moment (adam)."""
    b2: float = 0.999
    """Decay of the second moment (adam)."""
    clip: float | None = 1.0
    """The norm to which a larger gradient is scaled down; none does not."""
    ema_decay: float = 0.99
    """Of the average of the parameters."""


@guarded
@dataclass(frozen=True)
class RunConfig:
    """A training run: `data`, `energy`, `sampler`, `negatives`, `objective` and `optimiser`, and
    how long."""

    data: DataConfig = field(default_factory=DataConfig)
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
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
