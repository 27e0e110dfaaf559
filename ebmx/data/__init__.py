"""Data sets: loading by name or from files, scaling, splitting and batching."""

from .._arguments import check_public as _check_public
from ._augment import RandomImage as RandomImage
from ._dataset import Dataset as Dataset
from ._dataset import batches as batches
from ._dataset import scale as scale
from ._dataset import split as split
from ._load import load as load

_check_public(globals())
