"""Configs and the classes that they name, in words."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..training import Trainer, Watchdog
from ._calls import _VARIABLE, PARTS, kinds, nearest, resolve, signature_of
from ._tables import CALIBRATION, DATA, MONITOR, SCALARS, Config, check_keys, to_toml
from ._trackers import OWN, TRACKERS

_TABLES = {"data": DATA, "monitor": MONITOR, "calibration": CALIBRATION}
_CLASSES = {"trainer": Trainer, "watchdog": Watchdog}
_TRACKERS = {f"trackers.{name}": tracker for name, tracker in TRACKERS.items()}


def describe(name: str) -> str:
    """A part and its kinds, each with a line; or the signature and docstring of a class."""
    if name in PARTS:
        lines = [f"{kind:28} {_first_line(resolve(kind, name))}" for kind in kinds(name)]
        also = f"Any other of {PARTS[name]}, or an import path of your own, may be named as well."
        return "\n".join([*lines, "", also])
    if name == "trackers":
        return "\n".join(f"{key:14} {_first_line(cls)}" for key, cls in TRACKERS.items())
    if name in _TABLES:
        return "\n".join(f"{key:14} {text}" for key, text in _TABLES[name].items())
    try:
        function = _CLASSES.get(name) or resolve(name, "energy")
    except ValueError as error:
        parts = ("data", *PARTS, *_CLASSES, "monitor", "calibration", "trackers")
        known = [*parts, *(kind for part in PARTS for kind in kinds(part))]
        text = f"name={name!r}: unknown{nearest(name, known)} (the parts are {', '.join(parts)})"
        raise ValueError(text) from error
    parameters = signature_of(function).parameters.values()
    signature = inspect.Signature([p.replace(annotation=p.empty) for p in parameters])
    return f"{name}{signature}\n\n{inspect.getdoc(function) or ''}"


def _first_line(function: Callable) -> str:
    text = (inspect.getdoc(function) or "").split("\n\n")[0]
    return textwrap.shorten(text, 68, placeholder=" …")


def show_config(config: Config) -> str:
    """A config as TOML, with the meaning of each argument as a comment, and those not given.

    Needs `pip install 'ebmx[cli]'`.

    Args:
        config: a config.

    Returns:
        A text that `read_config` reads back as the same config.

    Raises:
        ValueError: if a key or the name of a class is unknown.
    """
    check_keys(config)
    return "\n".join(_table("", config)).strip() + "\n"


def _table(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a table: its values, and then, as TOML wants it, the tables in it."""
    own = {"": {key: text for key, (_, text) in SCALARS.items()}, "trackers": {}, **_TABLES}
    function, texts = None, own.get(path)
    if texts is None:
        function = (_CLASSES | _TRACKERS).get(path) or resolve(str(table.get("kind")), path)
        texts = argument_texts(function)
        yield from _comment(_first_line(function))
    nested = {name: value for name, value in table.items() if _is_table(value)}
    for name, value in table.items():
        if name not in nested:
            yield from _comment(f"{name}: {texts[name]}" if name in texts else "")
            yield f"{name} = {_toml(value)}"
    given = {*table, *(PARTS if path == "trainer" else OWN if path in _TRACKERS else ())}
    for name, parameter in signature_of(function).parameters.items() if function else ():
        plain = parameter.default is not parameter.empty and parameter.kind not in _VARIABLE
        if plain and name not in given:
            text = f"{name}: {texts[name]}" if name in texts else f"{name}."
            yield from _comment(f"{text} Not given: {_default(parameter)}.")
    for name, value in nested.items():
        place = f"{path}.{name}".removeprefix(".")
        for one in value if isinstance(value, list) else [value]:
            yield from ("", f"[[{place}]]" if isinstance(value, list) else f"[{place}]")
            yield from _comment(f"{name}: {texts[name]}" if name in texts else "")
            yield from _table(place, one)


def _is_table(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) > 0 and all(isinstance(one, Mapping) for one in value)
    return isinstance(value, Mapping)


def _default(parameter: inspect.Parameter) -> str:
    value = repr(parameter.default)
    return "a default of its own" if value.startswith("<") else value


def _toml(value: Any) -> str:
    """One value on one line, which tomli-w gives to lists only if they are tables."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_toml(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return to_toml({"value": value}).strip().removeprefix("value = ")


def argument_texts(function: Callable) -> dict[str, str]:
    """The text of each argument, from the section `Args` of a docstring in Google's form."""
    text = inspect.getdoc(function) or ""
    found = re.search(r"^Args:\n((?:    .*\n?|\n)+)", text, re.M)
    if found is None:
        return {}
    section = textwrap.dedent(found.group(1))
    entries = re.findall(r"^(\w+): (.*?)(?=^\w+: |\Z)", section, re.S | re.M)
    return {name: " ".join(words.split()) for name, words in entries}


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 98, initial_indent="# ", subsequent_indent="#   ") if text else []
