"""A tracker that keeps what it is told, and may fail."""

import dataclasses

from ebmx.training import AbstractTracker


@dataclasses.dataclass
class Recording(AbstractTracker):
    calls: list = dataclasses.field(default_factory=list)
    failing: tuple = ()

    def start(self, step):
        self._note("start", step)

    def log_config(self, config):
        self._note("log_config", config)

    def log(self, metrics, step):
        self._note("log", metrics, step)

    def log_picture(self, name, picture, step):
        self._note("log_picture", name, picture, step)

    def close(self):
        self._note("close")

    def _note(self, *call):
        self.calls.append(call)
        if call[0] in self.failing:
            raise ConnectionError("the server is gone")
