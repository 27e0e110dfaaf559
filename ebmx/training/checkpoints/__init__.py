"""Checkpoints: a training's state on disk, complete or absent."""

from ._manifest import CheckpointError as CheckpointError
from ._manifest import DamagedCheckpointError as DamagedCheckpointError
from ._manifest import OtherConfigError as OtherConfigError
from ._restore import checkpoint_config as checkpoint_config
from ._restore import restore as restore
from ._restore import restore_energy as restore_energy
from ._single_file import load as load
from ._single_file import save as save
from ._writer import Checkpoints as Checkpoints
from ._writer import SaveError as SaveError
from ._writer import SaveWarning as SaveWarning
