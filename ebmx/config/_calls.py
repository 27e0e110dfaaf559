"""From constructor calls, as a config writes them, to objects."""

import difflib
import importlib
import inspect
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks, energies, samplers, training
from ..energies import AbstractEnergy, AbstractStatefulEnergy
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
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def build(call: Any, known: Mapping[str, Any] | None = None, *, path: str = "config") -> Any:
    """The object of a constructor call, and of all calls nested in it.

    A call is a table: `kind` names a class or a function, the other keys are its arguments. A name
    without dots is one of `ebmx.energies`, its `bijections`, `ebmx.samplers`, `ebmx.training` or
    `optax`; a name with dots is an import path, also of your own module. `shape`, `key` and
    `sampler` are filled in where a class requires them. `"$name"` anywhere stands for a known value
    or an attribute of one, such as `"$sampler.step_size"`; `"@name"` for a class or function
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
        raise ValueError(f"{path}.kind={kind!r}: name a class or a function; {_some(path)}")
    function = resolve(kind, path)
    signature = signature_of(function)
    check_arguments(function, signature, call, path)
    positional = build(call.pop("args", ()), known, path=f"{path}.args")
    values = {
        name: _value(value, signature.parameters.get(name), known, f"{path}.{name}")
        for name, value in call.items()
    }
    for name, value in values.items():
        _check_number(function, signature.parameters.get(name), value, f"{path}.{name}")
    taken = len(positional)
    missing = []
    for i, (name, parameter) in enumerate(signature.parameters.items()):
        given = name in values or i < taken or parameter.kind in _VARIABLE
        if given or parameter.default is not parameter.empty:
            continue
        if name in FILLED and name in known:
            values[name] = _key(known["key"], path) if name == "key" else known[name]
        else:
            missing.append(name)
    if missing and (inspect.isclass(function) or slot_of(path) == "optim"):
        raise ValueError(f"{path}: {kind} needs {', '.join(missing)}")
    if missing:
        # numbers as arrays, so that another value does not compile again
        values = {n: jnp.asarray(v) if isinstance(v, float) else v for n, v in values.items()}
        return eqx.Partial(function, *positional, **values) if values or positional else function
    return _made(function, positional, values, path)


def _made(function: Callable, positional: tuple, values: dict[str, Any], path: str) -> Any:
    stateful = inspect.isclass(function) and issubclass(function, AbstractStatefulEnergy)
    make = eqx.nn.make_with_state(function) if stateful else function
    try:
        return make(*positional, **values)
    except (ValueError, TypeError) as error:
        text = str(error)
        dot = "." if any(text.startswith(f"{name}=") for name in values) else ": "
        raise ValueError(f"{path}{dot}{text}") from error


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
        raise ValueError(f"{path}='${name}': not known here; {_names(known)}")
    value = known[first]
    for attribute in attributes:
        if not hasattr(value, attribute):
            raise ValueError(f"{path}='${name}': {type(value).__name__} has no {attribute}")
        value = getattr(value, attribute)
    return value


def _names(known: Mapping[str, Any]) -> str:
    names = sorted(name for name, value in known.items() if value is not None)
    return f"known are {', '.join(names)}" if names else "nothing is"


def _key(key: Any, path: str) -> Any:
    return jax.random.fold_in(key, zlib.crc32(path.encode()) % 2**31)


def resolve(kind: str, path: str) -> Callable:
    """The class or function of this name.

    Raises:
        ValueError: if there is none; with the nearest names.
    """
    module, _, name = kind.rpartition(".")
    slot = slot_of(path)
    for searched in [module] if module else [PARTS[slot], *_SEARCHED]:
        try:
            found = _attribute(searched, name)
        except ImportError as error:
            raise ValueError(f"{path}.kind={kind!r}: {error}") from error
        if callable(found):
            return found
    near = nearest(name, kinds(slot)) or nearest(name, _public(slot))
    raise ValueError(f"{path}.kind={kind!r}: unknown{near}; {_some(path)}")


def _public(slot: str) -> list[str]:
    """The public names of the module of a part and of bijections, which are no `kinds`."""
    modules = map(importlib.import_module, (PARTS[slot], "ebmx.energies.bijections"))
    return [name for module in modules for name in vars(module) if name[0] != "_"]


def _attribute(module: str, name: str) -> Any:
    """`module.name`, where `module` may end in classes or objects."""
    parts = module.split(".")
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
    """The names that a part of a config may call, sorted.

    Args:
        slot: `"energy"`, `"sampler"`, `"negatives"`, `"loss"` or `"optim"`.

    Returns:
        Names of classes or functions; of optax, those that return a transformation of gradients.

    Raises:
        ValueError: if there is no part of this name.
    """
    _checks.require(slot in PARTS, "slot", repr(slot), f"give one of {', '.join(PARTS)}")
    if slot == "optim":
        optax = importlib.import_module("optax")
        return sorted(n for n, f in vars(optax).items() if n[0] != "_" and _transforms(f))
    module: Any = {"energy": energies, "sampler": samplers}.get(slot, training)
    if slot == "loss":
        names = [name for name in vars(module) if name.endswith("_loss") or name == "WeightedSum"]
        return sorted(names)
    base: Any = {"sampler": AbstractSampler, "negatives": AbstractNegatives}.get(slot)
    bases = base or (AbstractEnergy, AbstractStatefulEnergy, energies.AbstractConditionalEnergy)
    found = [n for n, c in vars(module).items() if inspect.isclass(c) and issubclass(c, bases)]
    return sorted(name for name in found if not name.startswith("Abstract"))


def _transforms(function: Any) -> bool:
    if not inspect.isfunction(function):
        return False
    returned = str(inspect.signature(function).return_annotation)
    return "GradientTransformation" in returned


def nearest(name: str, names: Any) -> str:
    """`: did you mean X?` for a misspelt name, or nothing."""
    found = difflib.get_close_matches(name, list(names), 2, 0.6)
    if not found:
        by_case = {other.lower(): other for other in names}
        found = difflib.get_close_matches(name.lower(), list(by_case), 2, 0.6)
        found = [by_case[other] for other in found]
    return f": did you mean {' or '.join(found)}?" if found else ""


def _some(path: str) -> str:
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


def check_arguments(
    function: Callable, signature: inspect.Signature, names: Any, path: str
) -> None:
    """Check that a function takes arguments of these names.

    Raises:
        ValueError: that names the first one that it does not take, and the nearest that it takes.
    """
    parameters = signature.parameters.values()
    takes = [p.name for p in parameters if p.kind not in _VARIABLE]
    more = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in names:
        if name in takes or more or name == "args":
            continue
        called = getattr(function, "__name__", str(function))
        listed = ", ".join(takes) or "nothing"
        raise ValueError(
            f"{path}.{name}: {called} does not take this argument{nearest(name, takes)} "
            f"(it takes {listed})"
        )
