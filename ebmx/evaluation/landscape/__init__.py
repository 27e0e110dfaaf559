"""Energy landscapes: planes, paths, minima, curvature."""

from ._disconnectivity import disconnectivity as disconnectivity
from ._elastic_band import minimum_energy_path as minimum_energy_path
from ._hessian import hessian_eigenvalues as hessian_eigenvalues
from ._minima import local_minima as local_minima
from ._slices import energy_slice as energy_slice
