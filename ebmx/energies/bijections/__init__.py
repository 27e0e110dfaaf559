"""Maps from all real numbers onto positive numbers, intervals and simplices."""

from ..._arguments import check_public as _check_public
from ._bijections import AbstractBijection as AbstractBijection
from ._bijections import Blockwise as Blockwise
from ._bijections import Exp as Exp
from ._bijections import Identity as Identity
from ._bijections import Sigmoid as Sigmoid
from ._bijections import Softplus as Softplus
from ._bijections import StickBreaking as StickBreaking

_check_public(globals())
