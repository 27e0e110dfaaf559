"""Samplers: Markov chains that walk on an energy."""

from ._base import AbstractSampler as AbstractSampler
from ._base import StepInfo as StepInfo
from ._langevin import Langevin as Langevin
from ._langevin import displacement_budget as displacement_budget
from ._run import run as run
from ._sample import RESULTS as RESULTS
from ._sample import Samples as Samples
from ._sample import sample as sample
from ._sample import save_position as save_position
