"""What an argument is spoiled with, by the annotation of its parameter."""

import collections.abc
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np

NAN, INF = float("nan"), float("inf")
FREE_TEXT = ("title", "names", "path", "out")
"""Parameters in which any text will do."""
POSITIVE = re.compile(
    r"(num_(?!warmup|held_out|labels)\w+|(kernel_)?sizes?|step_size|grad_clip|sigma|scales?|widths"
    r"|channels|shape|hidden_dims|strides?|temperatures?|thin|capacity|batch_size|bandwidth|bin_width|k|num)$"
)
"""Parameters in which no number of 0 or less will do."""
_SEQUENCES = (tuple, list, collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (dict, collections.abc.Mapping)


class Never:
    """What no argument is."""

    def __repr__(self):
        return "Never()"


NEVER = Never()


@dataclasses.dataclass(frozen=True)
class Spoil:
    """A bad value, made of one that works; `refused` if it may not be accepted."""

    label: str
    make: Callable[[Any], Any]
    refused: bool


def members(kind):
    """The kinds of a union, or the only one."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [part for one in typing.get_args(kind) for part in members(one)]
    return [type(None) if kind is None else kind]


def category(kind):
    """What a value of one kind is spoiled as; nothing if the kind says nothing."""
    origin = typing.get_origin(kind)
    if kind is Any or kind is inspect.Parameter.empty or isinstance(kind, typing.TypeVar):
        return ""
    if origin is Literal:
        return "choice"
    if origin in _MAPPINGS or kind in _MAPPINGS:
        return "mapping"
    if origin in _SEQUENCES:
        inner = [category(one) for one in members(typing.get_args(kind)[0])]
        if "number" in inner:
            return "numbers" if origin is tuple else "sequence"
        return "integers" if inner == ["integer"] else "sequence"
    kind = origin or kind
    for kinds, name in _CATEGORIES.items():
        if kind in kinds:
            return name
    if isinstance(kind, type) and issubclass(kind, jaxtyping.AbstractArray):
        if kind.dtype is jaxtyping.Key:
            return "keys" if kind.dim_str else "key"
        if kind.dim_str == "":
            return "number" if kind.dtype is jaxtyping.Float else "scalar"
        return "legacy key" if kind.dtype is jaxtyping.UInt32 else "array"
    return "object"


_CATEGORIES = {
    (bool,): "flag",
    (int,): "integer",
    (float,): "number",
    (str,): "text",
    (Path,): "path",
    (jax.Array, np.ndarray): "array",
    (complex, np.bool, np.number): "",
}
# of several that a union has, the first of these says how to spoil
_ORDER = (
    *("key", "keys", "path", "array", "integers", "numbers", "sequence", "number", "integer"),
    *("choice", "mapping", "text", "flag", "object"),
)


def leading(kind):
    """The category of an annotation, a union or not."""
    found = {category(one) for one in members(kind)}
    return next((name for name in _ORDER if name in found), "")


def spoils(name, kind, default=inspect.Parameter.empty):
    """All that a parameter of this name, annotation and default is spoiled with."""
    first, found = leading(kind), {category(one) for one in members(kind)}
    fits = {"none"} if default is None or type(None) in members(kind) else set()
    fits |= {"text"} if {"text", "choice", "path"} & found else set()
    fits |= {"number"} if {"integer", "number"} & found else set()
    fits |= {"unknown", "empty"} if first == "text" and name in FREE_TEXT else set()
    refused, other = TABLE[first]
    low = {"zero", "zeros", "minus"} if POSITIVE.match(name) else set()
    every = refused | other | {"never": NEVER, "none": None}
    for label, bad in every.items():
        wrong = label in (refused.keys() | low) or (label in ("never", "none") and first != "")
        make = bad if inspect.isfunction(bad) else lambda _, bad=bad: bad
        yield Spoil(label, make, wrong and label not in fits)


def _of_array(**changes):
    """Each change of an array, as a function of a value; of `(x, y)` it is `x` alone."""

    def of(change):
        def make(value):
            leaves = jax.tree.leaves(value)
            return change(np.asarray(leaves[0]) if leaves else np.ones((2, 2), np.float32))

        return make

    return {label: of(change) for label, change in changes.items()}


def _each(number):
    return lambda value: (number,) * len(value) if isinstance(value, tuple | list) else (number,)


def _split(key):
    return jax.random.split(key, 5)


_KEY = {"integer": 3, "floats": jnp.zeros(2), "text": "key"}
_TEXT = ({"unknown": "no such thing", "empty": "", "number": 3}, {})
TABLE = {
    "": ({}, {"number": 3.0, "text": "ab"}),
    "key": (_KEY | {"keys": _split}, {}),
    "keys": (_KEY, {"keys": _split}),
    "flag": ({"text": "ab", "number": 3.0}, {}),
    "integer": (
        {"nan": NAN, "float": 2.5, "text": "3", "array": jnp.ones(2)},
        {"zero": 0, "minus": -1},
    ),
    "number": (
        {"nan": NAN, "text": "0.1", "complex": 1j, "empty": np.zeros(0), "list": []},
        {"inf": INF, "-inf": -INF, "minus": -1.0, "zero": 0.0, "huge": 1e30}
        | {"0-d": lambda v: jnp.asarray(1.0 if v is None else v, float)},
    ),
    "array": (
        {"text": "array"}
        | _of_array(
            complex=lambda v: v.astype(complex),
            texts=lambda v: v.astype(str),
            empty=lambda v: v.ravel()[:0],
            nans=lambda v: NAN * v,
        ),
        {"number": 0.5}
        | _of_array(
            wide=lambda v: v[..., None],
            short=lambda v: np.atleast_1d(v)[:-1],
            narrow=lambda v: np.atleast_1d(v)[..., :1],
            list=lambda v: v.tolist(),
            objects=lambda v: v.astype(object),
            zeros=lambda v: 0 * v,
            minus=lambda v: -1 - np.abs(v),
            huge=lambda v: v.astype(np.float32) * np.float32(1e30),
            halves=lambda v: v + np.float32(0.5),
            inf=lambda v: np.where(v == v.ravel()[:1], INF, v),
            integers=lambda v: v.astype(int),
        ),
    ),
    "text": _TEXT,
    "choice": _TEXT,
    "path": ({"number": 3, "nan": NAN}, {"missing": Path("/no/such")}),
    "integers": (
        {"minus": _each(-2), "halves": _each(2.5), "nan": _each(NAN), "text": "ab"},
        {"zeros": _each(0), "empty": ()},
    ),
    "numbers": (
        {"nan": (NAN, 1.0), "turned": (1.0, -1.0), "one": (1.0,), "text": "ab", "number": 1.0},
        {},
    ),
    "sequence": ({"number": 3.0, "text": "ab", "of never": [NEVER]}, {"empty": []}),
    "mapping": ({"text": "ab", "number": 3.0}, {"unknown": {"no such": 1}}),
    "object": ({"number": 3.0, "text": "ab", "list": []}, {}),
}
"""For each category, what may not be accepted, and what may be or not."""
