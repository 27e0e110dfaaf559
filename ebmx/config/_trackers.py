"""The table `[trackers]` of a config: where a run is logged beside its folder."""

from collections.abc import Mapping
from typing import Any

from ..training import CSV, AbstractTracker, MLflow, TensorBoard, Trackio, WandB
from ._calls import check_arguments, nearest

TRACKERS: dict[str, type[AbstractTracker]] = {
    "csv": CSV,
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
    "trackio": Trackio,
}
"""The trackers that a config may name."""
OWN = ("path", "folder", "id")
"""Their arguments that a run fills in."""


def check_trackers(table: Mapping[str, Any]) -> None:
    """Check the names of trackers, and those of their arguments."""
    for name, arguments in table.items():
        if name not in TRACKERS:
            near = nearest(name, TRACKERS)
            raise ValueError(f"trackers.{name}: no tracker{near} ({', '.join(TRACKERS)})")
        if not isinstance(arguments, Mapping):
            raise ValueError(f"trackers.{name}={arguments!r}: give a table, such as {{}}")
        check_arguments(TRACKERS[name], arguments, f"trackers.{name}")
        for key, value in arguments.items():
            if key in OWN:
                raise ValueError(f"trackers.{name}.{key}: a run has its own; leave it out")
            if not isinstance(value, str):
                raise ValueError(f"trackers.{name}.{key}={value!r}: give a text")
