"""What is written as JSON, which has no word for numbers that are not finite."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """The value, and all in a dictionary, with `None` for numbers that are not finite."""
    if isinstance(value, dict):
        return {name: finite(v) for name, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
