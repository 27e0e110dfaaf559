"""Compiled functions that are kept from one process to the next."""

import os
import platform
import sys
import zlib
from pathlib import Path

import jax

_SECONDS = 0.1  # what compiles faster is not worth a file


def keep_compiled() -> Path | None:
    """Let JAX keep what it compiles in a folder of the user's cache.

    A folder that is set already, as by `JAX_COMPILATION_CACHE_DIR`, stays in use;
    `JAX_ENABLE_COMPILATION_CACHE=false` turns all of this off. Files of the folder may be deleted
    at any time.

    Returns:
        The folder, or `None` if JAX keeps nothing, since it is told not to or the folder cannot be
        written.
    """
    settings = jax.config.values
    if not settings["jax_enable_compilation_cache"]:
        return None
    if settings["jax_compilation_cache_dir"] is not None:
        return Path(settings["jax_compilation_cache_dir"])
    try:
        folder = _user_cache() / "ebmx" / f"compiled-{jax.__version__}-{_processor()}"
    except RuntimeError:  # there is no home
        return None
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _SECONDS)
    return folder


def _user_cache() -> Path:
    """The folder for caches of this user, as the operating system has it."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    own = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return Path(own) if own else Path.home() / ".cache"


def _processor() -> str:
    """A name for this kind of processor: its architecture and a checksum of its instruction sets.

    It keeps computers that share a home folder from running code compiled for another one.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next(line for line in lines if line.lower().startswith(("flags", "features")))
    except (OSError, StopIteration):
        features = platform.processor()
    return f"{platform.machine()}-{zlib.crc32(features.encode()):08x}"
