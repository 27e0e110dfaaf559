"""What the config of a shared folder may name: nothing that runs code of others."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax

from ... import energies, samplers
from ...config._calls import resolve
from ...energies import bijections

_PUBLIC = {
    "ebmx.energies": energies,
    "ebmx.energies.bijections": bijections,
    "ebmx.samplers": samplers,
    "jax.nn": jax.nn,
    "jax.random": jax.random,
    "optax": optax,
}
"""The modules whose public functions and classes compute, and touch neither files nor programs."""


def check_names(call: Any, modules: Sequence[str] = (), *, path: str) -> None:
    """Check each name in a constructor call before anything is imported or called.

    Args:
        call: as `ebmx.config.build` takes it.
        modules: further modules, such as your own, whose names are allowed.
        path: where the call stands, for errors.

    Raises:
        ValueError: if a name is not allowed; the error says of which module it is.
    """
    if isinstance(call, Mapping):
        if "kind" in call:
            _check(call["kind"], modules, f"{path}.kind")
        for name, value in call.items():
            check_names(value, modules, path=f"{path}.{name}")
    elif isinstance(call, list | tuple):
        for i, value in enumerate(call):
            check_names(value, modules, path=f"{path}.{i}")
    elif isinstance(call, str) and call.startswith("@"):
        _check(call[1:], modules, path)
    elif isinstance(call, str) and call.startswith("$") and "._" in call:
        raise ValueError(f"{path}={call!r}: a shared config reaches for a private attribute")


def _check(kind: Any, modules: Sequence[str], path: str) -> None:
    module, _, name = str(kind).rpartition(".")
    if not module:
        # the first three: `ebmx.training`, which names without dots may mean too, writes files
        searched = [m for m in _PUBLIC if m.startswith("ebmx.")]
        if any(_is_public(m, name) for m in searched):
            return
    elif _is_public(module, name):
        return
    for own in modules:
        if f"{kind}.".startswith(f"{own}."):
            found = resolve(str(kind), path)
            # a module holds what it imports, too: `mine.os.system` does not belong to it
            origin = getattr(found, "__module__", None) or ""
            if origin.split(".")[0] == own.split(".")[0]:
                return
    fix = f"a shared config may name what ebmx has; if you trust the module {module or name!r}, "
    fix += f"give modules=[{module.split('.')[0] or name!r}]"
    raise ValueError(f"{path}={kind!r}: {fix}")


def _is_public(module: str, name: str) -> bool:
    found = getattr(_PUBLIC.get(module), name, None)
    return callable(found) and not name.startswith("_")
