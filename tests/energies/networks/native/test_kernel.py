"""The kernel is built once for a user, and what goes wrong is told."""

import os
import re
import shlex
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from compiler import compiler  # noqa: F401  # a fixture
from helpers import call

from ebmx._user_cache import processor
from ebmx.energies import ConvNet
from ebmx.energies.networks.native import _energy, _kernel

USE = "from ebmx.energies.networks.native import _kernel; _kernel.load()"


def make():
    return ConvNet((4, 4, 1), (2,), native=True, key=jax.random.key(0))


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """No kernel is there, nor remembered by this process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_kernel, "load", _kernel.load.__wrapped__)
    return tmp_path / "cache"


@pytest.mark.medium
def test_each_thread_has_memory_of_its_own(monkeypatch):
    net, sizes = make(), []
    monkeypatch.setattr(_energy, "_num_threads", lambda: 3)
    for num, lanes, workers in ((9, 16, 1), (33, 16, 3), (96, 32, 3), (128, 32, 3)):
        text = jax.jit(jax.vmap(net)).lower(jnp.zeros((num, *net.shape))).as_text()
        sizes.append(max(map(int, re.findall(r"tensor<(\d+)xf32>", text))))
        one = _kernel.scratch_size(_energy._config(net, lanes, 3))
        assert sizes[-1] >= workers * one + 16  # to begin at a multiple of 64 bytes
    assert sizes == sorted(sizes)


def test_memory_beyond_two_to_the_31():
    net = ConvNet((8192, 8192, 1), (16,), head="sum", native=True, key=jax.random.key(0))
    assert _kernel.scratch_size(_energy._config(net, 32, 1)) > 16 * 4096**2 * 32


@pytest.mark.slow
def test_two_processes_may_build_it_at_once(empty_cache):
    both = [subprocess.Popen([sys.executable, "-c", USE], stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors
    # what this process would load, and no folder of a build
    name = f"convnet-{processor()}-{_kernel._digest()}.so"
    assert [path.name for path in (empty_cache / "ebmx" / "native").iterdir()] == [name]


def test_without_a_compiler_it_says_what_to_install(empty_cache, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setitem(sys.modules, "ziglang", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError, match=r"pip install 'ebmx\[native\]'"):
        make()
    assert call("train", "digits", "--steps", "1", "--energy.native", "true") == 2
    assert "pip install 'ebmx[native]'" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("program", "message"),
    [("import sys; sys.exit('no vectors here')", "no vectors here"), (None, "No such file")],
)
def test_a_compiler_that_fails_is_quoted(program, message, empty_cache, monkeypatch):
    words = [sys.executable, "-c", program] if program else ["/nowhere/c++"]
    monkeypatch.setenv("CXX", shlex.join(words))
    with pytest.raises(
        ImportError, match=f"could not be built by (?s:.*)convnet.cc(?s:.*){message}"
    ):
        make()
    assert not [*(empty_cache / "ebmx" / "native").iterdir()]


def test_where_the_cache_cannot_be_written_it_is_built_for_this_process(empty_cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    folder = _kernel._folder()
    assert folder.is_dir()
    assert folder == _kernel._folder()
    assert not str(folder).startswith(os.devnull)


def test_another_compiler_or_source_has_another_library(monkeypatch, tmp_path):
    names = {_kernel._digest()}
    monkeypatch.setenv("CXX", "another")
    names.add(_kernel._digest())
    source = tmp_path / "convnet.cc"
    source.write_text("int main() {}")
    monkeypatch.setattr(_kernel, "_SOURCE", source)
    names.add(_kernel._digest())
    assert len(names) == 3
