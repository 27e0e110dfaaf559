"""From constructor calls, as a config writes them, to objects."""

import difflib
import importlib
import inspect
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..energies import AbstractConditionalEnergy, AbstractEnergy, AbstractStatefulEnergy
from ..samplers import AbstractSampler
from ..training import AbstractNegatives

PARTS = {
    "energy": "ebmx.energies",
    "sampler": "ebmx.samplers",
    "negatives": "ebmx.training",
    "loss": "ebmx.training",
    "optim": "optax",
}
"""The parts of a config that are calls, and the module whose names they use first."""

FILLED = ("shape", "key", "sampler")
"""The known values that a required argument of the same name takes without being asked."""
_SEARCHED = ("ebmx.energies", "ebmx.energies.bijections", "ebmx.samplers", "ebmx.training", "optax")
SLOTS = {
    "energy": ("energy", "energies", "base", "network", "proposal"),
    "sampler": ("sampler", "samplers"),
    "negatives": ("negatives", "noise", "storage", "adaptation"),
    "loss": ("loss", "losses"),
    "optim": ("optim", "learning_rate"),
}
_BASES: dict[str, Any] = {
    "energy": (AbstractEnergy, AbstractStatefulEnergy, AbstractConditionalEnergy),
    "sampler": AbstractSampler,
    "negatives": AbstractNegatives,
}
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def build(call: Any, known: Mapping[str, Any] | None = None, *, path: str = "config") -> Any:
    """The object of a constructor call, and of all calls nested in it.

    A call is a table: `kind` names a class or a function, the other keys are its arguments. A name
    without dots is one of `ebmx.energies`, its `bijections`, `ebmx.samplers`, `ebmx.training` or
    `optax`; a name with dots is an import path, also of your own module. `shape`, `key` and
    `sampler` are filled in where a class requires them. `"$name"` anywhere stands for a known value
    or an attribute of one, such as `"$sampler.step_size"`, or for an argument that stands above it
    in a call around it, such as `"$features.joint_shape"`; `"@name"` for a class or function
    itself, such as `"@blackjax.ghmc.init"`; and `"none"` for `None`. A function of which required
    arguments remain, such as a loss, is returned as a partial function.

    Args:
        call: a table, a list of values, or any other value, which stays as it is.
        known: values that calls may use, such as `shape`, `num_labels`, `num_steps` and `key`. Each
            call that asks for `key` gets a key of its own, folded from it by its place.
        path: where the call stands, for errors. Its first word says in which module a name without
            dots is searched first.

    Returns:
        The object.

    Raises:
        ValueError: if a name is unknown, an argument is unknown or missing, or the class refuses a
            value. The error names the place and the nearest names.
    """
    known = {} if known is None else known
    if isinstance(call, Mapping):
        return _call(dict(call), known, path)
    if isinstance(call, list | tuple):
        return tuple(build(value, known, path=f"{path}.{i}") for i, value in enumerate(call))
    if isinstance(call, str) and call.startswith("$"):
        return _known(call[1:], known, path)
    if isinstance(call, str) and call.startswith("@"):
        return resolve(call[1:], path)
    return None if call == "none" else call


def _call(call: dict[str, Any], known: Mapping[str, Any], path: str) -> Any:
    kind = call.pop("kind", None)
    if not isinstance(kind, str):
        raise ValueError(f"{path}.kind={kind!r}: name a class or a function; {_see(path)}")
    function = resolve(kind, path)
    check_arguments(function, call, path)
    parameters = signature_of(function).parameters
    positional = build(call.pop("args", ()), known, path=f"{path}.args")
    values: dict[str, Any] = {}
    for name, value in call.items():
        above = {other: made for other, made in values.items() if other not in FILLED}
        values[name] = _value(value, parameters.get(name), above | dict(known), f"{path}.{name}")
        _check_number(function, parameters.get(name), values[name], f"{path}.{name}")
    missing = []
    for name, parameter in list(parameters.items())[len(positional) :]:
        optional = parameter.default is not parameter.empty or parameter.kind in _VARIABLE
        if optional or name in values:
            continue
        if name == "key" and "key" in known:
            # of the place, so that a network keeps its weights if others are added beside it
            place = zlib.crc32(path.encode()) % 2**31
            values["key"] = jax.random.fold_in(known["key"], place)
        elif name in FILLED and name in known:
            values[name] = known[name]
        else:
            missing.append(name)
    if missing and (inspect.isclass(function) or slot_of(path) == "optim"):
        raise ValueError(f"{path}: {kind} needs {', '.join(missing)}")
    if missing:
        # numbers as arrays, so that another value does not compile again
        values = {n: jnp.asarray(v) if isinstance(v, float) else v for n, v in values.items()}
        return eqx.Partial(function, *positional, **values) if values or positional else function
    if inspect.isclass(function) and issubclass(function, AbstractStatefulEnergy):
        function = eqx.nn.make_with_state(function)
    try:
        return function(*positional, **values)
    except (ValueError, TypeError) as error:
        # "name=value: fix" of our classes becomes "path.name=value: fix"
        named = any(str(error).startswith(f"{name}=") for name in values)
        raise ValueError(f"{path}{'.' if named else ': '}{error}") from error


def _value(value: Any, parameter: Any, known: Mapping[str, Any], path: str) -> Any:
    """A value as the parameter takes it: arrays from lists, and `None`."""
    words = "" if parameter is None else str(parameter.annotation)
    if value == "none" and "'none'" in words:
        return value
    variable = parameter is None or parameter.kind in _VARIABLE
    sized = any(word in words for word in ("tuple", "Sequence", "Bounds"))
    if isinstance(value, list) and value and (variable or ("Array" in words and not sized)):
        flat = np.ravel(np.array(value, object))
        if all(isinstance(number, int | float) for number in flat):
            return np.asarray(value)
    return build(value, known, path=path)


def _check_number(function: Callable, parameter: Any, value: Any, path: str) -> None:
    """Check numbers of optax, which does not check them; the classes of ebmx check their own."""
    if parameter is None or not function.__module__.startswith("optax"):
        return
    kind = str(parameter.annotation)
    number = "float" in kind and not any(word in kind for word in ("None", "Any", "tuple", "dict"))
    if number and (value is None or isinstance(value, str | tuple)):
        raise ValueError(f"{path}={value!r}: give a number, or a schedule where one is taken")


def _known(name: str, known: Mapping[str, Any], path: str) -> Any:
    first, *attributes = name.split(".")
    if known.get(first) is None:
        names = ", ".join(sorted(name for name, value in known.items() if value is not None))
        raise ValueError(f"{path}='${name}': not known here; known are {names or 'none'}")
    value = known[first]
    for attribute in attributes:
        if not hasattr(value, attribute):
            raise ValueError(f"{path}='${name}': {type(value).__name__} has no {attribute}")
        value = getattr(value, attribute)
    return value


def resolve(kind: str, path: str) -> Callable:
    """The class or function of this name; an error has the nearest names."""
    module, _, name = kind.rpartition(".")
    slot = slot_of(path)
    for searched in [module] if module else [PARTS[slot], *_SEARCHED]:
        try:
            found = _attribute(searched, name)
        except ImportError as error:
            raise ValueError(f"{path}.kind={kind!r}: {error}") from error
        if callable(found):
            return found
    others = _public(PARTS[slot]) | _public("ebmx.energies.bijections")
    near = nearest(name, kinds(slot)) or nearest(name, others)
    raise ValueError(f"{path}.kind={kind!r}: unknown{near}; {_see(path)}")


def _public(module: str) -> dict[str, Any]:
    found = vars(importlib.import_module(module))
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _attribute(module: str, name: str) -> Any:
    """`module.name`, where `module` may end in classes or objects."""
    parts = module.split(".")
    # an import that fails within a module that is there is the user's to see
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError as error:
            if error.name is None or not ".".join(parts[:end]).startswith(error.name):
                raise
            continue
        for part in [*parts[end:], name]:
            found = getattr(found, part, None)
        return found
    raise ImportError(f"no module {module!r}")


def slot_of(path: str) -> str:
    """Which part of a config a place belongs to: by the last word of it that says."""
    for word in reversed(path.split(".")):
        for slot, words in SLOTS.items():
            if word in words:
                return slot
    return "energy"


def kinds(slot: str) -> list[str]:
    """The names that a part of a config may have as its `kind`, sorted."""
    public = _public(PARTS[slot])
    if slot == "loss":
        return sorted(n for n in public if n.endswith("_loss") or n == "WeightedSum")
    if slot == "optim":
        named = public | _public("ebmx.training")
        functions = {n: f for n, f in named.items() if inspect.isfunction(f)}
        returned = {n: str(inspect.signature(f).return_annotation) for n, f in functions.items()}
        return sorted(n for n, words in returned.items() if "GradientTransformation" in words)
    found = [n for n, c in public.items() if inspect.isclass(c) and issubclass(c, _BASES[slot])]
    return sorted(name for name in found if not name.startswith("Abstract"))


def nearest(name: str, names: Any) -> str:
    """`: did you mean X?` for a misspelt name, or nothing."""
    found = difflib.get_close_matches(name, list(names), 2, 0.6)
    if not found:
        by_case = {other.lower(): other for other in names}
        found = difflib.get_close_matches(name.lower(), list(by_case), 2, 0.6)
        found = [by_case[other] for other in found]
    return f": did you mean {' or '.join(found)}?" if found else ""


def _see(path: str) -> str:
    return f"`ebmx help {slot_of(path)}` lists the names"


def signature_of(function: Callable) -> inspect.Signature:
    """The signature, with the annotations of fields where Equinox's converters hide them."""
    signature = inspect.signature(function)
    fields = {f.name: f.type for f in getattr(function, "__dataclass_fields__", {}).values()}
    parameters = [
        p.replace(annotation=fields.get(p.name, p.annotation)) if p.annotation is Any else p
        for p in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)


def check_arguments(function: Callable, names: Iterable[str], path: str) -> None:
    """Check that a function takes arguments of these names, and name the nearest that it takes."""
    parameters = signature_of(function).parameters.values()
    takes = [p.name for p in parameters if p.kind not in _VARIABLE]
    more = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in names:
        if not (name in takes or more or name == "args"):
            called = getattr(function, "__name__", str(function))
            text = f"{called} does not take this argument{nearest(name, takes)}"
            listed = ", ".join(takes) or "nothing"
            raise ValueError(f"{path}.{name}: {text} (it takes {listed})")
