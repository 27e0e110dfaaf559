"""Declarative configs and the objects they name."""

from ._build import build_negatives as build_negatives
from ._build import build_objective as build_objective
from ._build import build_optimiser as build_optimiser
from ._build import build_sampler as build_sampler
from ._build import build_trainer as build_trainer
from ._build_energy import build_energy as build_energy
from ._describe import show_config as show_config
from ._fields_read import forget_unread as forget_unread
from ._recipes import RECIPES as RECIPES
from ._recipes import Recipe as Recipe
from ._recipes import default_config as default_config
from ._recipes import recipe as recipe
from ._schema import DataConfig as DataConfig
from ._schema import EnergyConfig as EnergyConfig
from ._schema import NegativesConfig as NegativesConfig
from ._schema import ObjectiveConfig as ObjectiveConfig
from ._schema import OptimiserConfig as OptimiserConfig
from ._schema import RunConfig as RunConfig
from ._schema import SamplerConfig as SamplerConfig
from ._toml import from_dict as from_dict
from ._toml import read_config as read_config
from ._toml import to_dict as to_dict
from ._toml import write_config as write_config
