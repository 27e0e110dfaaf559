"""One entry of the ledger for each script and form: its figures, and what made them."""

import ast
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Entry = dict[str, Any]
Ledger = dict[str, dict[str, Entry]]
"""The entries by form and name."""


def read(path: Path) -> Ledger:
    """The ledger in this file, empty if the file does not exist."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {form: found.get(form, {}) for form in ("quick", "full")}


def write(path: Path, ledger: Ledger) -> None:
    """Write the ledger whole or not at all."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(
        json.dumps(ledger, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8"
    )
    os.replace(beside, path)


def sources(script: Path) -> list[Path]:
    """The script and what it imports, directly or not, from its own folder."""
    found, new = set(), [script]
    while new:
        path = new.pop()
        found.add(path)
        names = set()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module)
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        # also what is started by its name
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        names |= {t.removesuffix(".py") for t in texts if isinstance(t, str) and t.endswith(".py")}
        beside = [script.parent / f"{name}.py" for name in names]
        new += [path for path in beside if path.exists() and path not in found]
    return sorted(found)


def hash_of(script: Path, root: Path = ROOT) -> str:
    """SHA-256 of the script, of the modules of its folder that it imports, and of the package."""
    package = [p for p in (root / "ebmx").rglob("*") if p.suffix in (".py", ".toml")]
    total = hashlib.sha256()
    for path in [*sources(script), *sorted(package)]:
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def command_of(script: str, arguments: str) -> str:
    """What is written in the documents."""
    return f"python benchmarks/{script}.py {arguments}".strip()


def missing(script: Path, arguments: str, data: Path | None) -> str | None:
    """Why the script cannot be run here, if so."""
    if not script.exists():
        return "the script does not exist"
    if script.stem == "gpu" and "--full" in arguments and shutil.which("nvidia-smi") is None:
        return "it needs a GPU"
    for word in shlex.split(arguments):
        if word.startswith("DATA/"):
            if data is None:
                return f"it needs {word}: give --data FOLDER"
            if not (data / word.removeprefix("DATA/")).exists():
                return f"{word} does not exist"
    return None


def run(script: Path, arguments: str, data: Path | None = None, root: Path = ROOT) -> Entry:
    """Run a script with `--json`, and return its entry."""
    private = {sys.prefix: "ENVIRONMENT", str(root): "."}
    if len(Path.home().parts) > 1:
        private[str(Path.home())] = "~"
    words = shlex.split(arguments)
    if data is not None:
        place = str(data.resolve())
        private = {place: "DATA", **private}
        words = [re.sub("^DATA(?=/)", lambda _: place, word) for word in words]
    made_of: Entry = {"hash": hash_of(script, root), **origin(script, root)}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        out = Path(folder) / "figures.json"
        done = subprocess.run(
            [sys.executable, script, *words, "--json", out],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        figures = json.loads(without(private, out.read_text())) if out.exists() else None
    entry: Entry = {
        "status": "failed" if done.returncode or figures is None else "done",
        "command": command_of(script.stem, arguments),
        "date": datetime.date.today().isoformat(),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(sum(after[:2]) - sum(before[:2]), 1),
        "exit_code": done.returncode,
        "seeds": seeds(arguments),
        **made_of,
        "figures": figures,
    }
    if entry["status"] == "failed":
        entry["error"] = without(private, done.stdout).splitlines()[-8:]
    return entry


def without(private: dict[str, str], text: str) -> str:
    """The text without the names of folders of this machine."""
    for name, word in private.items():
        text = text.replace(name, word)
    return text


def seeds(arguments: str) -> str | None:
    """What is given to `--seed` or `--seeds`."""
    words, found = shlex.split(arguments), []
    for i, word in enumerate(words):
        if word in ("--seed", "--seeds"):
            rest = words[i + 1 :]
            ends = [j for j, other in enumerate(rest) if other.startswith("--")]
            found.append(" ".join([word, *rest[: ends[0] if ends else None]]))
    return ", ".join(found) or None


def origin(script: Path, root: Path = ROOT) -> Entry:
    """Versions, machine and commit, and whether the sources are those of the commit."""

    def git(*words: str | Path) -> str | None:
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    project = root / "pyproject.toml"
    ebmx = tomllib.loads(project.read_text())["project"]["version"] if project.exists() else None
    return {
        "versions": {
            "python": platform.python_version(),
            "jax": importlib.metadata.version("jax"),
            "ebmx": ebmx,
        },
        "machine": {
            "cores": cores(),
            "cpu": cpu_model(),
            "platform": f"{platform.system()} {platform.machine()}",
        },
        "commit": git("rev-parse", "HEAD"),
        "changed_since_commit": bool(git("status", "--porcelain", "--", "ebmx", *sources(script))),
    }


def cores() -> int | None:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def cpu_model() -> str:
    """The name that the processor gives itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not on Linux
        return platform.processor()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")
