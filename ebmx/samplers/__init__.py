"""Samplers: Markov chains that walk on an energy."""

from ._base import AbstractSampler as AbstractSampler
from ._base import StepInfo as StepInfo
from ._blackjax import HMC as HMC
from ._blackjax import MALA as MALA
from ._blackjax import MCLMC as MCLMC
from ._blackjax import NUTS as NUTS
from ._blackjax import AbstractKernelSampler as AbstractKernelSampler
from ._blackjax import Barker as Barker
from ._blackjax import BlackJAX as BlackJAX
from ._increments import binomial as binomial
from ._increments import normal as normal
from ._increments import rademacher as rademacher
from ._langevin import AbstractLangevin as AbstractLangevin
from ._langevin import Langevin as Langevin
from ._langevin import displacement_budget as displacement_budget
from ._preconditioned import AbstractPreconditioner as AbstractPreconditioner
from ._preconditioned import Diagonal as Diagonal
from ._preconditioned import PreconditionedLangevin as PreconditionedLangevin
from ._preconditioned import RMSProp as RMSProp
from ._run import run as run
from ._sample import RESULTS as RESULTS
from ._sample import Samples as Samples
from ._sample import sample as sample
from ._sample import save_position as save_position
from ._underdamped import UnderdampedLangevin as UnderdampedLangevin
