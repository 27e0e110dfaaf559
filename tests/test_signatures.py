"""Each public function and class, called by its signature with one argument spoiled.

The error must be a `ValueError` or a `TypeError` that names the argument, raised by this library.
`EBMX_FUZZ=all pytest tests/test_signatures.py` tries all cases, `EBMX_FUZZ=800` so many of them.
"""

import dataclasses
import inspect
import os
import random
import re
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from signatures import Underivable, calls, derive, left_out, public
from signatures.exceptions import ANYTHING, FINITE, NAN_RESULTS, PASSES, ZERO
from signatures.spoiled import Never
from signatures.values import KIN

from ebmx import _checks
from ebmx._arguments import check_arguments
from ebmx._types import EnergyFn, Key, Number, XBatch
from ebmx.training import AbstractNoise

ASKED = os.environ.get("EBMX_FUZZ", "200")
OTHERS = ("/jax/", "/jaxlib/", "/numpy/", "/scipy/", "/sklearn/", "/equinox/", "/optax/", "/orbax/")
OTHERS += ("/matplotlib/",)


def numbers(result):
    """The numbers in whatever a call returns; batches, which never end, are not looked at."""
    if inspect.isgenerator(result):
        return []
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        fields = [getattr(result, f.name, None) for f in dataclasses.fields(result)]
        return [number for value in fields for number in numbers(value)]
    return [
        np.asarray(leaf)
        for leaf in jax.tree.leaves(result)
        if isinstance(leaf, float | np.ndarray) or eqx.is_inexact_array(leaf)
    ]


def is_finite(result, infinite=False):
    arrays = [array for array in numbers(result) if array.dtype.kind == "f"]
    return not any(np.isnan(a).any() or not (infinite or np.isfinite(a).all()) for a in arrays)


def complaint(call, argument, spoil):
    """What is wrong with how a spoiled call ends, in words; nothing if it is as promised."""
    value = spoil.make(call.arguments[argument])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call(**{argument: value})
    except Exception as error:
        return wrong_error(error, argument)
    if argument in ANYTHING.get(call.name, "").split():
        return ""
    if spoil.label in ("nans", "inf", "huge") and passes(call, argument):
        return ""
    zero = spoil.label in ("zero", "zeros", "minus") and argument in ZERO.get(call.name, "").split()
    if spoil.refused and not zero:
        return f"accepted {value!r}"
    if call.name in NAN_RESULTS:
        return ""
    return "" if is_finite(result, spoil.label in ("inf", "-inf", "huge")) else f"returned {result}"


def passes(call, argument):
    """Whether values that are not finite pass: those of JAX arrays do, and those of pictures."""
    if call.name.startswith("plotting.") or argument in PASSES.get(call.name, "").split():
        return True
    function = not isinstance(inspect.unwrap(call.function), type)
    strict = argument in FINITE.get(call.name, "").split()
    return function and not strict and call.takes_jax_array(argument)


def wrong_error(error, argument):
    """What is wrong with an error, in words."""
    text = str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {text[:150]}"
    if isinstance(error, jaxtyping.TypeCheckError):
        return "" if re.search(rf"parameter '{argument}'", text) else f"does not name it: {where}"
    if not isinstance(error, ValueError | TypeError | OSError | FloatingPointError):
        return f"undocumented: {where}"
    if any(other in frame.filename for other in OTHERS):
        return f"raw: {where}"
    names = rf"(?<![a-z_])({argument}|{KIN.get(argument, argument)})(?![a-z_])"
    return "" if re.search(names, text) else f"does not name it: {where}"


def complaints(cases):
    found = {}
    for call, argument, spoil in cases:
        words = complaint(call, argument, spoil)
        if words:
            found[f"{call.name}({argument}={spoil.label})"] = words
    return found


def chosen():
    """As many cases as asked for, the same ones each day."""
    every = [(call, *case) for call in calls().values() for case in call.spoils()]
    assert len(every) > 5000
    if ASKED == "all":
        return every
    # what is refused is so before anything is compiled
    refused = [case for case in every if case[2].refused]
    num = min(int(ASKED), len(refused))
    return random.Random(0).sample(refused, num) + random.Random(1).sample(every, num // 10)


def test_each_public_name_is_called_or_left_out_for_a_reason():
    names = {name.split(".")[-1] for name in public()}
    assert left_out() <= names, "these are no longer there"
    for name, call in calls().items():
        assert call.kinds, f"{name} takes nothing: leave it out"
        for argument in call.kinds:
            call.derived(argument)


def test_the_derived_calls_work():
    # a sample: each of them has to be compiled
    every = list(calls().values())
    for call in every if ASKED == "all" else random.Random(0).sample(every, 4):
        assert is_finite(call()) or call.name in NAN_RESULTS, call.name


@pytest.mark.medium
def test_a_spoiled_argument_is_named():
    wrong = complaints(chosen())
    assert not wrong, "\n".join(f"{call}: {words}" for call, words in wrong.items())


@check_arguments
def _checked(energy: EnergyFn, x: XBatch, *, num_steps: int, sigma: Number = 0.3, key: Key) -> Any:
    """A function that nobody made a call for."""
    x = _checks.batch(x, "x", (2,))
    _checks.at_least("num_steps", num_steps, 1)
    _checks.positive("sigma", sigma)
    return jax.vmap(energy)(x) / sigma


def _half_checked(energy: EnergyFn, x: XBatch, *, num_steps: int, note: Any = None) -> Any:
    x = _checks.batch(x, "x", (2,))
    return jax.vmap(energy)(x) / num_steps


@check_arguments
class _Part(eqx.Module):
    noise: AbstractNoise
    sigma: Number = eqx.field(converter=jnp.asarray)
    num: int = 5
    note: Callable | None = None

    def __check_init__(self):
        _checks.positive("sigma", self.sigma)
        _checks.at_least("num", self.num, 1)


class _Unchecked(eqx.Module):
    num: int
    sigma: Number = 0.3


def spoil_all(function):
    call = derive(function)
    return complaints((call, *case) for case in call.spoils())


@pytest.mark.parametrize("function", [_checked, _Part])
def test_a_new_function_or_class_is_covered_as_it_is(function):
    assert is_finite(derive(function)())
    assert {argument for argument, _ in derive(function).spoils()} == {
        *inspect.signature(function).parameters
    }
    assert spoil_all(function) == {}


def test_a_check_that_is_missing_is_reported():
    wrong = spoil_all(_half_checked)
    assert "accepted nan" in wrong["_half_checked(num_steps=nan)"]
    assert wrong["_half_checked(num_steps=zero)"] == "accepted 0"
    assert "does not name it" in wrong["_half_checked(num_steps=text)"]
    assert "does not name it" in wrong["_half_checked(energy=text)"]
    assert not any("x=" in name for name in wrong if "nan" not in name)
    assert {"_Unchecked(num=nan)", "_Unchecked(sigma=text)"} <= spoil_all(_Unchecked).keys()


def test_an_annotation_of_which_nothing_is_known_is_reported():
    def function(unheard: Never) -> None:
        """Takes what no convention knows."""

    with pytest.raises(Underivable, match="unheard"):
        derive(function)()
