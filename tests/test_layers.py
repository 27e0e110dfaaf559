"""The architecture: who may import whom, what an import costs, how long a file may be."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import ebmx

ROOT = Path(ebmx.__file__).parent
ROOMS = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
SHARED = {"_arguments", "_checks", "_interrupt", "_json", "_mesh", "_threefry", "_types"}
SHARED |= {"_user_cache", "_warnings"}

PARTS_OF_THE_COMMAND_LINE = {"_compilation_cache", "_samples", "_output", "_parser"}

# What each room may import of the package; a room that is new has to be entered here.
ALLOWED = {
    "energies": set(),
    "samplers": {"energies"},
    "training": {"samplers", "energies"},
    "evaluation": {"samplers", "energies"},
    "data": set(),
    "plotting": set(),
    "config": {"training", "samplers", "energies", "data"},
    "runs": {"config", "training", "samplers", "energies", "evaluation", "data", "plotting"},
    "__main__": ROOMS | PARTS_OF_THE_COMMAND_LINE,
    "__init__": ROOMS,
    "_arguments": set(),
    "_compilation_cache": set(),
    "_checks": set(),
    "_mesh": set(),
    "_interrupt": set(),
    "_json": set(),
    "_threefry": set(),
    "_samples": {"plotting"},
    "_types": set(),
    "_output": set(),
    "_user_cache": set(),
    "_parser": {"config"},
    "_warnings": set(),
}


@functools.cache
def imports(path, root=ROOT):
    """The modules that a file of the package imports, wherever in the file, as absolute names."""
    package = ["ebmx", *path.relative_to(root).parts[:-1]]
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def room_of(path, root=ROOT):
    first = path.relative_to(root).parts[0]
    return first.removesuffix(".py")


def rooms_imported(path, root=ROOT):
    inside = {name.split(".")[1] for name in imports(path, root) if name.startswith("ebmx.")}
    return inside - {room_of(path, root)} - SHARED


def libraries_imported(path):
    return {name.split(".")[0] for name in imports(path, ROOT)}


FILES = sorted(ROOT.rglob("*.py"))


def name_of(path):
    return str(path.relative_to(ROOT))


def test_the_walk_sees_the_package():
    # a guard of the tests below: an empty walk would pass them all
    assert len(FILES) > 30
    assert ALLOWED.keys() - SHARED - {"__main__", "__init__"} - PARTS_OF_THE_COMMAND_LINE == ROOMS
    assert rooms_imported(ROOT / "samplers" / "_run.py") == {"energies"}
    assert "data" in rooms_imported(ROOT / "runs" / "_run.py")
    assert "optax" in libraries_imported(ROOT / "training" / "_trainer.py")


def test_the_walk_sees_an_upward_import(tmp_path):
    (tmp_path / "energies").mkdir()
    file = tmp_path / "energies" / "_bad.py"
    file.write_text("def f():\n    from ..samplers import run\n    from .. import training\n")
    assert rooms_imported(file, tmp_path) == {"samplers", "training"}


@pytest.mark.medium
def test_imports_point_one_way():
    upward = {name_of(path): rooms_imported(path) - ALLOWED[room_of(path)] for path in FILES}
    assert {name: rooms for name, rooms in upward.items() if rooms} == {}


def test_blackjax_is_imported_in_one_file_of_samplers_and_in_evaluation():
    users = [path for path in FILES if "blackjax" in libraries_imported(path)]
    assert {room_of(path) for path in users} <= {"samplers", "evaluation"}
    assert sum(room_of(path) == "samplers" for path in users) <= 1


def test_optax_is_imported_where_something_is_trained():
    users = {room_of(path) for path in FILES if "optax" in libraries_imported(path)}
    assert "training" in users
    # of evaluation, the classifier whose features compare samples
    assert users <= {"training", "config", "runs", "evaluation"}


def test_no_file_is_over_300_lines():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in FILES}
    assert {name: num for name, num in lines.items() if num > 300} == {}


def test_no_folder_has_more_than_20_files():
    folders = {path.parent for path in FILES}
    num = {str(folder): len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: n for name, n in num.items() if n > 20} == {}


def test_files_inside_a_room_are_private():
    public = [
        name_of(path)
        for path in FILES
        if not path.name.startswith("_") and not path.is_relative_to(ROOT / "docs")
    ]
    assert public == []


@pytest.mark.medium
def test_importing_the_package_takes_nothing_it_may_not_need():
    # nor does it take hold of the devices, of which a program may want to say how many there are
    optional = ["matplotlib", "shtab", "sklearn", "datasets", "mlxtend", "tqdm", "tomli_w", "orbax"]
    optional += ["pandas", "pyarrow", "PIL"]
    optional += ["tensorboardX", "wandb", "mlflow", "trackio"]
    optional += ["ziglang", "safetensors", "huggingface_hub", "numpyro", "flax"]
    code = f"import ebmx, jax, sys; print([m for m in {optional} if m in sys.modules]); ebmx.run"
    code += "; jax.config.update('jax_num_cpu_devices', 3); print(len(jax.devices()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["[]", "3"], done.stderr
