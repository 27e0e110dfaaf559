"""Evaluation: how good a model and its samples are."""

from ._diagnostics import ConvergenceWarning as ConvergenceWarning
from ._diagnostics import Diagnosis as Diagnosis
from ._diagnostics import diagnose as diagnose
from ._diagnostics import to_arviz as to_arviz
from ._frechet import frechet_distance as frechet_distance
