"""A fuzz of every public call: one argument is spoiled, and the error must say which.

`EBMX_FUZZ=all pytest tests/test_fuzz.py` tries all cases, `EBMX_FUZZ=800` so many of them.
"""

import contextlib
import dataclasses
import io
import os
import random
import re
import traceback
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jaxtyping
import numpy as np
from fuzz_calls import EXEMPT, public, table
from fuzz_calls.spoiled import spoiled

import ebmx.config
from ebmx import _checks
from ebmx.__main__ import main
from ebmx.config import RunConfig, check_config

ASKED = os.environ.get("EBMX_FUZZ", "100")


@dataclasses.dataclass(frozen=True)
class Case:
    """A call with one argument spoiled; `nonsense` is what may not be accepted."""

    name: str
    argument: str
    label: str
    value: object
    nonsense: bool


def cases():
    """All of them."""
    for name, call in table().items():
        for argument, value in call.arguments.items():
            for label, bad, nonsense in spoiled(value):
                yield Case(
                    name, argument, label, bad, bool(nonsense) and argument not in call.any_of
                )


def numbers(result):
    """The numbers in whatever a call returns."""
    if dataclasses.is_dataclass(result) and not isinstance(result, eqx.Module | type):
        return [n for f in dataclasses.fields(result) for n in numbers(getattr(result, f.name))]
    leaves = [
        leaf
        for leaf in jax.tree.leaves(result)
        if isinstance(leaf, float) or eqx.is_inexact_array(leaf) or isinstance(leaf, np.ndarray)
    ]
    fields = []
    if isinstance(result, eqx.Module):
        values = [getattr(result, f.name, None) for f in dataclasses.fields(result)]
        fields = [v for v in values if isinstance(v, float)]
    return [np.asarray(leaf) for leaf in leaves + fields]


def complaint(case):
    """What is wrong with how a case ends, in words; nothing if it is as promised."""
    call = table()[case.name]
    arguments = {**call.arguments, case.argument: case.value}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call.function(**arguments)
    except Exception as error:
        return wrong_error(error, case.argument, call.also.get(case.argument))
    if case.argument in call.any_of:
        return ""
    if case.argument in call.passes_nan and case.label in ("nans", "inf", "huge"):
        return ""
    if case.nonsense:
        return f"accepted {case.value!r}"
    finite = case.label in ("inf", "-inf", "huge")
    for array in numbers(result):
        if array.dtype.kind == "f" and (
            np.isnan(array).any() or not (finite or np.isfinite(array).all())
        ):
            return f"returned {array}"
    return ""


def wrong_error(error, argument, also=None):
    """What is wrong with an error, in words."""
    text = str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {text[:150]}"
    if isinstance(error, jaxtyping.TypeCheckError):
        return "" if re.search(rf"parameter '{argument}'", text) else f"does not name it: {where}"
    if not isinstance(error, ValueError | TypeError | OSError | FloatingPointError):
        return f"undocumented: {where}"
    if any(
        part in frame.filename
        for part in ("/jax/", "/jaxlib/", "/numpy/", "/equinox/", "/optax/", "/orbax/")
    ):
        return f"raw: {where}"
    names = rf"(?<![a-z_])({argument}{f'|{also}' if also else ''})(?![a-z_])"
    return "" if re.search(names, text) else f"does not name it: {where}"


def chosen():
    """As many cases as asked for, the same ones each day."""
    every = list(cases())
    if ASKED == "all":
        return every
    return random.Random(0).sample(every, min(int(ASKED), len(every)))


def test_each_public_name_is_looked_at():
    listed = {name for name in public() if name.split(".")[1] not in EXEMPT}
    assert table().keys() >= listed, sorted(listed - table().keys())
    assert len(list(cases())) > 500


def test_the_calls_of_the_table_work():
    # a sample of a sample: each of them has to be compiled
    names = sorted({case.name for case in chosen()})
    for name in names if ASKED == "all" else names[::8]:
        call = table()[name]
        result = call.function(**call.arguments)
        assert all(np.isfinite(a).all() for a in numbers(result) if a.dtype.kind == "f"), name


def test_a_spoiled_argument_is_named():
    wrong = {}
    for case in chosen():
        words = complaint(case)
        if words:
            wrong[f"{case.name}({case.argument}={case.label})"] = words
    assert not wrong, "\n".join(f"{call}: {words}" for call, words in wrong.items())


TEXTS = ("nan", "-1", "0", "2.5", "ab", "inf", "", "1e30", "[]", "None", "--")


def options(kind=RunConfig, prefix="--"):
    """All options of `ebmx train`, as they are typed."""
    for field in dataclasses.fields(kind):
        name = prefix + field.name.replace("_", "-")
        part = getattr(kind(), field.name)
        yield from options(type(part), f"{name}.") if dataclasses.is_dataclass(part) else [name]


def commands():
    """Commands with one option spoiled; and words that are no command."""
    for option in options():
        for text in TEXTS:
            yield ["train", "digits", "--steps", "1", option, text]
    for option in ("--recipe", "--resume", "--devices"):
        yield from (["train", option, text] for text in ("nan", "-1", "0", "ab", "", "/no/such"))
    for option in ("--num", "--label", "--seed"):
        yield from (["sample", "no/such/run", option, text] for text in TEXTS)
    yield from ([text] for text in TEXTS)
    yield from (["config", "check", text] for text in TEXTS)


def build(config, *, mesh=None):
    """As much of a run as can fail by its config, and no training."""
    if config.steps is not None:
        _checks.at_least("steps", config.steps, 1)
    _checks.positive("seconds", config.seconds)
    check_config(config)
    raise StopIteration(mesh)


def test_the_command_line_says_what_does_not_fit(monkeypatch):
    monkeypatch.setattr(ebmx.config, "train_run", build)
    every = list(commands())
    count = len(every) if ASKED == "all" else min(len(every), int(ASKED) // 5)
    wrong = {}
    for arguments in random.Random(1).sample(every, count):
        out, errors = io.StringIO(), io.StringIO()
        code = None
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
                code = main(arguments)
        except SystemExit as error:
            code = error.code
        except StopIteration:
            code = 0
        except Exception as error:
            wrong[" ".join(arguments)] = repr(error)[:200]
            continue
        text = errors.getvalue() + out.getvalue()
        name = arguments[-2].split(".")[-1].strip("-") if len(arguments) > 1 else ""
        named = code == 0 or re.search(
            rf"usage|{name}|{name.replace('-', '_')}|run in it|path=", text
        )
        if "Traceback" in text or not named:
            wrong[" ".join(arguments)] = f"{code} {text[:200]}"
    assert not wrong, "\n".join(f"{command}: {words}" for command, words in wrong.items())
