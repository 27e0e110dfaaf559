"""Values for JSON, which cannot hold infinity or NaN."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """The value, or the dictionary at any depth, with `None` in place of infinity and NaN."""
    if isinstance(value, dict):
        return {name: finite(v) for name, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
