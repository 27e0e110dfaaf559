"""How minima hang together: the lowest passes between them."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from ... import _checks
from ..._arguments import guarded
from ..._checks import checked
from ..._types import EnergyFn, Number, XBatch
from ...energies import as_scalar, shape_of
from ...energies import energy as energies_of
from ._elastic_band import box, numbers, relax
from ._slices import between


@dataclasses.dataclass(frozen=True)
class Disconnectivity:
    """The tree in which minima join when the energy rises."""

    energies: np.ndarray
    """Of the minima, `(minima,)`, in nats."""
    passes: np.ndarray
    """The highest energy on the best path between two minima, over other minima or not,
    `(minima, minima)`; the energies themselves on the diagonal."""
    merges: np.ndarray
    """`(minima - 1, 3)`: which two groups join and at which energy, from the lowest on. Groups have
    the numbers of their minima; those that have joined are numbered on from there."""

    def barriers(self) -> np.ndarray:
        """How far it is up from the first minimum to the pass to the second, `(minima, minima)`."""
        return self.passes - self.energies[:, None]


@guarded
def disconnectivity(
    energy: EnergyFn,
    minima: XBatch,
    *,
    num: int = 17,
    bounds: tuple[float, float] | None = None,
    num_steps: int = 2000,
    tolerance: float = 1e-2,
) -> Disconnectivity:
    """The passes between minima, by the path of least energy of each pair.

    Becker and Karplus (1997), "The topology of multidimensional potential energy surfaces".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        minima: `(minima, *shape)`, at least two, such as `Minima.x`; there are as many paths as
            pairs. - others: as for `minimum_energy_path`.

    Returns:
        A `Disconnectivity`.

    Raises:
        ValueError: if there are fewer than two minima, or a shape or a number does not fit.
    """
    minima = _checks.batch(minima, "minima", shape_of(energy))
    _checks.require(len(minima) >= 2, "minima.shape", minima.shape, "give at least two minima")
    _checks.finite(minima, "minima")
    _checks.at_least("num", num, 3)
    _checks.at_least("num_steps", num_steps, 1)
    _checks.positive("tolerance", tolerance)
    pairs = np.array(list(itertools.combinations(range(len(minima)), 2)))
    low, high, least = numbers(minima.dtype, *box(bounds), tolerance)
    tops = _tops(energy, minima, jnp.asarray(pairs), num, low, high, num_steps, least)
    energies = np.asarray(energies_of(energy, minima), np.float64)
    direct = np.diag(energies)
    direct[pairs[:, 0], pairs[:, 1]] = direct[pairs[:, 1], pairs[:, 0]] = np.asarray(tops)
    return join(direct)


def join(direct: ArrayLike) -> Disconnectivity:
    """The tree of minima whose direct passes are known.

    Args:
        direct: a symmetric matrix `(minima, minima)` of the highest energies on the way between
            two, with the energies of the minima on its diagonal.

    Raises:
        ValueError: if it is no such matrix.
    """
    direct = np.asarray(direct, np.float64)
    fix = "give a symmetric matrix (minima, minima) without NaNs"
    ok = direct.ndim == 2 and direct.shape[0] == direct.shape[1] > 0
    ok = ok and bool(np.all(direct == direct.T))
    _checks.require(ok, "direct.shape", direct.shape, fix)
    energies = np.diag(direct).copy()
    group = np.arange(len(direct))  # of each minimum
    passes, merges = np.diag(energies), []
    upper = np.triu_indices(len(direct), 1)
    for k in np.argsort(direct[upper], kind="stable"):
        i, j = int(upper[0][k]), int(upper[1][k])
        first, second = group == group[i], group == group[j]
        if group[i] == group[j]:
            continue
        height = direct[i, j]
        merges.append((group[i], group[j], height))
        passes[np.ix_(first, second)] = passes[np.ix_(second, first)] = height
        group[first | second] = len(direct) + len(merges) - 1
    return Disconnectivity(energies, passes, np.array(merges).reshape(-1, 3))


@eqx.filter_jit
@checked
def _tops(
    energy: EnergyFn,
    minima: XBatch,
    pairs: Int[Array, "pairs 2"],
    num: int,
    low: Number,
    high: Number,
    num_steps: int,
    tolerance: Number,
) -> Float[Array, "pairs"]:
    """The highest energy on the path of each pair, one after the other."""

    def top(pair: jax.Array) -> jax.Array:
        x, _ = relax(
            energy, between(minima[pair[0]], minima[pair[1]], num), low, high, num_steps, tolerance
        )
        return jnp.max(jax.vmap(lambda x: as_scalar(energy(x)))(x))

    return jax.lax.map(top, pairs)
