"""Runs: a training, its folder, its samples and its report."""

from ._check import check as check
from ._evaluate import Evaluation as Evaluation
from ._evaluate import evaluate as evaluate
from ._train import Report as Report
from ._train import resume as resume
from ._train import sample as sample
from ._train import train as train
from .report import frechet_judge as frechet_judge
