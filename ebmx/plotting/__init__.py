"""Pictures, each a matplotlib figure."""

from ._images import energy_histogram as energy_histogram
from ._images import sample_grid as sample_grid
