"""Options of the command line, one spoiled: it ends with a message that names the option.

`EBMX_FUZZ=all pytest tests/test_command_options.py` tries all commands, `EBMX_FUZZ=800` a fifth of
so many.
"""

import contextlib
import inspect
import io
import os
import random
import re

import pytest

import ebmx.config
from ebmx.__main__ import main
from ebmx.config import recipe
from ebmx.config._calls import PARTS, resolve
from ebmx.config._tables import DATA
from ebmx.runs import check
from ebmx.training import Trainer

ASKED = os.environ.get("EBMX_FUZZ", "100")
TEXTS = ("nan", "-1", "0", "2.5", "ab", "inf", "", "1e30", "[]", "None", "--", "{}", "$ab", "true")


def options():
    """All options of `ebmx train digits`, as they are typed."""
    yield from ("--seed", "--steps", "--seconds", "--log-every", "--seed.x", "--data", "--trainer")
    yield from (f"--data.{name}" for name in DATA)
    yield from (f"--trainer.{name}" for name in arguments_of(Trainer, left_out=3))
    for part in PARTS:
        call = recipe("digits")[part]
        places = {f"optim.{one['kind']}": one for one in call} if part == "optim" else {part: call}
        for place, one in places.items():
            yield f"--{place}"
            yield f"--{place}.kind"
            names = arguments_of(resolve(one["kind"], part))
            yield from (f"--{place}.{name}".replace("_", "-") for name in names)


def arguments_of(function, left_out=0):
    return [*inspect.signature(function).parameters][left_out:]


def commands():
    """Commands with one option spoiled; and words that are not commands."""
    for option in options():
        for text in TEXTS:
            steps = [] if option in ("--steps", "--seconds") else ["--steps", "1"]
            yield ["train", "digits", *steps, option, text]
    for option in ("--recipe", "--resume", "--devices", "--config"):
        yield from (["train", option, text] for text in ("nan", "-1", "0", "ab", "", "/no/such"))
    for option in ("--num", "--label", "--seed", "--steps", "--steps-without-noise", "--sampler"):
        yield from (["sample", "no/such/run", option, text] for text in TEXTS)
        yield from (["evaluate", "no/such/run", option, text] for text in TEXTS)
    yield from ([text] for text in TEXTS)
    yield from (["config", "check", text] for text in TEXTS)
    yield from (["help", text] for text in TEXTS)


def build(config, *, out=None, overwrite=False, mesh=None):
    """As much of a run as can fail by its config, and no training."""
    check(config)
    raise StopIteration(out, overwrite, mesh)


@pytest.mark.medium
def test_the_command_line_says_what_does_not_fit(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ebmx.runs, "train", build)
    every = list(commands())
    count = len(every) if ASKED == "all" else min(len(every), int(ASKED) // 5)
    wrong = {}
    for arguments in random.Random(1).sample(every, count):
        words = complaint(arguments)
        if words:
            wrong[" ".join(arguments)] = words
    assert not wrong, "\n".join(f"{command}: {words}" for command, words in wrong.items())
    assert list(tmp_path.iterdir()) == []


def complaint(arguments):
    """What is wrong with how a command ends, in words; nothing if it is as promised."""
    out, errors = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = main(arguments)
    except StopIteration:
        return ""
    except Exception as error:
        return repr(error)[:200]
    text = errors.getvalue() + out.getvalue()
    name = arguments[-2].split(".")[-1].strip("-") if len(arguments) > 1 else ""
    names = f"usage|{name}|{name.replace('-', '_')}|holds no trained run|path=|name="
    # what optax itself refuses is named by its place
    names += "|optim.[01]" if "--optim." in " ".join(arguments) else ""
    if code not in (0, 2):
        return f"exit code {code}: {text[:200]}"
    if "Traceback" in text or (code == 2 and not re.search(names, text)):
        return f"{code} {text[:300]}"
    return ""
