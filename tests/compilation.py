"""How tests are compiled: with little optimisation, and once for all runs.

Nearly all of a test's time is compilation. `conftest.py` calls `configure` before JAX is imported;
what it sets in the environment holds for child processes as well.
"""

import importlib.metadata
import importlib.util
import mmap
import os
from pathlib import Path

FLAGS = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": "false",
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_llvm_disable_expensive_passes": "true",
}
"""These halve the time of compilation. `XLA_FLAGS= python -m pytest` tests the code of users."""


def configure() -> None:
    """Set XLA's flags and the folder of JAX's compilation cache, unless they are set already.

    `EBMX_TEST_CACHE=off` turns the cache off; a path puts it elsewhere.
    """
    os.environ.setdefault("XLA_FLAGS", " ".join(f"--{f}={FLAGS[f]}" for f in known_flags()))
    place = os.environ.get("EBMX_TEST_CACHE") or default_cache()
    if place != "off":
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(place))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")


def default_cache() -> Path:
    """A folder in the user's cache for each version of JAX."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    versions = "-".join(importlib.metadata.version(name) for name in ("jax", "jaxlib"))
    return caches / "ebmx" / f"tests-{versions}"


def known_flags() -> list[str]:
    """Those of `FLAGS` that this jaxlib has: XLA aborts the process at a flag it does not know."""
    spec = importlib.util.find_spec("jaxlib")
    folders = spec.submodule_search_locations if spec else None
    libraries = [library for f in folders or () for library in Path(f).glob("*jax_common*")]
    found = []
    for library in libraries:
        with library.open("rb") as file:
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            # a flag's name is a text of its own; what XLA once had is part of longer ones
            found += [flag for flag in FLAGS if text.find(b"\0" + flag.encode() + b"\0") >= 0]
            text.close()
    return found


def memory_used() -> float:
    """Resident memory of this process in GB; infinite where it cannot be read."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("inf")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9
