"""ebmx: energy-based models in JAX.

A model is a function from one example to one energy, and `p(x) = exp(-E(x)) / Z`.
"""

from importlib import metadata as _metadata

from . import config as config
from . import data as data
from . import energies as energies
from . import evaluation as evaluation
from . import plotting as plotting
from . import runs as runs
from . import samplers as samplers
from . import training as training
from .energies import energy as energy
from .energies import log_density as log_density
from .energies import score as score
from .runs import load_energy as load_energy
from .samplers import run as run
from .samplers import sample as sample
from .training import fit as fit

__version__ = _metadata.version("ebmx")
