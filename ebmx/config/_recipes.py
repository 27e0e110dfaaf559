"""Recipes: whole configs by name, TOML files beside this one."""

import tomllib
from importlib import resources

from .. import _checks
from ._calls import nearest
from ._tables import Config, check_keys, merge

_FOLDER = resources.files("ebmx.config") / "recipes"


def recipes() -> dict[str, str]:
    """The names of all recipes, each with its description.

    Returns:
        Descriptions by name, sorted by name.
    """
    files = [file for file in _FOLDER.iterdir() if file.name.endswith(".toml")]
    names = sorted(file.name.removesuffix(".toml") for file in files)
    return {name: str(recipe(name).get("description", "")).strip() for name in names}


def recipe(name: str) -> Config:
    """The config of a recipe.

    Args:
        name: one of `recipes()`.

    Returns:
        Nested dictionaries, new ones at each call.

    Raises:
        ValueError: if the name is unknown; with the names.
    """
    file = _FOLDER / f"{name}.toml"
    if not name.isidentifier() or not file.is_file():
        names = [f.name.removesuffix(".toml") for f in _FOLDER.iterdir()]
        listed = ", ".join(sorted(n for n in names if n.isidentifier()))
        raise ValueError(f"recipe={name!r}: unknown{nearest(name, names)} (there are {listed})")
    config = tomllib.loads(file.read_text(encoding="utf-8"))
    check_keys(config)
    return config


def recipe_for(name: str, shape: tuple[int, ...]) -> Config:
    """The recipe for a data set, by its name or the shape of its examples.

    Args:
        name: of the data set, which the config gets.
        shape: of one example.

    Returns:
        That of MNIST for images `(height, width, channels)`, that of digits for images of up to 12
        pixels a side, that of tables for all other examples.

    Raises:
        ValueError: if a size is not positive.
    """
    _checks.require(all(size > 0 for size in shape), "shape", shape, "give positive integers")
    if name == "digits":
        return recipe("digits")
    images = len(shape) == 3
    small = images and max(shape[:2]) <= 12
    found = recipe("digits" if small else "mnist_5k" if images else "table")
    return merge(found, {"data": {"name": name}})
