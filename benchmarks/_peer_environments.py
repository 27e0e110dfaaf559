"""The virtual environments of the libraries that `peers.py` measures."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

# What pip installs, in turn: PyTorch first, so that nothing else chooses another one.
PEERS = {
    "torchebm": (("torch==2.13.0",), ("torchebm==0.8.9",)),
    "ebmkit": (("torch==2.13.0",), ("ebmkit==0.16.0", "numpy")),
    "artifex": (("avitai-artifex==0.1.15",),),
}
PYTHONS = {"artifex": (3, 12)}


class Failure(Exception):
    """Why a peer takes no part."""


def default_folder() -> Path:
    """A folder in the user's cache directory."""
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ebmx-peers"


def interpreter(wanted: tuple[int, int] | None) -> str:
    """A Python of the wanted version: this one, one on the path, or one of pyenv's."""
    if wanted is None or sys.version_info[:2] == wanted:
        return sys.executable
    name = "{}.{}".format(*wanted)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [shutil.which(f"python{name}"), *sorted(pyenv.glob(f"{name}.*/bin/python"))]
    for python in filter(None, found):
        # what is on the path may be a shim for a version that is not switched on
        probe = [str(python), "-c", f"import sys; sys.exit(sys.version_info[:2] != {wanted})"]
        if subprocess.run(probe, capture_output=True).returncode == 0:
            return str(python)
    raise Failure(f"no Python {name} found")


def call(*command: Any) -> None:
    """Run a command to its end; its last line is the reason if it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        errors = [line for line in lines if line.lower().startswith("error")]
        raise Failure(f"{' '.join(map(str, command[1:4]))} …: {(errors or lines)[-1]}")


def holds(python: Path, requirements: list[str]) -> bool:
    """Whether an environment has these packages already."""
    wanted = [requirement.partition("==")[::2] for requirement in requirements]
    program = (
        "import sys; from importlib.metadata import version; "
        f"sys.exit(any(v not in ('', version(n).split('+')[0]) for n, v in {wanted}))"
    )
    probe = [str(python), "-c", program]
    return python.exists() and subprocess.run(probe, capture_output=True).returncode == 0


def environment(peer: str, folder: Path) -> Path:
    """The Python of a peer's virtual environment, which is made if it does not exist."""
    groups = PEERS[peer]
    python = folder / peer / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not holds(python, [requirement for group in groups for requirement in group]):
        print(f"making an environment for {peer} …", flush=True)
        call(interpreter(PYTHONS.get(peer)), "-m", "venv", "--clear", folder / peer)
        for group in groups:
            call(python, "-m", "pip", "install", "--disable-pip-version-check", *group)
    return python
