"""The tables `[monitor]` and `[watchdog]` of a config: what looks at a run as it goes.

States are measured on data set aside.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .. import _checks
from .._json import finite
from .._types import Key
from ..config._calls import build, check_arguments
from ..config._tables import Config
from ..energies import AbstractNoiseConditionalEnergy, log_density
from ..energies import energy as energies_of
from ..evaluation.samples._frechet import mean_distance, ratio_of
from ..training import Monitor, TrainState, Watchdog
from ._folder import BEST
from ._metrics_log import Log
from ._run import Run, averaged, evaluated_energy, of_class, with_noise
from ._sample import draw
from ._trackers import Tracking
from .report._features import extractor_of, in_chunks

_NUM = 4096
_EVERY = 500


def check_monitor(run: Run) -> None:
    """Check that the metric is one of this energy, and that there is enough data to set aside.

    Of a watchdog, the arguments.
    """
    watchdog_of(run.config)
    table = run.config.get("monitor")
    if table is None:
        return
    fix = 'only an energy over noise levels is normalised: give "frechet_ratio" or "energy_gap"'
    levels = isinstance(run.energy, AbstractNoiseConditionalEnergy) and run.energy.is_normalised
    ok = table["metric"] != "log_likelihood" or levels
    _checks.require(ok, "monitor.metric", table["metric"], fix)
    if run.dataset is not None:
        num, fix = len(run.validation().test), "at least 2 examples have to be set aside"
        _checks.require(num >= 2, "monitor.fraction", table.get("fraction", "not given"), fix)


def watchdog_of(config: Config) -> Watchdog | None:
    """The watchdog of a run; an error names the place in the config."""
    if "watchdog" not in config:
        return None
    check_arguments(Watchdog, config["watchdog"], "watchdog")
    return build({"kind": "Watchdog", **config["watchdog"]}, path="watchdog")


def monitor_of(
    run: Run, folder: Path, log: Log, tracking: Tracking | None = None
) -> Monitor | None:
    """The monitor of a run, whose time does not count as that of the training.

    What it draws is logged.
    """
    table = run.config.get("monitor")
    if table is None:
        return None
    patience, made = table.get("patience", "none"), {}

    def measure(state: TrainState, *, key: Key) -> float:
        with log.paused(), warnings.catch_warnings():
            # the report warns of the samples of the last state
            warnings.simplefilter("ignore")
            if not made:
                made["measure"] = _METRICS[table["metric"]](run, table.get("num", _NUM))
            value, x = made["measure"](state, key)
            if tracking is not None and x is not None:
                tracking.log_samples(x, int(state.step), run.facts.span)
            return value

    return Monitor(
        measure,
        every=table.get("every", _EVERY),
        patience=None if patience == "none" else patience,
        folder=folder / BEST,
        key=jax.random.fold_in(jax.random.key(run.seed), 3),
    )


def facts_of(run: Run, monitor: Monitor | None) -> dict[str, Any]:
    """What `report.json` says of the measurements."""
    if monitor is None:
        return {}
    return {
        "metric": run.config["monitor"]["metric"],
        "best_update": monitor.best_step,
        "best_value": finite(monitor.best_value),
        "last_value": finite(monitor.last_value),
    }


_Measure = Callable[[TrainState, Key], tuple[float, np.ndarray | None]]
"""Returns the value, and the samples that were drawn for it."""


def _frechet_ratio(run: Run, num: int) -> _Measure:
    """The distance of samples to the data set aside, over that of as many that are trained on."""
    dataset = run.validation()
    extractor = extractor_of(dataset, seed=run.seed)
    held_out, trained = (
        extractor.features(with_noise(run.energy, x, seed=run.seed + i))
        for i, x in enumerate((dataset.test, dataset.train))
    )
    size = min(len(trained), num)
    unit = mean_distance(trained, held_out, size)

    def measure(state: TrainState, key: Key) -> tuple[float, np.ndarray | None]:
        x = draw(run, state, num, key=key).x
        if not np.all(np.isfinite(x)):
            return np.inf, x
        return ratio_of(mean_distance(extractor.features(x), held_out, size), unit), x

    return measure


def _log_likelihood(run: Run, num: int) -> _Measure:
    """Minus the mean log density of the data set aside, with noise of the lowest level."""
    del num
    held_out = with_noise(run.energy, run.validation().test, seed=run.seed)

    def measure(state: TrainState, key: Key) -> tuple[float, np.ndarray | None]:
        del key
        energy = of_class(averaged(state), None)
        return -float(in_chunks(lambda x: log_density(energy, x), held_out).mean()), None

    return measure


def _energy_gap(run: Run, num: int) -> _Measure:
    """How far the mean energies of samples and of the data set aside are apart."""
    held_out = with_noise(run.energy, run.validation().test, seed=run.seed)

    def measure(state: TrainState, key: Key) -> tuple[float, np.ndarray | None]:
        energy = evaluated_energy(state)
        sets = held_out, draw(run, state, num, key=key).x
        means = [in_chunks(lambda x: energies_of(energy, x), x).mean() for x in sets]
        return float(abs(means[0] - means[1])), sets[1]

    return measure


_METRICS: dict[str, Callable[[Run, int], _Measure]] = {
    "frechet_ratio": _frechet_ratio,
    "log_likelihood": _log_likelihood,
    "energy_gap": _energy_gap,
}
