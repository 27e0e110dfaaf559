"""Densities with exact normalisers, moments and samples."""

from ._bernoulli import Bernoulli as Bernoulli
from ._double_well import DoubleWell as DoubleWell
from ._gaussian import Gaussian as Gaussian
from ._gaussian_mixture import GaussianMixture as GaussianMixture
from ._plane import plane as plane
from ._rbm import BernoulliRBM as BernoulliRBM
from ._targets import Banana as Banana
from ._targets import Funnel as Funnel
from ._targets import Ring as Ring
from ._targets import StudentT as StudentT
from ._uniform import Uniform as Uniform
