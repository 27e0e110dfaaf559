"""Data: images by name, densities on the plane, scaling, splitting and batching."""

from ._dataset import Dataset as Dataset
from ._dataset import batches as batches
from ._dataset import scale as scale
from ._dataset import split as split
from ..energies.exact._plane import AbstractDensity as AbstractDensity
from ..energies.exact._plane import density as density
from ._files import read_idx as read_idx
from ._load import SOURCES as SOURCES
from ._load import load as load
