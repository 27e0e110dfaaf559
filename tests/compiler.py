"""A C++ compiler for the kernel of `ConvNet(native=True)`."""

import importlib.util
import os
import shutil

import pytest


@pytest.fixture(autouse=True, scope="module")
def compiler():
    """That of the environment or of ziglang, else the system's; without any, tests are skipped."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get("CXX") and importlib.util.find_spec("ziglang") is None:
            found = shutil.which("g++") or shutil.which("clang++")
            if found is None:
                pytest.skip("needs a C++ compiler: pip install 'ebmx[native]', or g++")
            patch.setenv("CXX", found)
        yield
