"""Configs: a training run as constructor calls in nested tables, read from TOML."""

from .._arguments import check_public as _check_public
from ._calls import build as build
from ._describe import show_config as show_config
from ._recipes import recipe as recipe
from ._recipes import recipes as recipes
from ._tables import merge as merge
from ._tables import read_config as read_config
from ._tables import write_config as write_config

_check_public(globals())
