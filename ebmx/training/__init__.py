"""Training: where the second batch comes from, and a plain loss."""

from ._adaptation import StepSizeAdaptation as StepSizeAdaptation
from ._buffer import ReplayBuffer as ReplayBuffer
from ._chains import CD as CD
from ._chains import PCD as PCD
from ._chains import ShortRun as ShortRun
from ._checkpoint import load as load
from ._checkpoint import save as save
from ._classifier import Classifier as Classifier
from ._classifier import train_classifier as train_classifier
from ._fit import fit as fit
from ._losses import contrastive_loss as contrastive_loss
from ._metrics import distinct_share as distinct_share
from ._negatives import AbstractNegatives as AbstractNegatives
from ._negatives import NegativesInfo as NegativesInfo
from ._noise import AbstractNoise as AbstractNoise
from ._noise import GaussianNoise as GaussianNoise
from ._noise import UniformNoise as UniformNoise
from ._progress import AbstractProgress as AbstractProgress
from ._progress import NoProgress as NoProgress
from ._progress import TqdmProgress as TqdmProgress
from ._trainer import Trainer as Trainer
from ._trainer import TrainState as TrainState
