"""What an argument is spoiled with."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

NAN, INF = float("nan"), float("inf")


class Never:
    """What no argument is."""

    def __repr__(self):
        return "Never()"


NEVER = Never()


def spoiled(value):
    """`(label, bad value, whether it is nonsense)` for an argument that was `value`."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        keys = jax.random.split(value, 5)
        return [
            ("integer", 3, 1),
            ("none", None, 1),
            ("floats", jnp.zeros(2), 1),
            ("keys", keys, 0),
            ("text", "key", 1),
        ]
    if isinstance(value, bool):
        return [("never", NEVER, 0), ("none", None, 0)]
    if isinstance(value, int):
        return [
            *(("nan", NAN, 1), ("float", 2.5, 1), ("text", "3", 1), ("array", jnp.ones(2), 1)),
            *(("never", NEVER, 1), ("zero", 0, 0), ("minus", -1, 0), ("none", None, 0)),
        ]
    if isinstance(value, float):
        return [
            *(("nan", NAN, 1), ("text", "0.1", 1), ("complex", 1j, 1), ("empty", np.zeros(0), 1)),
            *(("never", NEVER, 1), ("list", [], 1), ("inf", INF, 0), ("-inf", -INF, 0)),
            *(("minus", -1.0, 0), ("zero", 0.0, 0), ("huge", 1e30, 0), ("none", None, 0)),
        ]
    if isinstance(value, jax.Array | np.ndarray):
        value = np.asarray(value)
        whole = np.issubdtype(value.dtype, np.integer)
        floats = value.astype(np.float32)
        return [
            *(("text", "array", 1), ("never", NEVER, 1), ("complex", value.astype(complex), 1)),
            *(("texts", value.astype(str), 1), ("empty", value[:0], 1), ("number", 0.5, 0)),
            *(("wide", value[..., None], 0), ("short", value[:-1], 0), ("list", value.tolist(), 0)),
            *(
                ("narrow", value[..., :1], 0),
                ("objects", value.astype(object), 0),
                ("none", None, 0),
            ),
            *(
                ("minus", -1 - np.abs(value), 0),
                ("zeros", 0 * value, 0),
                ("huge", floats * 1e30, 0),
            ),
            *(
                (("floats", floats + 0.5, 0),)
                if whole
                else (
                    ("nans", NAN * value, 1),
                    ("inf", np.where(value == value.flat[0], INF, value), 0),
                    ("integers", value.astype(int), 0),
                )
            ),
        ]
    if isinstance(value, str):
        return [
            ("unknown", "no such thing", 1),
            ("empty", "", 1),
            ("number", 3, 1),
            ("never", NEVER, 1),
            ("none", None, 0),
        ]
    if isinstance(value, Path):
        return [
            ("number", 3, 1),
            ("nan", NAN, 1),
            ("never", NEVER, 1),
            ("none", None, 1),
            ("missing", Path("/no/such"), 0),
        ]
    if isinstance(value, tuple | list) and value and all(isinstance(v, int) for v in value):
        return [
            *(("zeros", (0,) * len(value), 0), ("minus", tuple(-v - 1 for v in value), 1)),
            *(("floats", tuple(v + 0.5 for v in value), 1), ("nan", (NAN,) * len(value), 1)),
            *(("text", "ab", 1), ("never", NEVER, 1), ("empty", (), 0), ("none", None, 0)),
        ]
    if isinstance(value, tuple | list) and value and all(isinstance(v, float) for v in value):
        return [
            *(("nan", (NAN, 1.0), 1), ("turned", value[::-1], 1), ("one", value[:1], 1)),
            *(("text", "ab", 1), ("never", NEVER, 1), ("number", 1.0, 1), ("none", None, 0)),
        ]
    if isinstance(value, dict):
        return [
            ("unknown", {"no such": 1}, 0),
            ("text", "ab", 0),
            ("never", NEVER, 1),
            ("none", None, 0),
        ]
    if value is None:
        return [("never", NEVER, 1), ("text", "ab", 1)]
    # energies, samplers, functions, parts of a config, classes
    return [
        ("number", 3.0, 1),
        ("text", "ab", 1),
        ("never", NEVER, 1),
        ("none", None, 0),
        ("list", [], 0),
    ]
