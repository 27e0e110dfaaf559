"""Recipes: whole configs by name, TOML files beside this one."""

import tomllib
from importlib import resources

from ._calls import nearest
from ._tables import Config, check_keys, merge

_FOLDER = resources.files("ebmx.config") / "recipes"


def recipes() -> dict[str, str]:
    """The names of all recipes, each with its description.

    Returns:
        Descriptions by name, sorted by name.
    """
    return {name: str(recipe(name).get("description", "")).strip() for name in _names()}


def _names() -> list[str]:
    endings = (file.name.rpartition(".") for file in _FOLDER.iterdir())
    return sorted(name for name, _, ending in endings if ending == "toml")


def recipe(name: str) -> Config:
    """The config of a recipe.

    Args:
        name: one of `recipes()`.

    Returns:
        Nested dictionaries, new ones at each call.

    Raises:
        ValueError: if the name is unknown; with the names.
    """
    names = _names()
    if name not in names:
        near = nearest(name, names)
        raise ValueError(f"recipe={name!r}: unknown{near} (there are {', '.join(names)})")
    config = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    check_keys(config)
    return config


def recipe_for(name: str, shape: tuple[int, ...]) -> Config:
    """The recipe for the data of a name with examples of a shape.

    That of MNIST for images `(height, width, channels)`, that of digits for images of up to 12
    pixels a side, that of tables for all other examples.
    """
    if name == "digits":
        return recipe("digits")
    images = len(shape) == 3
    small = images and max(shape[:2]) <= 12
    which = "digits" if small else "mnist_5k" if images else "table"
    found = recipe(which)
    if name != "mnist-5k":
        found["description"] = f"Begun from the recipe {which}: {found['description'].strip()}"
    return merge(found, {"data": {"name": name}})
