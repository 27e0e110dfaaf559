"""Metrics and pictures for Weights & Biases."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ._base import AbstractTracker, package
from ._pictures import as_bytes


@dataclasses.dataclass
class WandB(AbstractTracker):
    """Logs to Weights & Biases. Needs `pip install 'ebmx[wandb]'`.

    All else is said by its environment variables, such as `WANDB_MODE=offline`, `WANDB_ENTITY`
    and `WANDB_DIR`. It ignores steps that it has already.

    Args:
        project: of the run.
        name: of the run; one that W&B makes up if not given.
        id: of the run, unique in the project; a training that goes on needs that of before. After
            the start it is that of the run.

    Raises:
        ImportError: with the pip line, if wandb is missing.
    """

    project: str = "ebmx"
    name: str | None = dataclasses.field(default=None, kw_only=True)
    id: str | None = dataclasses.field(default=None, kw_only=True)
    _config: Mapping[str, Any] | None = dataclasses.field(default=None, init=False, repr=False)
    _run: Any = dataclasses.field(default=None, init=False, repr=False)

    def __post_init__(self):
        package("wandb", "wandb")

    def start(self, step: int) -> None:
        """Begin a run, or go on with that of `id`.

        Args:
            step: how many updates there were; with 0 the run must be new.
        """
        if self._run is None:
            self._run = package("wandb", "wandb").init(
                project=self.project,
                name=self.name,
                id=self.id,
                resume="never" if step == 0 else "allow",
                reinit="create_new",
            )
            self.id = self._run.id
            if self._config is not None:
                self.log_config(self._config)

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Log the config of the run, of which values may change.

        Args:
            config: nested dictionaries.
        """
        self._config = config
        if self._run is not None:
            self._run.config.update(dict(config), allow_val_change=True)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Hand metrics to W&B, which sends them in the background.

        Args:
            metrics: numbers by their names.
            step: how many updates there were.
        """
        self.start(step - 1)
        self._run.log({name: float(value) for name, value in metrics.items()}, step=step)

    def log_picture(self, name: str, picture: Any, step: int) -> None:
        """Log an image. Arguments as for `AbstractTracker.log_picture`."""
        array = as_bytes(picture, "wandb")
        self.start(step - 1)
        self._run.log({name: package("wandb", "wandb").Image(array)}, step=step)

    def close(self) -> None:
        """Finish the run, and wait until all is sent."""
        if self._run is not None:
            self._run.finish()
            self._run = None
