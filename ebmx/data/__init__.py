"""Data sets: loading by name or from files, scaling, splitting and batching."""

from .._arguments import check_public as _check_public
from ._augment import RandomImage as RandomImage
from ._batches import batches as batches
from ._batches import split as split
from ._dataset import Dataset as Dataset
from ._load import load as load
from ._prefetch import prefetch as prefetch
from ._scale import scale as scale

_check_public(globals())
