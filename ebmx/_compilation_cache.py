"""Compiled functions that are kept from one process to the next."""

import os
from pathlib import Path

import jax

from ._user_cache import is_writable, processor, user_cache

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
        folder = user_cache() / "ebmx" / f"compiled-{jax.__version__}-{processor()}"
    except RuntimeError:  # there is no home
        return None
    if not is_writable(folder):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _SECONDS)
    return folder
