"""Training: sources of negatives, losses, the trainer and its loop, checkpoints."""

from .._arguments import check_public as _check_public
from ._batch import Examples as Examples
from ._fit import fit as fit
from ._learning_rate import cosine_schedule as cosine_schedule
from ._monitor import Monitor as Monitor
from ._objective import Objective as Objective
from ._optimisers import muon as muon
from ._outliers import SkipOutliers as SkipOutliers
from ._progress import AbstractProgress as AbstractProgress
from ._progress import TqdmProgress as TqdmProgress
from ._sharding import shard as shard
from ._state import TrainState as TrainState
from ._trainer import Trainer as Trainer
from ._watchdog import DivergedError as DivergedError
from ._watchdog import RecoveryWarning as RecoveryWarning
from ._watchdog import Watchdog as Watchdog
from .checkpoints._manifest import CheckpointError as CheckpointError
from .checkpoints._restore import restore as restore
from .checkpoints._restore import restore_energy as restore_energy
from .checkpoints._single_file import load_energy as load_energy
from .checkpoints._single_file import save_energy as save_energy
from .checkpoints._writer import Checkpoints as Checkpoints
from .checkpoints._writer import SaveWarning as SaveWarning
from .losses._binary_contrastive import binary_contrastive_loss as binary_contrastive_loss
from .losses._combine import WeightedSum as WeightedSum
from .losses._contrastive import contrastive_loss as contrastive_loss
from .losses._cross_entropy import cross_entropy_loss as cross_entropy_loss
from .losses._energy_matching import transport_matching_loss as transport_matching_loss
from .losses._improved_cd import sampler_divergence_loss as sampler_divergence_loss
from .losses._noise_contrastive import energy_discrepancy_loss as energy_discrepancy_loss
from .losses._noise_contrastive import (
    minimum_probability_flow_loss as minimum_probability_flow_loss,
)
from .losses._noise_contrastive import negative_log_likelihood_loss as negative_log_likelihood_loss
from .losses._noise_contrastive import noise_contrastive_loss as noise_contrastive_loss
from .losses._noise_levels import level_classification_loss as level_classification_loss
from .losses._noise_levels import level_derivative_loss as level_derivative_loss
from .losses._noise_levels import noise_level_loss as noise_level_loss
from .losses._score_matching import denoising_score_matching_loss as denoising_score_matching_loss
from .losses._score_matching import score_matching_loss as score_matching_loss
from .losses._score_matching import sliced_score_matching_loss as sliced_score_matching_loss
from .negatives._base import AbstractNegatives as AbstractNegatives
from .negatives._base import NegativesInfo as NegativesInfo
from .negatives._buffer import ReplayBuffer as ReplayBuffer
from .negatives._chain_free import DataOnly as DataOnly
from .negatives._chain_free import Neighbours as Neighbours
from .negatives._chain_free import NoiseSamples as NoiseSamples
from .negatives._chain_free import Perturbed as Perturbed
from .negatives._chain_free import PerturbedTwice as PerturbedTwice
from .negatives._chain_free import QuadraturePoints as QuadraturePoints
from .negatives._chain_free import RandomProjections as RandomProjections
from .negatives._jarzynski import Jarzynski as Jarzynski
from .negatives._noise import AbstractNoise as AbstractNoise
from .negatives._noise import GaussianNoise as GaussianNoise
from .negatives._noise import UniformNoise as UniformNoise
from .negatives._num_steps_adaptation import NumStepsAdaptation as NumStepsAdaptation
from .negatives._persistent import PCD as PCD
from .negatives._perturbed_levels import AdaptiveLevels as AdaptiveLevels
from .negatives._perturbed_levels import PerturbedLevels as PerturbedLevels
from .negatives._recovery import DiffusionRecovery as DiffusionRecovery
from .negatives._restarted import CD as CD
from .negatives._restarted import ShortRun as ShortRun
from .negatives._split import SplitNegatives as SplitNegatives
from .negatives._step_size_adaptation import StepSizeAdaptation as StepSizeAdaptation
from .negatives._storage import AbstractStorage as AbstractStorage
from .negatives._storage import BFloat16 as BFloat16
from .negatives._storage import UInt8 as UInt8
from .negatives._tempered import TemperedPCD as TemperedPCD
from .negatives._transport import TransportPairs as TransportPairs

_check_public(globals(), but=("NegativesInfo", "TrainState"))
