"""A warning names the line that called the package, and not one within it."""

import ast
from pathlib import Path

import numpy as np
import pytest

import ebmx
from ebmx._arguments import check_arguments
from ebmx.evaluation import _diagnostics as diagnostics
from ebmx.evaluation import diagnose, frechet_distance
from ebmx.evaluation._long_chains import _warn_of_few
from ebmx.evaluation.log_z._estimate import estimate, warn_of_islands, warn_of_weights
from ebmx.samplers import Samples, StepInfo

EVEN = estimate(np.float32(0), np.zeros(4), None, [], [], sign=1)
UNEVEN = estimate(np.float32(0), np.array([0.0, -99, -99, -99]), None, [], [], sign=1)


def stuck():
    """Samples of chains that never moved."""
    x, one = np.zeros((4, 8, 1), np.float32), np.ones(4, np.float32)
    info = StepInfo(0 * one, 0 * one, one, np.zeros(4, bool))
    return Samples(x, x[:, -1], None, info, np.zeros(4, int))


# a function that is checked stands around each, as it does where a user calls it
CALLS = {
    "frechet_distance": lambda: frechet_distance(np.eye(4), np.eye(8, 4)),
    "weights": lambda: check_arguments(warn_of_weights)(UNEVEN, True),
    "base": lambda: check_arguments(warn_of_weights)(EVEN, False),
    "islands on the way": lambda: check_arguments(warn_of_islands)(EVEN, np.zeros(4, bool), True),
    "islands": lambda: check_arguments(warn_of_islands)(UNEVEN, np.ones(4, bool), True),
    "drift": lambda: check_arguments(_warn_of_few)(3, 3),
    "diagnose": lambda: diagnose(stuck()),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_line_is_that_of_the_caller(name, monkeypatch):
    monkeypatch.setattr(diagnostics, "_estimates", lambda x: (np.ones(1),) * 3)
    with pytest.warns(UserWarning, match=".") as caught:
        CALLS[name]()
    (warning,) = caught
    line = CALLS[name].__code__.co_firstlineno
    assert (warning.filename, warning.lineno) == (__file__, line)


@pytest.mark.medium
def test_every_warning_of_the_package_looks_for_its_caller():
    def warns(node):
        called = isinstance(node, ast.Call) and ast.unparse(node.func)
        return called in ("warnings.warn", "warnings.warn_explicit")

    root = Path(ebmx.__file__).parent
    files = [path for path in root.rglob("*.py") if path.name != "_warnings.py"]
    found = {p.name for p in files if any(map(warns, ast.walk(ast.parse(p.read_text()))))}
    assert found == set()
