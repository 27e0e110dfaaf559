"""Sources of negatives: where the second batch of a training step comes from."""

from ._base import AbstractNegatives as AbstractNegatives
from ._base import NegativesInfo as NegativesInfo
from ._buffer import ReplayBuffer as ReplayBuffer
from ._chain_free import DataOnly as DataOnly
from ._chain_free import Neighbours as Neighbours
from ._chain_free import NoiseSamples as NoiseSamples
from ._chain_free import Perturbed as Perturbed
from ._chain_free import PerturbedTwice as PerturbedTwice
from ._chain_free import QuadraturePoints as QuadraturePoints
from ._chain_free import RandomProjections as RandomProjections
from ._jarzynski import Jarzynski as Jarzynski
from ._noise import AbstractNoise as AbstractNoise
from ._noise import GaussianNoise as GaussianNoise
from ._noise import UniformNoise as UniformNoise
from ._num_steps_adaptation import NumStepsAdaptation as NumStepsAdaptation
from ._persistent import PCD as PCD
from ._recovery import DiffusionRecovery as DiffusionRecovery
from ._restarted import CD as CD
from ._restarted import ShortRun as ShortRun
from ._step_size_adaptation import StepSizeAdaptation as StepSizeAdaptation
from ._storage import AbstractStorage as AbstractStorage
from ._storage import BFloat16 as BFloat16
from ._storage import UInt8 as UInt8
from ._tempered import TemperedPCD as TemperedPCD
from ._transport import TransportPairs as TransportPairs
