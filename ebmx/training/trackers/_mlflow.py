"""Metrics and pictures for MLflow."""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ._base import AbstractTracker, package
from ._pictures import as_bytes

_LONGEST, _MOST = 500, 100  # of the value of a parameter, and of parameters in a call


@dataclasses.dataclass
class MLflow(AbstractTracker):
    """Logs to MLflow. Needs `pip install 'ebmx[mlflow]'`.

    Where it logs to is said by its environment variables, such as `MLFLOW_TRACKING_URI`. Each call
    waits for the server, at most as long as `MLFLOW_HTTP_REQUEST_TIMEOUT` and
    `MLFLOW_HTTP_REQUEST_MAX_RETRIES` allow.

    Args:
        experiment: the name of the experiment, which is made if it is missing.
        name: of the run; one that MLflow makes up if not given.
        id: of a run that goes on. After the start it is that of the run.

    Raises:
        ImportError: with the pip line, if mlflow is missing.
    """

    experiment: str = "ebmx"
    name: str | None = dataclasses.field(default=None, kw_only=True)
    id: str | None = dataclasses.field(default=None, kw_only=True)
    _config: Mapping[str, Any] | None = dataclasses.field(default=None, init=False, repr=False)
    _client: Any = dataclasses.field(default=None, init=False, repr=False)
    _last: dict[str, int] = dataclasses.field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        package("mlflow", "mlflow")

    def start(self, step: int) -> None:
        """Begin a run, or go on with that of `id`; steps of a metric that it has are left out.

        Args:
            step: how many updates there were.
        """
        del step
        if self._client is not None:
            return
        client = package("mlflow", "mlflow").MlflowClient()
        if self.id is None:
            found = client.get_experiment_by_name(self.experiment)
            experiment = (
                client.create_experiment(self.experiment) if found is None else found.experiment_id
            )
            self.id = client.create_run(experiment, run_name=self.name).info.run_id
        else:
            client.update_run(self.id, status="RUNNING")
            for key in client.get_run(self.id).data.metrics:
                history = client.get_metric_history(self.id, key)
                self._last[key] = max(metric.step for metric in history)
        self._client = client
        if self._config is not None:
            self.log_config(self._config)

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Write `config.json`, and parameters, whose values stay those of the first time.

        Args:
            config: nested dictionaries.
        """
        self._config = config
        if self._client is None:
            return
        param = package("mlflow", "mlflow").entities.Param
        known = self._client.get_run(self.id).data.params
        new = ((key, value) for key, value in _flat("", config) if key not in known)
        params = [param(key, str(value)[:_LONGEST]) for key, value in new]
        for first in range(0, len(params), _MOST):
            self._client.log_batch(self.id, params=params[first : first + _MOST])
        self._client.log_dict(self.id, dict(config), "config.json")

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics, but for steps of before that the run has.

        Args:
            metrics: numbers by their names.
            step: how many updates there were.
        """
        self.start(step - 1)
        metric, now = package("mlflow", "mlflow").entities.Metric, round(1000 * time.time())
        new = {name: value for name, value in metrics.items() if step > self._last.get(name, -1)}
        entries = [metric(name, float(value), now, step) for name, value in new.items()]
        self._client.log_batch(self.id, metrics=entries)
        self._last |= dict.fromkeys(new, step)

    def log_picture(self, name: str, picture: Any, step: int) -> None:
        """Write the artifact `pictures/NAME-STEP.png`. Arguments as for `AbstractTracker`."""
        array = as_bytes(picture, "mlflow")
        self.start(step - 1)
        self._client.log_image(self.id, array, f"pictures/{name}-{step:07}.png")

    def close(self) -> None:
        """Say that the run is finished."""
        if self._client is not None:
            self._client.set_terminated(self.id)
            self._client = None


def _flat(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values in nested tables and lists by their places, such as `optim.0.kind`."""
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        items = enumerate(value)
    else:
        yield place, value
        return
    for name, one in items:
        yield from _flat(f"{place}.{name}".removeprefix("."), one)
