"""Declarative configs, the objects they name, and runs made from them."""

from ._build import build_energy as build_energy
from ._build import build_negatives as build_negatives
from ._build import build_optimiser as build_optimiser
from ._build import build_sampler as build_sampler
from ._build import build_trainer as build_trainer
from ._config import DataConfig as DataConfig
from ._config import EnergyConfig as EnergyConfig
from ._config import NegativesConfig as NegativesConfig
from ._config import OptimiserConfig as OptimiserConfig
from ._config import RunConfig as RunConfig
from ._config import SamplerConfig as SamplerConfig
from ._config import default_config as default_config
from ._config import mnist_config as mnist_config
from ._run import Report as Report
from ._run import frechet_judge as frechet_judge
from ._run import sample_run as sample_run
from ._run import train_run as train_run
from ._toml import from_dict as from_dict
from ._toml import read_config as read_config
from ._toml import to_dict as to_dict
from ._toml import write_config as write_config
