"""Configs and the classes that they name, in words."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._calls import _VARIABLE, PARTS, kinds, nearest, resolve, signature_of
from ._tables import SCALARS, Config, check_keys, to_toml

_SCALARS = {
    "description": "what the config is for.",
    "num_steps": "how many updates.",
    "seconds": "how long to train, without the time to compile.",
    "log_every": "updates between two lines of metrics.",
    "seed": "random seed.",
}
_DATA = {
    "name": "a data set as `ebmx.data.load` takes it: digits, mnist-5k, hf:NAME or a path.",
    "layout": "what the axes of examples are: auto, images, channels-first, series, table.",
    "test_fraction": "the fraction of examples held out, where the source does not have this part.",
    "batch_size": "examples, and chains, in an update.",
    "standardise": "scale each column to mean 0 and standard deviation 1, not to [-1, 1].",
}


def describe(name: str) -> str:
    """What a config may name: a part and its kinds, or a class with its arguments.

    Args:
        name: `"energy"`, `"sampler"`, `"negatives"`, `"loss"` or `"optim"`; `"data"` or
            `"trainer"`; or the name of a class or function, such as `"MALA"` or `"optax.adam"`.

    Returns:
        A text: the names with the first line of each docstring; or signature and docstring.

    Raises:
        ValueError: if the name is unknown; with the nearest names.
    """
    if name in PARTS:
        lines = [f"{kind:28} {_first_line(resolve(kind, name))}" for kind in kinds(name)]
        more = "optax" if name == "optim" else PARTS[name]
        also = f"Any other of {more}, or an import path of your own, may be named as well."
        return "\n".join([*lines, "", also])
    if name == "data":
        return "\n".join(f"{key:14} {text}" for key, text in _DATA.items())
    if name == "trainer":
        return describe("ebmx.training.Trainer")
    for part in PARTS:
        if name in kinds(part):
            return _entry(name, resolve(name, part))
    try:
        return _entry(name, resolve(name, "energy"))
    except ValueError as error:
        parts = ("data", *PARTS, "trainer")
        known = [*parts, *(kind for part in PARTS for kind in kinds(part))]
        text = f"name={name!r}: unknown{nearest(name, known)} (the parts are {', '.join(parts)})"
        raise ValueError(text) from error


def _entry(name: str, function: Callable) -> str:
    parameters = [
        p.replace(annotation=p.empty)
        for p in signature_of(function).parameters.values()
        if p.name != "self"
    ]
    signature = inspect.Signature(parameters)
    return f"{name}{signature}\n\n{inspect.getdoc(function) or ''}"


def _first_line(function: Callable) -> str:
    text = (inspect.getdoc(function) or "").split("\n\n")[0]
    line = " ".join(text.split())
    return textwrap.shorten(line, 68, placeholder=" …")


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
    lines = []
    for key in SCALARS:
        if key in config:
            lines += [*_comment(_SCALARS[key]), *to_toml({key: config[key]}).splitlines()]
    if "data" in config:
        lines += ["", "[data]", *_arguments(config["data"], _DATA)]
    for part in PARTS:
        call = config.get(part)
        if isinstance(call, list):
            for element in call:
                lines += ["", f"[[{part}]]", *_call(element, part)]
        elif call is not None:
            lines += ["", f"[{part}]", *_call(call, part)]
    if "trainer" in config:
        from ..training import Trainer

        texts = argument_texts(Trainer)
        lines += ["", "[trainer]", *_arguments(config["trainer"], texts)]
    return "\n".join(lines).strip() + "\n"


def _call(call: Mapping[str, Any], path: str) -> Iterator[str]:
    """The lines of a call, those of calls nested in it inline."""
    function = resolve(str(call.get("kind")), path)
    yield from _comment(_first_line(function))
    yield from _inline({"kind": call.get("kind")})
    arguments = {name: value for name, value in call.items() if name != "kind"}
    texts = argument_texts(function)
    yield from _arguments(arguments, texts)
    for name, parameter in signature_of(function).parameters.items():
        plain = parameter.default is not parameter.empty and parameter.kind not in _VARIABLE
        if plain and name not in call:
            yield from _comment(f"{name}: {texts.get(name, '')} Not given: {_default(parameter)}.")


def _default(parameter: inspect.Parameter) -> str:
    value = repr(parameter.default)
    return "a default of its own" if value.startswith("<") else value


def _arguments(values: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[str]:
    for name, value in values.items():
        yield from _comment(f"{name}: {texts[name]}" if name in texts else "")
        yield from _inline({name: value})


def _inline(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        yield f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    """One value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return to_toml_value(value)


def to_toml_value(value: Any) -> str:
    """A number, a truth value or a text as TOML."""
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
