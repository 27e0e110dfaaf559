"""Options of the command line, one spoiled: it ends with a message that names the option.

`EBMX_FUZZ=all pytest tests/test_command_options.py` tries all commands, `EBMX_FUZZ=800` a fifth of
so many.
"""

import contextlib
import dataclasses
import io
import os
import random
import re

import ebmx.config
from ebmx import _checks
from ebmx.__main__ import main
from ebmx.config import RunConfig
from ebmx.runs import check as check_config

ASKED = os.environ.get("EBMX_FUZZ", "100")
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
    monkeypatch.setattr(ebmx.runs, "train", build)
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
