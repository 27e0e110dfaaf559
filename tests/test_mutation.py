"""The mutants of `benchmarks/mutation.py`: each is one mistake, and can be made."""

import ast
import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import _mutation_equivalents  # noqa: E402
import _mutation_sample  # noqa: E402
import _mutation_tests  # noqa: E402
from _mutation_table import MUTANTS  # noqa: E402

TABLE = [
    (f"ebmx/{file}", f"tests/{test}", name, old, new)
    for (file, tests), bugs in MUTANTS.items()
    for test in tests.split()
    for name, old, new in bugs
]
FILES = [
    str(path.relative_to(ROOT))
    for room in ("samplers", "training", "energies", "evaluation")
    for path in sorted((ROOT / "ebmx" / room).rglob("_*.py"))
    if path.name != "__init__.py"
]


@functools.cache
def source(file):
    return (ROOT / file).read_text()


@functools.cache
def mutants(file):
    return _mutation_sample.mutants(file, source(file))


def test_each_text_of_the_table_is_found_once_in_its_file():
    counts = {(file, name): source(file).count(old) for file, _, name, old, _ in TABLE}
    assert len(counts) > 90
    assert {key: count for key, count in counts.items() if count != 1} == {}
    assert all(old != new for *_, old, new in TABLE)
    assert {test for _, test, *_ in TABLE if not (ROOT / test).exists()} == set()


def test_each_module_has_tests():
    without = [file for file in FILES if not _mutation_tests.tests_of(file, ROOT)]
    assert without == []
    named = [f"ebmx/{file}" for file in _mutation_tests.FURTHER]
    assert set(named) <= set(FILES)
    for file, tests in _mutation_tests.FURTHER.items():
        folder = ROOT / "tests" / Path(file).parent
        missing = [name for name in tests.split() if not (folder / f"{name}.py").exists()]
        assert missing == [], file


@pytest.mark.medium
def test_each_equivalent_mutant_is_one_that_is_made():
    labels = {
        label
        for file in FILES
        for mutant in mutants(file)
        for label in _mutation_equivalents.labels(mutant)
    }
    assert _mutation_equivalents.EQUIVALENTS.keys() <= labels
    assert all(len(reason) > 10 for reason in _mutation_equivalents.EQUIVALENTS.values())


MADE = [
    ("sign", "a - b", "a + b"),
    ("sign", "f(-x)", "f(x)"),
    ("factor", "0.5 * a", "1.0 * a"),
    ("factor", "jnp.sum(a)", "jnp.mean(a)"),
    ("dropped term", "a + b", "a"),
    ("dropped term", "jnp.sqrt(a)", "a"),
    ("swapped arguments", "a / b", "b / a"),
    ("swapped arguments", "jnp.where(c, a, b)", "jnp.where(c, b, a)"),
    ("swapped arguments", "jnp.minimum(a, b)", "jnp.maximum(a, b)"),
    ("comparison", "a < b", "a > b"),
    ("comparison", "a is None", "a is not None"),
    ("comparison", "~a", "a"),
    ("comparison", "a | b", "a & b"),
    ("off by one", "a[1:]", "a[2:]"),
    ("off by one", "a - 1", "a - 2"),
    ("key used twice", "jax.random.fold_in(key, i)", "key"),
    ("gradient not stopped", "jax.lax.stop_gradient(a)", "a"),
    ("wrong axis", "jnp.sum(a, axis=0)", "jnp.sum(a, axis=-1)"),
    ("wrong axis", "a.mean(0)", "a.mean(-1)"),
    ("not stored", "a.at[i].set(b)", "a"),
]


def expression(text):
    return ast.dump(ast.parse(text, mode="eval"))


@pytest.mark.parametrize(("operator", "old", "new"), MADE)
def test_an_operator_makes_its_mistake(operator, old, new):
    text = f"def f(a, b, c, i, x, key):\n    return {old}\n"
    made = [m for m in _mutation_sample.mutants("f.py", text) if m.operator == operator]
    results = [m.apply(text).split("return ")[1].strip() for m in made]
    assert expression(new) in [expression(result) for result in results]


def test_stale_values_and_keys_used_twice():
    text = """
def f(x, state, key):
    one, two = jax.random.split(key)
    moved = g(x, key=one)
    state = h(state, key=two)
    y, state = g(moved, state)
    return moved, state
"""
    made = _mutation_sample.mutants("f.py", text)
    changes = {(m.operator, m.old, m.new) for m in made}
    assert ("key used twice", "one", "two") in changes
    assert ("stale value", "h(state, key=two)", "state") in changes
    assert ("stale value", "moved", "x") in changes
    assert ("not stored", "state", "_not_stored") in changes


def test_checks_defaults_annotations_and_text_are_left_alone():
    text = '''
def f(x: int | None = 3 + 4) -> float | None:
    """1 - 2"""
    _checks.require(x > 1, "x", x, "1 - 2")
    if x < 0:
        raise ValueError(f"{x - 1}")
    return x
'''
    assert _mutation_sample.mutants("f.py", text) == []


def test_a_seed_chooses_the_same_mutants_and_every_module_has_one():
    files = [file for file in FILES[:12] if mutants(file)]
    one, again = (_mutation_sample.sample(ROOT, files, 20, seed=1) for _ in range(2))
    other = _mutation_sample.sample(ROOT, files, 20, seed=2)
    assert one == again != other
    assert {mutant.file for mutant in one} == set(files)
    for mutant in one:
        changed = mutant.apply(source(mutant.file))
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source(mutant.file)))
        assert mutant.line <= changed.count("\n")


@pytest.mark.slow
def test_a_mutant_is_killed_by_the_tests_of_its_module(tmp_path):
    script, figures = ROOT / "benchmarks/mutation.py", tmp_path / "figures.json"
    options = ["--only", "evaluation/samples/_calibration", "--num", "600", "--seeds", "0"]
    command = [sys.executable, script, *options, "--target", "0", "--json", figures]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())["mutants"]
    assert found
    assert {mutant["fate"] for mutant in found} <= {"killed", "survived"}
    assert any("test_calibration.py::" in mutant["by"] for mutant in found)
