"""Runs: a training, its folder, its samples and its report."""

from .._arguments import check_public as _check_public
from ._evaluate import evaluate as evaluate
from ._folder import OpenRun as OpenRun
from ._folder import open as open
from ._plan import check as check
from ._sample import sample as sample
from ._train import resume as resume
from ._train import train as train
from .sharing._export import export as export
from .sharing._load import load_energy as load_energy
from .sharing._load import load_model as load_model
from .sharing._model import Model as Model

_check_public(globals())
