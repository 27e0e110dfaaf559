"""Examples with fixed parts, on domains, or in trees, as vectors without bounds."""

from ._clamped import Clamped as Clamped
from ._clamped import as_rbm as as_rbm
from ._raveled import Raveled as Raveled
from ._transformed import Transformed as Transformed
