"""Names for the arrays that travel through the library."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray, UInt32
from jaxtyping import Key as KeyArray

X: TypeAlias = Float[Array, "*shape"]
"""One example. Images are `(height, width, channel)`."""

XBatch: TypeAlias = Float[Array, "batch *shape"]
"""A batch of examples, or the positions of a batch of chains."""

Scalar: TypeAlias = Float[Array, ""]
"""One number, as an array without axes."""

Vector: TypeAlias = Float[Array, "batch"]
"""One number for each example of a batch, or for each chain."""

Flag: TypeAlias = Bool[Array, ""]
"""Yes or no, as an array without axes."""

Count: TypeAlias = Int[Array, ""]
"""A whole number, as an array without axes."""

Key: TypeAlias = PRNGKeyArray
"""One key of `jax.random.key`."""

Keys: TypeAlias = KeyArray[Array, "..."] | UInt32[Array, "..."]
"""One key, or one for each chain."""

EnergyFn: TypeAlias = Callable[[Any], Any]
"""An energy: an `AbstractEnergy`, or any callable from one example to one number."""

if TYPE_CHECKING:  # which shapes and dtypes are numbers is checked at run time
    Number: TypeAlias = float | int | Array | np.ndarray | np.number[Any]
    """A number, an array without axes, or a traced value: a new one does not retrace."""
    Numbers: TypeAlias = Any
    """A number or an array of them."""
    End: TypeAlias = Number | None
    """A lowest or highest value: a number, an array that broadcasts to one example, or `None`."""
else:
    Number: TypeAlias = float | int | Float[Array, ""] | Int[Array, ""]
    Numbers: TypeAlias = ArrayLike
    End: TypeAlias = float | int | Float[Array, "..."] | Int[Array, "..."] | None

Bounds: TypeAlias = tuple[End, End] | None
"""`(low, high)` of positions: numbers, or arrays that broadcast to one example."""
