"""A working call of each public function and class, derived from its signature."""

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .exceptions import LEFT_OUT, NEEDS, OPTIONS, STAND_INS
from .spoiled import members, spoils
from .values import USUAL, Later, Underivable, value_of

__all__ = ["Underivable", "calls", "derive", "left_out", "public"]

MODULES = ("energies", "samplers", "training", "evaluation", "data", "config", "plotting", "runs")
MODULES += ("energies.bijections",)
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclasses.dataclass(frozen=True)
class Call:
    """A function, and for each parameter its annotation; the values are made when asked for."""

    name: str
    function: Callable
    kinds: dict[str, Any]
    defaults: dict[str, Any]
    needs: dict[str, Any]

    @functools.cached_property
    def arguments(self) -> dict[str, Any]:
        return {name: self.value(name) for name in self.kinds}

    def derived(self, name: str) -> Any:
        """The value of an argument, or how to make it later."""
        if name in self.needs:
            return self.needs[name]
        return value_of(name, self.kinds[name], self.defaults[name], instance)

    def value(self, name: str) -> Any:
        value = self.derived(name)
        return value() if isinstance(value, Later) else value

    def __call__(self, **spoiled: Any) -> Any:
        return self.function(**{**self.arguments, **spoiled})

    def smallest(self) -> Any:
        """With what has no default, and the rest as it is if not said."""
        wanted = [n for n, default in self.defaults.items() if default is inspect.Parameter.empty]
        return self.function(**{name: self.value(name) for name in wanted})

    def takes_jax_array(self, argument: str) -> bool:
        """Whether a parameter is annotated as a JAX array, and not as one of NumPy."""
        kinds = members(self.kinds[argument])
        jax_kinds = [k for k in kinds if k is jax.Array or hasattr(k, "dim_str")]
        return bool(jax_kinds) and np.ndarray not in kinds

    def spoils(self):
        """`(argument, spoil)` for all that may be spoiled."""
        return [
            (name, spoil)
            for name, kind in self.kinds.items()
            for spoil in spoils(name, kind, self.defaults[name])
        ]


def derive(function: Callable, name: str = "") -> Call:
    """The call of a function or class."""
    parameters = dict(inspect.signature(function).parameters)
    if name.split(".")[-1] in OPTIONS:
        more = inspect.signature(OPTIONS[name.split(".")[-1]]).parameters
        extra = {n: p for n, p in more.items() if p.kind is p.KEYWORD_ONLY}
        parameters = {**extra, **parameters}
    parameters = {n: p for n, p in parameters.items() if p.kind not in _VARIABLE}
    kinds = {n: p.annotation for n, p in parameters.items()}
    made = inspect.unwrap(function)
    if dataclasses.is_dataclass(made):
        # the annotation of an argument is lost where its field has a converter
        fields = {field.name: field.type for field in dataclasses.fields(made)}
        kinds = {n: fields.get(n, kind) if kind is Any else kind for n, kind in kinds.items()}
    defaults = {n: p.default for n, p in parameters.items()}
    needs = {argument: value for argument, value, where in NEEDS if _is_in(name, where)}
    return Call(name or function.__name__, function, kinds, defaults, needs)


def _is_in(name: str, where: str) -> bool:
    return name in where.split() or name.split(".")[-1] in where.split()


@functools.cache
def public() -> dict[str, Callable]:
    """All that a user may call, by `module.name`."""
    found = {}
    for module in MODULES:
        for name, thing in vars(importlib.import_module(f"ebmx.{module}")).items():
            ours = getattr(thing, "__module__", "").startswith("ebmx.") and callable(thing)
            error = isinstance(thing, type) and issubclass(thing, Exception)
            if ours and not name.startswith(("_", "Abstract")) and not error:
                found[f"{module}.{name}"] = thing
    return found


def left_out() -> set[str]:
    """The names that are not called, for a reason."""
    return {name for names in LEFT_OUT.values() for name in names.split()}


@functools.cache
def calls() -> dict[str, Call]:
    """All calls, by `module.name`."""
    return {
        name: derive(STAND_INS.get(name, function), name)
        for name, function in public().items()
        if name.split(".")[-1] not in left_out()
    }


def instance(kind: type) -> Any:
    """An instance of a class, or of the usual class of an abstract one."""
    if not kind.__name__.startswith("Abstract"):
        own = next((name for name, one in public().items() if one is kind), kind.__name__)
        return derive(kind, own).smallest()
    kinds = {
        name.split(".")[-1]: one
        for name, one in public().items()
        if isinstance(one, type) and issubclass(one, kind)
    }
    return instance(kinds[USUAL.get(kind.__name__, min(kinds))])
