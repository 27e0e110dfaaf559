"""What JAX compiles is kept from one process to the next, where the user's cache is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import jax, jax.numpy as jnp
from ebmx._compilation_cache import keep_compiled
found = []
jax.monitoring.register_event_listener(lambda event, **_: found.append(event))
print(keep_compiled())
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones(5))
print(sum(event == "/jax/compilation_cache/cache_hits" for event in found))
"""


def run(*command, **environment):
    """The lines that a program of its own writes, in an environment without settings of JAX."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, *command],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.medium
def test_a_second_process_finds_what_the_first_compiled(tmp_path):
    place = {"XDG_CACHE_HOME": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    folder, hits = run("-c", PROGRAM, **place)
    assert Path(folder).parent == tmp_path / "ebmx"
    assert hits == "0"
    assert list(Path(folder).iterdir())
    assert int(run("-c", PROGRAM, **place)[1]) > 0


@pytest.mark.medium
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"JAX_ENABLE_COMPILATION_CACHE": "false"}, "None"),
        ({"XDG_CACHE_HOME": os.devnull}, "None"),
        ({"JAX_COMPILATION_CACHE_DIR": "{folder}/own"}, "{folder}/own"),
    ],
)
def test_it_can_be_turned_off_and_moved(settings, expected, tmp_path):
    settings = {name: value.format(folder=tmp_path) for name, value in settings.items()}
    place = {"XDG_CACHE_HOME": str(tmp_path / "user")} | settings
    assert run("-c", PROGRAM, **place)[0] == expected.format(folder=tmp_path)
    assert not (tmp_path / "user").exists()


@pytest.mark.medium
def test_a_command_that_compiles_nothing_leaves_no_folder(tmp_path):
    assert run("-m", "ebmx", "recipes", XDG_CACHE_HOME=str(tmp_path))
    assert not list(tmp_path.iterdir())
