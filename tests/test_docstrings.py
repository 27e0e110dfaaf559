"""Docstrings: each public function and class says what it takes, returns and raises."""

import ast
import doctest
import importlib
import inspect
import re
import textwrap
import warnings

import jax
import pytest

ROOMS = ("energies", "samplers", "training", "evaluation", "data", "plotting", "config", "runs")
ROOMS += ("energies.bijections",)
ARRAYS = re.compile(r"\b(X|XBatch|Batch|ArrayLike|Array|ndarray)\b")
SHAPE = re.compile(
    r"`\([^`]*\)`|shape|one example|an array|a batch|as for `"
    r"|`TransportPairs`|`QuadraturePoints`|`Neigh"
)


def public(kind):
    rooms = {room: vars(importlib.import_module(f"ebmx.{room}")) for room in ROOMS}
    return {
        f"{room}.{name}": value
        for room, names in rooms.items()
        for name, value in names.items()
        if not name.startswith("_") and kind(value)
    }


def parameters(value):
    names = list(inspect.signature(value).parameters.values())
    return [p for p in names if p.name not in ("self", "key")]


def section(text, title):
    """What stands indented below a title."""
    found = re.search(rf"^{title}:\n((?:[ ]{{4}}.*(?:\n|\Z)|\n)+)", text, re.MULTILINE)
    return textwrap.dedent(found.group(1)).strip() if found else ""


def items(text):
    """`name: words` of each entry of a section."""
    return dict(re.findall(r"^(\w+): (.*?)(?=^\w+: |\Z)", text, re.DOTALL | re.MULTILINE))


def refers(text):
    """Whether the text says that arguments are as for another function."""
    return re.search(r"(Arguments|others?)\W[^.]*as for `|[Aa]s for `", text) is not None


def gaps(function):
    """What the docstring of a function does not say."""
    text, source = inspect.getdoc(function) or "", inspect.getsource(inspect.unwrap(function))
    described = items(section(text, "Args"))
    for parameter in parameters(function):
        if parameter.name not in described and not refers(text):
            yield parameter.name
        # a number has no shape
        kind = re.sub(r"\w+\[[\w.]+, ''\]", "", str(parameter.annotation))
        array = ARRAYS.search(kind) and "Callable" not in kind
        words = " ".join(described.values())
        if array and parameter.name in described and not SHAPE.search(words):
            yield f"the shape of {parameter.name}"
    said = section(text, "Returns") or "Returns an array" in text or refers(text)
    if inspect.signature(function).return_annotation is not None and not said:
        yield "Returns"
    raises = re.search(r"\b_checks\.\w+\(|\braise ", source)
    if raises and not (section(text, "Raises") or "errors as for" in text or refers(text)):
        yield "Raises"


def test_a_function_says_what_it_takes_and_returns_and_raises():
    functions = public(inspect.isfunction)
    assert len(functions) > 80
    found = {name: list(gaps(function)) for name, function in functions.items()}
    assert {name: words for name, words in found.items() if words} == {}


def body_of(cls):
    """The class as a tree, and the lines of its text."""
    source = textwrap.dedent(inspect.getsource(cls))
    return ast.parse(source).body[0].body, source.splitlines()


def said_beneath(cls):
    """The fields of a class that have a text of their own, or a comment above their group."""
    body, lines = body_of(cls)
    found, commented = set(), False
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign):
            commented = False
            continue
        commented = commented or "#" in lines[node.lineno - 1] + lines[node.lineno - 2]
        text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if text or commented:
            found.add(node.target.id)
    return found


def checks_of(cls):
    """The text of what runs at construction."""
    names = ("__init__", "__check_init__", "__post_init__")
    tree = [n for n in body_of(cls)[0] if isinstance(n, ast.FunctionDef) and n.name in names]
    return "\n".join(map(ast.unparse, tree))


# made by the library alone
RESULTS = {"StepInfo", "Samples", "RunningMoments", "Examples", "NegativesInfo", "RESULTS"}


def silent(cls):
    """The fields of a class of which nothing is said, and what it raises if that is not said."""
    made_by = vars(cls).get("__init__")
    own = inspect.isfunction(made_by) and made_by.__doc__
    text = "\n".join([inspect.getdoc(cls) or "", inspect.cleandoc(made_by.__doc__) if own else ""])
    if refers(text):
        return
    beneath = said_beneath(cls)
    for parameter in parameters(cls):
        said = f"`{parameter.name}`" in text or parameter.name in items(section(text, "Args"))
        if not said and parameter.name not in beneath:
            yield parameter.name
    if "_checks." in checks_of(cls) and not inspect.isabstract(cls):
        ranges = re.search(r"> 0|≥ 0|at least|in \(", section(text, "Args"))
        if not (section(text, "Raises") or ranges):
            yield "Raises"


@pytest.mark.medium
def test_a_class_says_what_it_is_made_of():
    classes = {
        name: cls
        for name, cls in public(inspect.isclass).items()
        if not issubclass(cls, BaseException) and cls.__name__ not in RESULTS
    }
    assert len(classes) > 80
    found = {name: list(silent(cls)) for name, cls in classes.items()}
    assert {name: words for name, words in found.items() if words} == {}


WITH_EXAMPLES = public(lambda value: ">>> " in (inspect.getdoc(value) or ""))


def test_the_names_that_are_used_most_have_examples():
    assert len(WITH_EXAMPLES) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(WITH_EXAMPLES))
def test_an_example_of_a_docstring_prints_what_it_says(path):
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    text = inspect.getdoc(WITH_EXAMPLES[path])
    with warnings.catch_warnings(), jax.numpy_rank_promotion("allow"):
        warnings.simplefilter("default")
        found = runner.run(parser.get_doctest(text, {}, path, None, None))
    assert found.attempted > 0
    assert found.failed == 0
