"""Checkpoints: the state of a training on disk, complete or absent."""

from ._manifest import CheckpointError as CheckpointError
from ._restore import restore as restore
from ._restore import restore_energy as restore_energy
from ._single_file import load_energy as load_energy
from ._single_file import save_energy as save_energy
from ._writer import Checkpoints as Checkpoints
from ._writer import SaveWarning as SaveWarning
