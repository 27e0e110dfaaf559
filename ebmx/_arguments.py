"""Checks of arguments by their annotations, at the public calls.

Each subpackage calls `check_public(globals())` at the end of its `__init__`, so that no public name
is left out and calls within the library cost nothing. Ranges, shapes and dtypes are for the
functions to check, with `_checks`.
"""

import collections.abc
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from jaxtyping import AbstractArray

from . import _checks

Public = TypeVar("Public", bound=Callable)
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_PLAIN = (int, float, complex, str, type, tuple, list, dict, jax.Array, np.ndarray, np.generic)
_SUCH_AS = {
    "AbstractSampler": "a sampler, such as ebmx.samplers.Langevin(step_size=0.1)",
    "AbstractNoise": "a noise with a log_density, such as UniformNoise()",
    "AbstractNegatives": "negatives, such as ebmx.training.PCD(sampler)",
    "AbstractStorage": "a storage, such as BFloat16()",
    "AbstractPreconditioner": "a preconditioner, such as RMSProp()",
    "AbstractConditionalEnergy": "a conditional energy, such as ebmx.energies.Conditional",
    "AbstractNoiseConditionalEnergy": (
        "an energy over noise levels, such as ebmx.energies.NoiseConditional"
    ),
    "AbstractPredictor": "a predictor, such as Ancestral()",
    "AbstractExactEnergy": "an energy with `log_z` and `sample`, such as a Gaussian",
    "AbstractTracker": 'a tracker, such as ebmx.training.CSV("metrics.csv")',
    "GradientTransformation": "an optimiser of optax, such as optax.adam(1e-3)",
    "Mesh": "a mesh of devices, such as jax.make_mesh((4,), ('data',))",
    "Callable": "a function",
    "int": "a Python integer",
    "float": "a number",
    "str": "text",
}
_SEQUENCES = (tuple, list, collections.abc.Sequence)


def check_public(names: dict[str, Any], *, but: tuple[str, ...] = ()) -> None:
    """Check the arguments of all public functions and final classes among the names of a module.

    Args:
        names: the module's `globals()`; its functions are replaced, its classes changed in place.
        but: results that the library makes, whose fields may hold a batch of what they say.
    """
    for name, public in tuple(names.items()):
        ours = getattr(public, "__module__", "").startswith("ebmx.")
        if name.startswith("_") or name in but or not ours:
            continue
        if isinstance(public, types.FunctionType):
            names[name] = check_arguments(public)
            # where pickle looks for it
            names[name].__module__ = names["__name__"]
        elif isinstance(public, type) and "__init__" in vars(public) and not _is_abstract(public):
            check_arguments(public)


def check_arguments(public: Public) -> Public:
    """Name the argument that is of another kind than the annotations of a function or class say."""
    function = public.__init__ if isinstance(public, type) else public
    parameters = inspect.signature(function).parameters.values()
    kinds = {p.name: p.annotation for p in parameters if p.kind not in _VARIABLE}
    if dataclasses.is_dataclass(public):
        # the annotation of an argument is lost where its field has a converter
        fields = {field.name: field.type for field in dataclasses.fields(public)}
        kinds = {n: fields.get(n, kind) if kind is Any else kind for n, kind in kinds.items()}
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        # what does not fit the signature is for Python to say
        for name, value in (*zip(names, args, strict=False), *kwargs.items()):
            if name in kinds and not _is(value, kinds[name]):
                _checks.invalid(name, _short(value), f"give {_words(kinds[name])}")
        return function(*args, **kwargs)

    if isinstance(public, type):
        public.__init__ = wrapper
        return cast(Public, public)
    return cast(Public, wrapper)


def _is_abstract(public: type) -> bool:
    return inspect.isabstract(public) or public.__name__.startswith("Abstract")


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind, or nothing is known of the kind.

    `beartype.door.is_bearable` looks at one element of a sequence, chosen at random (three times of
    four it accepts `(1, 2, "a", 4)` as `tuple[int, ...]`), and refuses NumPy's numbers.
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, one) for one in typing.get_args(kind))
    if kind in (None, type(None)):
        return value is None
    if origin is Literal:
        # which ones there are is for the function to say
        return isinstance(value, str)
    if origin is collections.abc.Callable or kind is Callable:
        return callable(value)
    if origin in _SEQUENCES:
        return _is_sequence(value, typing.get_args(kind))
    kind = origin or kind
    if not isinstance(kind, type) or kind in (Any, object, inspect.Parameter.empty):
        return True
    if kind in (bool, int, float, complex):
        return _is_number(value, kind)
    if issubclass(kind, AbstractArray):
        return _is_typed(value, kind)
    if kind is np.dtype:
        return _is_dtype(value)
    return _is_array(value) if kind in (jax.Array, np.ndarray) else isinstance(value, kind)


def _is_number(value: Any, kind: type) -> bool:
    if isinstance(value, bool | np.bool_):
        return True
    if kind is float:
        return isinstance(value, int | float) or (_is_array(value) and np.ndim(value) == 0)
    return kind is int and isinstance(value, int | np.integer)


def _is_array(value: Any) -> bool:
    """Whether it is an array of real numbers, or can be made one."""
    if not hasattr(value, "dtype"):
        try:
            value = np.asarray(value)
        except (TypeError, ValueError):
            return False
    real = jnp.integer, jnp.floating, jnp.bool_
    return any(jnp.issubdtype(value.dtype, dtype) for dtype in real)


def _is_typed(value: Any, kind: Any) -> bool:
    """Whether it is an array as an annotation has it, but for its shape and precision."""
    dtype = getattr(value, "dtype", None)
    if kind.dtype is jaxtyping.Key:
        is_key = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
        return is_key and (kind.dim_str != "" or value.shape == ())
    if kind.dtype is jaxtyping.UInt32:
        return dtype == np.uint32
    return _is_array(value) and (kind.dim_str != "" or np.ndim(value) == 0)


def _is_dtype(value: Any) -> bool:
    try:
        return value is not None and jnp.issubdtype(jnp.dtype(value), jnp.number)
    except TypeError:
        return False


def _is_sequence(value: Any, kinds: tuple) -> bool:
    if isinstance(value, str) or not isinstance(value, collections.abc.Collection | jax.Array):
        return False
    if len(kinds) == 1 or (len(kinds) == 2 and kinds[1] is Ellipsis):
        return all(_is(one, kinds[0]) for one in value)
    return len(value) == len(kinds) and all(map(_is, value, kinds))


def _short(value: Any) -> Any:
    shown = value is None or isinstance(value, _PLAIN)
    return value if shown and len(repr(value)) < 80 else type(value).__name__


def _words(kind: Any) -> str:
    """What to give, in words."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    kinds = typing.get_args(kind) if union else (kind,)
    if jax.Array in kinds:
        modules = [
            _word(one) for one in kinds if getattr(one, "__name__", "").startswith("Abstract")
        ]
        return " or ".join([*modules, "a number or an array of numbers"])
    if float in kinds:
        kinds = tuple(one for one in kinds if one in (float, type(None)))
    return " or ".join(dict.fromkeys(_word(one) for one in kinds))


def _word(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if kind is type(None):
        return "None"
    if origin is Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    if origin in _SEQUENCES:
        return f"a tuple, each {_words(typing.get_args(kind)[0])}"
    kind = origin or kind
    if isinstance(kind, type) and issubclass(kind, AbstractArray | jax.Array | np.ndarray):
        key = getattr(kind, "dtype", None) in (jaxtyping.Key, jaxtyping.UInt32)
        return "a key, such as jax.random.key(0)" if key else "an array of numbers"
    name = getattr(kind, "__name__", str(kind))
    return _SUCH_AS.get(name, f"{'an' if name[0] in 'AEIOU' else 'a'} {name}")
