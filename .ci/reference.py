"""Extension of griffe: what it cannot read from the source of Equinox modules.

Signatures of modules whose `__init__` is made of their fields; no methods of a protocol on the
classes that implement it, as its abstract class has them; and each public name in the text of a
docstring as a link.
"""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import griffe

ROOMS = (
    "energies", "energies.bijections", "samplers", "training", "evaluation", "data", "plotting",
    "config", "runs",
)  # fmt: skip
# code in one pair of backticks: a name, with or without its module
CODE = re.compile(r"(?<![`\[])`((?:ebmx\.)?(?:[a-z_]+\.)*\w+)`(?![`\]])")
FENCE = re.compile(r"(^[ ]*```.*?^[ ]*```[^\n]*$)", re.DOTALL | re.MULTILINE)


def public_names() -> dict[str, str]:
    """The path of each public name, by the name and by the path itself.

    A short name that two modules have is left out.
    """
    paths: dict[str, list[str]] = {}
    for room in ROOMS:
        for name, value in vars(importlib.import_module(f"ebmx.{room}")).items():
            if not name.startswith("_") and not inspect.ismodule(value):
                paths.setdefault(name, []).append(f"ebmx.{room}.{name}")
    short = {name: found[0] for name, found in paths.items() if len(found) == 1}
    full = {path: path for found in paths.values() for path in found}
    top = importlib.import_module("ebmx")
    tops = {f"ebmx.{name}": path for name, path in short.items() if hasattr(top, name)}
    # lower-case words such as `energy` and `sample` are arguments and variables too
    return {n: p for n, p in short.items() if n[0].isupper() or "_" in n} | full | tops


def linked(text: str, names: dict[str, str], *, but: str = "") -> str:
    """The text with a link at each public name in code, outside blocks of code."""

    def link(found: re.Match) -> str:
        path = names.get(found.group(1))
        return found.group(0) if path in (None, but) else f"[{found.group(0)}][{path}]"

    parts = FENCE.split(text)
    return "".join(p if p.lstrip().startswith("```") else CODE.sub(link, p) for p in parts)


class Reference(griffe.Extension):
    """Signatures, members and links of the package `ebmx`."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Change the package's objects once all of it is loaded."""
        names = public_names()
        for found in list(objects(pkg)):
            if isinstance(found, griffe.Class):
                kind = runtime(found)
                if isinstance(kind, type) and issubclass(kind, eqx.Module):
                    signature(found, kind, pkg)
                    without_protocol(found, kind)
            if found.docstring:
                public = found.parent if found.name == "__init__" else found
                own = names.get(public.name, "") if public else ""
                found.docstring.value = linked(found.docstring.value, names, but=own)


def objects(parent: griffe.Object) -> Iterator[griffe.Object]:
    """All objects that are defined below one."""
    for member in parent.members.values():
        if not member.is_alias:
            yield member
            yield from objects(member)


def runtime(found: griffe.Object) -> Any:
    return getattr(importlib.import_module(found.module.path), found.name, None)


def signature(found: griffe.Class, kind: type, pkg: griffe.Module) -> None:
    """Give a class the `__init__` that its fields make."""
    if "__init__" in found.members or not dataclasses.is_dataclass(kind):
        return
    fields = {f.name: f for f in dataclasses.fields(kind)}
    parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    parameters += [
        griffe.Parameter(
            parameter.name,
            annotation=annotation(kind, parameter.name, pkg),
            kind=griffe.ParameterKind(parameter.kind.description),
            default=default(parameter, fields.get(parameter.name)),
        )
        for parameter in inspect.signature(kind).parameters.values()
    ]
    if len(parameters) > 1:
        made = griffe.Function("__init__", parameters=griffe.Parameters(*parameters))
        found.set_member("__init__", made)


def annotation(kind: type, name: str, pkg: griffe.Module) -> Any:
    """What the source says of a field, in the class that defines it."""
    for base in kind.__mro__:
        if base.__module__.startswith("ebmx.") and name in vars(base).get("__annotations__", {}):
            path = f"{base.__module__}.{base.__qualname__}.{name}".removeprefix("ebmx.")
            return pkg[path].annotation
    return None


def default(parameter: inspect.Parameter, field: dataclasses.Field | None) -> str | None:
    """The default as one would type it."""
    if parameter.default is inspect.Parameter.empty:
        return None
    factory = field.default_factory if field else dataclasses.MISSING
    if factory is not dataclasses.MISSING:
        return f"{getattr(factory, '__name__', '...')}()"
    return getattr(parameter.default, "__name__", repr(parameter.default))


def without_protocol(found: griffe.Class, kind: type) -> None:
    """Leave out what the abstract classes of the package have."""
    if found.name.startswith("Abstract"):
        return
    bases = [b for b in kind.__mro__[1:] if b.__module__.startswith("ebmx.")]
    for name in list(found.members):
        if name != "__init__" and any(name in vars(base) for base in bases):
            found.del_member(name)
