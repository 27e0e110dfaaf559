"""Every test checks something."""

import ast
import functools
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
RAISES = {"raises", "warns", "check_key_reuse"}
"""What makes a test fail without the word `assert`."""


def checks(function, helpers):
    """Whether a function asserts, or calls what does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
        if name.startswith("assert") or name in RAISES or name in helpers:
            return True
    return False


@functools.cache
def functions(path):
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def asserting(paths):
    """Names of functions that assert, also by calling each other."""
    helpers: set[str] = set()
    while True:
        found = {
            function.name
            for path in paths
            for function in functions(path)
            if not function.name.startswith("test_") and checks(function, helpers)
        }
        if found <= helpers:
            return helpers
        helpers |= found


@pytest.mark.medium
def test_each_test_has_an_assertion():
    paths = sorted(TESTS.rglob("*.py"))
    shared = asserting([path for path in paths if not path.name.startswith("test_")])
    without = [
        f"{path.relative_to(TESTS)}::{function.name}"
        for path in paths
        for helpers in [shared | asserting([path])]
        for function in functions(path)
        if function.name.startswith("test_") and not checks(function, helpers)
    ]
    assert without == []


def test_no_assertion_is_of_a_constant():
    constant = [
        f"{path.relative_to(TESTS)}:{node.lineno}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant | ast.Tuple)
    ]
    assert constant == []
