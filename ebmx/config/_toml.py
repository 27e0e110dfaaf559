"""Configs to TOML and back."""

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from .. import _checks
from .._arguments import guarded
from ._schema import RunConfig

NONE = "none"
"""`None` in TOML, which has no such value."""


@guarded
def to_dict(config: Any) -> dict[str, Any]:
    """A config as nested dictionaries of TOML's types.

    `None` is left out where it is the default, and `"none"` where it is not.

    Args:
        config: a config, or a part of one.

    Returns:
        Nested dictionaries, which `from_dict` reads.
    """
    out: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            value = to_dict(value)
        if isinstance(value, tuple):
            value = list(value)
        if value is None and field.default is not None:
            value = NONE
        if value is not None:
            out[field.name] = value
    return out


@guarded
def from_dict(values: dict[str, Any], kind: type = RunConfig, path: str = "") -> Any:
    """The config of these nested dictionaries.

    Args:
        values: nested dictionaries, as `tomllib` reads them.
        kind: the config's class.
        path: what stands before a key in messages.

    Returns:
        The config.

    Raises:
        ValueError: that names the key, if it is unknown or its value is of another type.
    """
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    out = {}
    for name, value in values.items():
        where = f"{path}{name}"
        if name not in known:
            _checks.invalid(where, value, f"no such key; give one of {', '.join(known)}")
        out[name] = _convert(where, value, hints[name])
    return kind(**out)


@guarded
def write_config(path: str | Path, config: RunConfig) -> None:
    """Write a config as TOML. Needs `pip install ebmx[cli]`.

    Args:
        path: of the file, which is replaced.
        config: a config.

    Raises:
        ImportError: with the pip line if tomli-w is missing.
    """
    try:
        import tomli_w
    except ImportError as error:
        raise ImportError("writing TOML needs tomli-w: pip install 'ebmx[cli]'") from error
    Path(path).write_text(tomli_w.dumps(to_dict(config)), encoding="utf-8")


@guarded
def read_config(path: str | Path) -> RunConfig:
    """Read a config from TOML.

    Args:
        path: of the file.

    Returns:
        The config.

    Raises:
        ValueError: if it is not there or not TOML, or a key is unknown or of another type.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ValueError(f"path={path}: no such file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"path={path}: not a TOML file: {error}") from error
    return from_dict(values)


def _convert(where: str, value: Any, hint: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        _checks.require(isinstance(value, dict), where, value, f"give a table [{where}]")
        return from_dict(value, typing.cast(type, hint), f"{where}.")
    if value == NONE and type(None) in typing.get_args(hint) and not _matches(value, hint):
        return None
    if _matches(value, hint):
        return _cast(value, hint)
    _checks.invalid(where, value, f"give a value of type {_name(hint)}")


def _matches(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_matches(value, arg) for arg in args)
    if origin is typing.Literal:
        return value in args
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False
        sized = args[-1] is Ellipsis or len(value) == len(args)
        return sized and all(_matches(v, args[0]) for v in value)
    kind = int | float if hint is float else hint
    return isinstance(value, kind) and not (isinstance(value, bool) and hint is not bool)


def _cast(value: Any, hint: Any) -> Any:
    """A value that matches: lists become tuples, whole numbers become floats."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _cast(value, next(arg for arg in args if _matches(value, arg)))
    if origin is tuple:
        return tuple(_cast(v, args[0]) for v in value)
    return float(value) if hint is float else value


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
