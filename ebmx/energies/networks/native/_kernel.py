"""Building, loading and registering the kernel."""

import ctypes
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import jax

from ...._user_cache import is_writable, processor, user_cache

_SOURCE = Path(__file__).with_name("convnet.cc")
_OPTIONS = "-std=c++17 -O3 -ffp-contract=fast -fno-exceptions -fno-rtti -shared -fPIC -Wno-psabi"
_SECONDS = 300  # after which a compiler hangs


@functools.cache
def load() -> tuple[str, ctypes.CDLL]:
    """Build the kernel if need be; return the name of its custom call, and its library.

    It is built at its first use, with the compiler that `CXX` names, else with that of the package
    ziglang, and kept in the user's cache.

    Raises:
        ImportError: if there is no compiler, or it fails.
    """
    digest = _digest()
    path = _folder() / f"convnet-{processor()}-{digest}.so"
    if not path.exists():
        _build(path)
    library = ctypes.CDLL(str(path))
    # compiled programs that JAX keeps hold this name, and must not find another kernel by it
    name = f"ebmx_convnet_{digest}"
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(library.convnet), platform="cpu")
    library.convnet_scratch.restype = ctypes.c_int64
    return name, library


def scratch_size(config: list[int]) -> int:
    """How many numbers one thread of the kernel needs as memory."""
    return load()[1].convnet_scratch((ctypes.c_int64 * len(config))(*config))


def _digest() -> str:
    """A name for what decides on the library, beside the processor."""
    parts = [_OPTIONS, os.environ.get("CXX", ""), importlib.metadata.version("jaxlib")]
    return hashlib.sha256(" ".join(parts).encode() + _SOURCE.read_bytes()).hexdigest()[:12]


def _folder() -> Path:
    """Where built kernels are kept: the user's cache, or a temporary folder if it is read-only."""
    try:
        folder = user_cache() / "ebmx" / "native"
        if is_writable(folder):
            return folder
    except RuntimeError:  # there is no home
        pass
    return Path(_temporary().name)


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="ebmx-native-")


def _build(path: Path) -> None:
    """Build the library elsewhere and move it there, so that no process meets half of it."""
    compiler = _compiler()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="build-") as folder:
        built = Path(folder) / "convnet.so"
        options = [*_OPTIONS.split(), *_for_this_processor(), f"-I{jax.ffi.include_dir()}"]
        command = [*compiler, *options, str(_SOURCE), "-o", str(built)]
        own = {"ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder}
        try:
            done = subprocess.run(
                command, env=os.environ | own, capture_output=True, text=True, timeout=_SECONDS
            )
            output, failed = done.stderr + done.stdout, done.returncode != 0
        except (OSError, subprocess.TimeoutExpired) as error:
            output, failed = str(error), True
        if failed:
            text = f"the kernel of native=True could not be built by {shlex.join(command)}"
            raise ImportError(f"{text}\n{output}")
        os.replace(built, path)


def _compiler() -> list[str]:
    given = shlex.split(os.environ.get("CXX", ""))
    if given:
        return given
    if importlib.util.find_spec("ziglang") is None:
        text = "native=True needs a C++ compiler: pip install 'ebmx[native]', or name one by CXX"
        raise ImportError(text)
    return [sys.executable, "-m", "ziglang", "c++", "-nostdlib++"]


def _for_this_processor() -> list[str]:
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return ["-march=native" if is_x86 else "-mcpu=native"]
