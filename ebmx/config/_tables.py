"""Configs as nested tables: read, written, merged and changed at one place."""

import copy
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ._calls import PARTS, SLOTS, nearest
from ._trackers import check_trackers

Config = dict[str, Any]
"""A training run as nested tables: see `read_config`."""

SCALARS = {
    "description": (str, "what the config is for."),
    "num_steps": (int, "how many updates."),
    "seconds": (float, "how long to train, without the time to compile."),
    "log_every": (int, "updates between two lines of metrics."),
    "seed": (int, "random seed."),
}
"""The keys of a config beside its tables, their types and what they mean."""
DATA = {
    "name": "a data set as `ebmx.data.load` takes it: digits, mnist-5k, hf:NAME or a path.",
    "layout": "what the axes of examples are: auto, images, channels-first, series, table.",
    "test_fraction": "how much of the examples is held out, where the source has no test part.",
    "label": "the column of a table that holds the labels: its name, auto or none.",
    "image_size": "the size to resize images of a folder to: [height, width], or one number.",
    "batch_size": "examples, and chains, in an update.",
    "standardise": "scale each column to mean 0 and standard deviation 1, not to [-1, 1].",
    "binarise": "zeros and ones in place of numbers: the threshold, as a fraction of the range.",
}
MONITOR = {
    "metric": "what is measured, lower is better: frechet_ratio; log_likelihood (minus the mean "
    "log density, of an energy over noise levels); or energy_gap (of samples and data).",
    "every": "updates between two measurements (500).",
    "patience": "after how many measurements without a better one the training ends; none: never.",
    "fraction": "how much of the training data is set aside to measure with (0.1).",
    "num": "how many samples are drawn for a measurement (4096).",
}
CALIBRATION = {
    "num_chains": "how many chains are annealed down the noise levels (256).",
    "num_temperatures": "how many steps of the annealing (1000).",
    "num_steps": "of the sampler at each (1).",
}
METRICS = ("frechet_ratio", "log_likelihood", "energy_gap")
KEYS = ("data", *PARTS, "trainer", "watchdog", "monitor", "calibration", "trackers", *SCALARS)
MAX_SEED = 2**32 - 1


def read_config(path: str | Path) -> Config:
    """Read a config from TOML.

    Its tables are `data` (`name`, `batch_size` and what `ebmx.data.load` takes); the calls
    `energy`, `sampler`, `negatives`, `loss` and `optim` (one call, or several that are chained);
    `trainer` (further arguments of `Trainer`); `watchdog` (arguments of `Watchdog`), if alarms are
    to end the training; `monitor`, if states are to be measured during it (`metric`, `every`,
    `patience`, `fraction`, `num`); `calibration`, if `calibrate_levels` is to follow it
    (`num_chains`, `num_temperatures`, `num_steps`); and `trackers`, a table of each further place
    where the run is logged (`csv`, `tensorboard`, `wandb`, `mlflow`, `trackio`). Beside them stand
    `num_steps` or `seconds`, `log_every`, `seed` and `description`.

    Args:
        path: of the file.

    Returns:
        Nested dictionaries.

    Raises:
        ValueError: if the file does not exist or is not TOML, or a key is unknown or of another
            type.
    """
    try:
        config = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ValueError(f"path={path}: the file does not exist") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"path={path}: not a TOML file: {error}") from error
    check_keys(config)
    return config


def write_config(path: str | Path, config: Config) -> None:
    """Write a config as TOML. Needs `pip install 'ebmx[cli]'`.

    Args:
        path: of the file, which is replaced.
        config: a config.

    Raises:
        ImportError: with the pip line if tomli-w is missing.
        ValueError: if a key is unknown or of another type.
    """
    check_keys(config)
    Path(path).write_text(to_toml(config), encoding="utf-8")


def to_toml(config: Config) -> str:
    """A config as TOML."""
    try:
        import tomli_w
    except ImportError as error:
        raise ImportError("writing TOML needs tomli-w: pip install 'ebmx[cli]'") from error
    return tomli_w.dumps(_plain(config))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if value is None:
        return "none"
    return value if isinstance(value, str | bool | int | float) else str(value)


def check_keys(config: Config) -> None:
    """Check the keys of a config and the types of its numbers."""
    for key, value in config.items():
        if key not in KEYS:
            near = nearest(key, KEYS)
            raise ValueError(f"{key}: no key of a config{near} (it has {', '.join(KEYS)})")
        if key in SCALARS:
            _check_scalar(key, value)
        elif not (isinstance(value, Mapping) or (key == "optim" and isinstance(value, list))):
            raise ValueError(f"{key}={value!r}: give a table, such as [{key}]")
    for key in config.get("data", {}):
        if key not in DATA:
            raise ValueError(f"data.{key}: not a key{nearest(key, DATA)} ({', '.join(DATA)})")
    if "monitor" in config:
        _check_monitor(config["monitor"])
    if "calibration" in config:
        _check_calibration(config["calibration"])
    check_trackers(config.get("trackers", {}))


def _check_calibration(table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        if key not in CALIBRATION:
            near = nearest(key, CALIBRATION)
            raise ValueError(f"calibration.{key}: not a key{near} ({', '.join(CALIBRATION)})")
        least = 2 if key == "num_chains" else 1
        if not _is_whole(value, least):
            fix = f"give a whole number of at least {least}"
            raise ValueError(f"calibration.{key}={value!r}: {fix}")


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _check_monitor(table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        if key not in MONITOR:
            near = nearest(key, MONITOR)
            raise ValueError(f"monitor.{key}: not a key{near} ({', '.join(MONITOR)})")
        whole = _is_whole(value, 1)
        if key in ("every", "num") and not whole:
            raise ValueError(f"monitor.{key}={value!r}: give a whole number of at least 1")
        if key == "patience" and not whole and value != "none":
            raise ValueError(
                f'monitor.{key}={value!r}: give a whole number of at least 1, or "none"'
            )
        if key == "fraction" and not (isinstance(value, float) and 0 < value < 1):
            raise ValueError(f"monitor.{key}={value!r}: give a number between 0 and 1")
    metric = table.get("metric")
    if metric not in METRICS:
        near = nearest(str(metric), METRICS)
        raise ValueError(f"monitor.metric={metric!r}: unknown{near} ({', '.join(METRICS)})")


def _check_scalar(key: str, value: Any) -> None:
    wanted, _ = SCALARS[key]
    kind = int | float if wanted is float else wanted
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{key}={value!r}: give a value of type {wanted.__name__}")
    if key in ("num_steps", "seconds", "log_every") and not value > 0:
        raise ValueError(f"{key}={value!r}: give a number above 0")
    if key == "seed" and not 0 <= value <= MAX_SEED:
        raise ValueError(f"seed={value}: give a whole number from 0 to {MAX_SEED}")


def merge(config: Mapping[str, Any], changes: Mapping[str, Any]) -> Config:
    """A config with changes: tables are merged, all other values replaced.

    A table that names another `kind` replaces the whole call, whose arguments belong to the old
    kind. `num_steps` and `seconds` replace each other.

    Args:
        config: a config, or a table of one.
        changes: nested dictionaries.

    Returns:
        The changed config; neither argument is changed.
    """
    if "kind" in changes and changes["kind"] != config.get("kind"):
        return copy.deepcopy(dict(changes))
    merged = copy.deepcopy(dict(config))
    for one, other in (("num_steps", "seconds"), ("seconds", "num_steps")):
        if one in changes:
            merged.pop(other, None)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(old, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def change(config: Config, place: str, value: Any) -> Config:
    """A config with one value at a place such as `"sampler.step_size"`.

    An element of a list is named by its number or its kind: `"optim.muon.momentum"`. A word in
    place of a call names its kind: `("sampler", "MALA")` is `("sampler.kind", "MALA")`, and
    `("negatives.storage", "UInt8")` is `("negatives.storage.kind", "UInt8")`.
    """
    words = place.split(".")
    if words[0] in PARTS and (len(words) == 1 or words[-1] == "kind") and isinstance(value, str):
        words = [word for word in words if word != "kind"]
        value = {"kind": value}
    elif len(words) > 1 and isinstance(value, str) and _is_call(config, words, value):
        value = {"kind": value}
    if words[0] not in KEYS:
        raise ValueError(f"--{place}: no key of a config{nearest(words[0], KEYS)}")
    changed = _changed(config, words, value, place)
    check_keys(changed)
    return changed


def _is_call(config: Config, words: Sequence[str], value: str) -> bool:
    """Whether a word at a place names a kind: where a call is, or where arguments are calls."""
    node: Any = config
    for word in words:
        if isinstance(node, list):
            index = _index(node, word)
            node = None if index is None else node[index]
        else:
            node = node.get(word) if isinstance(node, Mapping) else None
    slots = any(words[-1] in names for names in SLOTS.values())
    named = words[0] in PARTS and slots and value != "none" and not value.startswith("$")
    return named or isinstance(node, Mapping)


def _kind(value: Any) -> str:
    return str(value.get("kind", "")) if isinstance(value, Mapping) else str(value)


def _index(calls: list[Any], word: str) -> int | None:
    """Which one of a list of calls a word names, by its number or its kind."""
    names = [(str(i), _kind(call).rpartition(".")[2]) for i, call in enumerate(calls)]
    return next((i for i, both in enumerate(names) if word in both), None)


def _changed(node: Any, words: Sequence[str], value: Any, place: str) -> Any:
    first, *rest = words
    if isinstance(node, list):
        index = _index(node, first)
        if index is None:
            listed = ", ".join(map(_kind, node))
            raise ValueError(f"--{place}: {first} is not in the list ({listed})")
        new = _changed(node[index], rest, value, place) if rest else value
        return [*node[:index], new, *node[index + 1 :]]
    node = node if isinstance(node, Mapping) else {}
    if rest:
        return {**node, first: _changed(node.get(first, {}), rest, value, place)}
    return merge(node, {first: value})
