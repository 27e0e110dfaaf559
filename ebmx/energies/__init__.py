"""Energies: functions from one example to one number, `E(x)`."""

from .._arguments import check_public as _check_public
from ._base import AbstractEnergy as AbstractEnergy
from ._base import AbstractExactEnergy as AbstractExactEnergy
from ._base import AbstractStatefulEnergy as AbstractStatefulEnergy
from ._base import Function as Function
from ._base import Product as Product
from ._base import Weighted as Weighted
from ._batch import energy as energy
from ._batch import exact_samples as exact_samples
from ._batch import score as score
from ._classifier import JEM as JEM
from ._composition import Box as Box
from ._composition import Mixture as Mixture
from ._composition import Normalised as Normalised
from ._conditional import AbstractConditionalEnergy as AbstractConditionalEnergy
from ._conditional import Conditional as Conditional
from ._constants import constant as constant
from ._freeze import advance as advance
from ._freeze import freeze as freeze
from ._marginal import Marginal as Marginal
from ._trainable import Fixed as Fixed
from ._trainable import trainable as trainable
from .constraints import Clamped as Clamped
from .constraints import Raveled as Raveled
from .constraints import Transformed as Transformed
from .exact import Banana as Banana
from .exact import Bernoulli as Bernoulli
from .exact import BernoulliRBM as BernoulliRBM
from .exact import DoubleWell as DoubleWell
from .exact import Funnel as Funnel
from .exact import Gaussian as Gaussian
from .exact import GaussianMixture as GaussianMixture
from .exact import Ring as Ring
from .exact import StudentT as StudentT
from .exact import Uniform as Uniform
from .exact import plane as plane
from .networks import MLP as MLP
from .networks import BatchNormResNet as BatchNormResNet
from .networks import ConvNet as ConvNet
from .networks import Convolution as Convolution
from .networks import ResNet as ResNet
from .networks import SpectralNorm as SpectralNorm
from .networks import deep as deep
from .networks import mnist as mnist

_check_public(globals())
