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
from ._classifier import Marginal as Marginal
from ._composition import Box as Box
from ._composition import Mixture as Mixture
from ._composition import Normalised as Normalised
from ._conditional import AbstractConditionalEnergy as AbstractConditionalEnergy
from ._conditional import Conditional as Conditional
from ._constants import constant as constant
from ._freeze import advance as advance
from ._freeze import freeze as freeze
from ._trainable import Fixed as Fixed
from ._trainable import trainable as trainable
from .constraints._clamped import Clamped as Clamped
from .constraints._raveled import Raveled as Raveled
from .constraints._transformed import Transformed as Transformed
from .exact._bernoulli import Bernoulli as Bernoulli
from .exact._gaussian import Gaussian as Gaussian
from .exact._gaussian_mixture import GaussianMixture as GaussianMixture
from .exact._plane import plane as plane
from .exact._rbm import BernoulliRBM as BernoulliRBM
from .exact._targets import Banana as Banana
from .exact._targets import DoubleWell as DoubleWell
from .exact._targets import Funnel as Funnel
from .exact._targets import Ring as Ring
from .exact._targets import StudentT as StudentT
from .exact._uniform import Uniform as Uniform
from .networks._convnet import ConvNet as ConvNet
from .networks._convolution import Convolution as Convolution
from .networks._mlp import MLP as MLP
from .networks._presets import deep as deep
from .networks._presets import mnist as mnist
from .networks._resnet import BatchNormResNet as BatchNormResNet
from .networks._resnet import ResNet as ResNet
from .networks._spectral_norm import SpectralNorm as SpectralNorm

_check_public(globals())
