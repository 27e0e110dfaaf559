"""Energies: functions from one example to one number, `E(x)`."""

from ._base import AbstractAnalyticEnergy as AbstractAnalyticEnergy
from ._base import AbstractEnergy as AbstractEnergy
from ._base import AbstractExactEnergy as AbstractExactEnergy
from ._base import AbstractStatefulEnergy as AbstractStatefulEnergy
from ._convnet import ConvNet as ConvNet
from ._convolution import Convolution as Convolution
from ._curved import Banana as Banana
from ._curved import DoubleWell as DoubleWell
from ._curved import Funnel as Funnel
from ._curved import Ring as Ring
from ._curved import StudentT as StudentT
from ._evaluate import as_scalar as as_scalar
from ._evaluate import energy as energy
from ._evaluate import log_density_unnormalised as log_density_unnormalised
from ._evaluate import score as score
from ._evaluate import shape_of as shape_of
from ._evaluate import value_and_gradient as value_and_gradient
from ._factories import mnist as mnist
from ._factories import uva_mnist as uva_mnist
from ._frozen import advance as advance
from ._frozen import freeze as freeze
from ._gaussian import Gaussian as Gaussian
from ._mixture import GaussianMixture as GaussianMixture
from ._mlp import MLP as MLP
