"""Examples with fixed parts, on domains, or in trees, as vectors without bounds."""

from ._bijections import AbstractBijection as AbstractBijection
from ._bijections import Blockwise as Blockwise
from ._bijections import Exp as Exp
from ._bijections import Identity as Identity
from ._bijections import Sigmoid as Sigmoid
from ._bijections import Softplus as Softplus
from ._bijections import StickBreaking as StickBreaking
from ._clamped import Clamped as Clamped
from ._clamped import as_rbm as as_rbm
from ._raveled import Raveled as Raveled
from ._transformed import Transformed as Transformed
