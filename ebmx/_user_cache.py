"""Where a user's caches are, and what compiled code in them is for."""

import os
import platform
import sys
import zlib
from pathlib import Path


def user_cache() -> Path:
    """The folder for caches of this user, as the operating system has it.

    Raises:
        RuntimeError: if there is no home.
    """
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    own = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return Path(own) if own else Path.home() / ".cache"


def processor() -> str:
    """A name for this kind of processor: its architecture and a checksum of its instruction sets.

    It keeps computers that share a home folder from running code compiled for another one.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next(line for line in lines if line.lower().startswith(("flags", "features")))
    except (OSError, StopIteration):
        features = platform.processor()
    return f"{platform.machine()}-{zlib.crc32(features.encode()):08x}"


def is_writable(folder: Path) -> bool:
    """Whether this folder, or the first one above it that exists, can be written."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
