"""scikit-learn, which the extra `metrics` installs."""

import importlib
from typing import Any


def scikit_learn(module: str) -> Any:
    """The module `sklearn.{module}`, imported at the first call that needs it."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        message = "this function needs scikit-learn: pip install 'ebmx[metrics]'"
        raise ImportError(message) from error
