"""Plots of training, chains, samples and energies, each a matplotlib figure."""

from .._arguments import check_public as _check_public
from ._curves import chain_traces as chain_traces
from ._curves import temperature_ladder as temperature_ladder
from ._curves import training_curves as training_curves
from ._images import chain_strip as chain_strip
from ._images import energy_histogram as energy_histogram
from ._images import sample_grid as sample_grid
from ._landscapes import disconnectivity_graph as disconnectivity_graph
from ._landscapes import energy_landscape as energy_landscape
from ._landscapes import energy_profile as energy_profile
from ._tables import pairwise_marginals as pairwise_marginals

_check_public(globals())
