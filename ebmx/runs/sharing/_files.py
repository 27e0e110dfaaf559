"""The files of an exported energy, written and read."""

import dataclasses
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...config._tables import Config, read_config
from ...energies import Calibrated, freeze
from ...training.checkpoints._manifest import arrays_of, with_arrays
from .._facts import Facts
from .._folder import OpenRun
from .._run import known_of, make_energy, make_sampler
from ._model import NOISES, Model
from ._names import check_names

ENERGY, RECORD, CONFIG = "energy.safetensors", "ebmx.json", "config.toml"
_FORMAT = 1
_MOMENTS = ("mean", "covariance")


def safetensors() -> Any:
    """The package `safetensors`.

    Raises:
        ImportError: with the pip line if it is missing.
    """
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        text = "shared energies need safetensors: pip install 'ebmx[share]'"
        raise ImportError(text) from error
    return safetensors


def shared_config(opened: OpenRun) -> Config:
    """The config of a run, without the folder in which its data are."""
    data = {**opened.config["data"], "name": shown_name(opened.run.facts)}
    return {**opened.config, "data": data}


def shown_name(facts: Facts) -> str:
    """The name of the data, without the folder in which they are."""
    return facts.name if facts.path is None else Path(facts.path).name


def write_files(folder: Path, opened: OpenRun, model: Model) -> None:
    """Write the arrays of the energy, and what is needed to use it, but for the config."""
    state, facts = opened.state, opened.run.facts
    parts = {"energy": state.ema, "norm_state": state.norm_state}
    arrays = {name: np.array(a, order="C") for name, a in arrays_of(parts).items()}
    arrays |= {f"data.{name}": np.array(getattr(facts, name)) for name in _MOMENTS}
    versions = {name: metadata.version(name) for name in ("ebmx", "jax", "equinox")}
    # `save_file` makes a file that its owner alone may read
    (folder / ENERGY).write_bytes(safetensors().numpy.save(arrays, metadata=versions))
    values = dataclasses.asdict(dataclasses.replace(facts, name=shown_name(facts)))
    left_out = (*_MOMENTS, "path", "relative_path")
    noise = {name: np.asarray(value).tolist() for name, value in vars(model.noise).items()}
    record = {
        "format": _FORMAT,
        **versions,
        "updates": int(state.step),
        "data": {name: value for name, value in values.items() if name not in left_out},
        "log_z": None if opened.log_z is None else opened.log_z.tolist(),
        "noise": {"kind": type(model.noise).__name__, **noise},
        "num_steps": model.num_steps,
    }
    text = json.dumps(record, indent=2, ensure_ascii=False)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")


class Export:
    """The folder of an exported energy, read and checked; nothing of it is run.

    Args:
        folder: that `export` has written.
        modules: further modules whose classes its config may name.

    Raises:
        ValueError: if a file is missing or damaged, or the config names what it may not.
    """

    def __init__(self, folder: Path, modules: tuple[str, ...]):
        self.folder, self._modules = folder, modules
        self._config = read_config(folder / CONFIG)
        try:
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            _check_format(record["format"], folder)
            self._arrays = _read_arrays(folder / ENERGY)
            moments: Any = {name: self._arrays.pop(f"data.{name}") for name in _MOMENTS}
            values = record["data"]
            named = ("shape", "span", "columns", "classes")
            tuples: Any = {name: tuple(values[name]) for name in named if name in values}
            self._facts = Facts(**values | tuples | moments)
            self._log_z, self._num_steps = record["log_z"], record["num_steps"]
            noise = dict(record["noise"])
            self._noise = NOISES[noise.pop("kind")](**noise)
            self._known = known_of(self._config, self._facts)
        except (OSError, KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"folder={folder}: not of `ebmx export`, or damaged: {error}"
            ) from error

    def sampler(self) -> Any:
        """The sampler."""
        self._check("sampler")
        return make_sampler(self._config, self._known)

    def energy(self) -> Any:
        """The energy, with the arrays of the file."""
        self._check("energy")
        if "$sampler" in json.dumps(self._config["energy"]):
            self._known["sampler"] = self.sampler()
        energy, norm_state = make_energy(self._config, self._known)
        parts = {"energy": energy, "norm_state": norm_state}
        _check_shapes(self._arrays, arrays_of(parts), self.folder)
        found = with_arrays(parts, {name: _on_device(name, a) for name, a in self._arrays.items()})
        frozen: Any = freeze(found["energy"], found["norm_state"])
        return frozen if self._log_z is None else Calibrated(frozen, np.asarray(self._log_z))

    def model(self) -> Model:
        """The energy, and all that was exported with it."""
        parts = self.energy(), self.sampler(), self._config
        return Model(*parts, self._facts, self._noise, self._num_steps)

    def _check(self, part: str) -> None:
        if part not in self._config:
            raise ValueError(f"folder={self.folder}: {CONFIG} has no table [{part}]")
        check_names(self._config[part], self._modules, path=part)


def _check_format(found: int, folder: Path) -> None:
    if found != _FORMAT:
        fix = "install the version of ebmx that wrote it"
        raise ValueError(f"folder={folder}: of format {found}, not {_FORMAT}; {fix}")


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    library = safetensors()
    try:
        # this form, not `load_file`, reads bfloat16 as well
        with library.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except library.SafetensorError as error:
        raise ValueError(f"path={path}: damaged: {error}") from error


def _on_device(name: str, array: np.ndarray) -> jax.Array:
    found = jnp.asarray(array)
    if found.dtype != array.dtype:
        fix = "enable it: jax.config.update('jax_enable_x64', True)"
        raise ValueError(f"{name}={array.dtype}: {fix}")
    return found


def _check_shapes(saved: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """Check the places and shapes of arrays; their types are those of the file."""
    shapes = [{name: tuple(a.shape) for name, a in arrays.items()} for arrays in (saved, wanted)]
    names = sorted({*shapes[0], *shapes[1]})
    wrong = [n for n in names if shapes[0].get(n) != shapes[1].get(n)]
    if wrong:
        words = [
            f"{n} is {shapes[0].get(n, 'none')}, not {shapes[1].get(n, 'none')}" for n in wrong
        ]
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        text = f"{ENERGY} does not fit {CONFIG}: {', '.join(words[:3])}{more}"
        raise ValueError(f"folder={folder}: {text}")
