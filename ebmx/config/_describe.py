"""Configs with the meaning of each field, and whether they can be run."""

import ast
import dataclasses
import inspect
import itertools
import textwrap
import typing
from typing import Any

from .._arguments import guarded
from ._schema import RunConfig
from ._toml import to_dict


def meanings(kind: type) -> dict[str, str]:
    """The text under each field of a config."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    body = typing.cast(ast.ClassDef, tree).body
    found = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            words = typing.cast(ast.Constant, text.value).value
            found[typing.cast(ast.Name, field.target).id] = " ".join(str(words).split())
    return found


@guarded
def show_config(config: RunConfig, title: str = "") -> str:
    """A config as TOML, with the meaning of each field as a comment above it.

    Needs `pip install ebmx[cli]`.

    Args:
        config: a config.
        title: a text for the top.

    Returns:
        The text, which `read_config` reads.
    """
    lines = [*_comment(title), *_lines(config)]
    for field in dataclasses.fields(config):
        part = getattr(config, field.name)
        if dataclasses.is_dataclass(part):
            lines += ["", *_comment(type(part).__doc__ or ""), f"[{field.name}]", *_lines(part)]
    return "\n".join(lines) + "\n"


def _lines(config: Any) -> list[str]:
    values, meaning = to_dict(config), meanings(type(config))
    hints = typing.get_type_hints(type(config))
    lines = []
    for name, hint in hints.items():
        value = values.get(name)
        if isinstance(value, dict):
            continue
        words = _choices(hint)
        lines += _comment(meaning[name] + (f" One of {', '.join(words)}." if words else ""))
        lines.append(f"# {name} is not given" if value is None else f"{name} = {_toml(value)}")
    return lines


def _choices(hint: Any) -> list[str]:
    if typing.get_origin(hint) is typing.Literal:
        return [str(choice) for choice in typing.get_args(hint)]
    return [word for arg in typing.get_args(hint) for word in _choices(arg)]


def _toml(value: Any) -> str:
    """One value on one line."""
    import tomli_w

    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return tomli_w.dumps({"value": value}).strip().removeprefix("value = ")


def _comment(text: str) -> list[str]:
    return [
        line
        for part in text.splitlines()
        for line in textwrap.wrap(f"# {part}", 98, subsequent_indent="# ")
    ]
