"""The disconnectivity graph of minima: the lowest passes between them."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from ... import _checks
from ..._checks import checked
from ..._types import EnergyFn, Number, XBatch
from ...energies import energy as energies_of
from ...energies._batch import as_scalar, shape_of
from ._elastic_band import box, numbers, relax
from ._slices import between


@dataclasses.dataclass(frozen=True)
class Disconnectivity:
    """The tree in which minima merge as the energy rises: the result of `disconnectivity`."""

    energies: np.ndarray
    passes: np.ndarray
    merges: np.ndarray

    def barriers(self) -> np.ndarray:
        """The height of the pass to the second minimum above the first one, `(minima, minima)`."""
        return self.passes - self.energies[:, None]


def disconnectivity(
    energy: EnergyFn,
    minima: XBatch,
    *,
    num_points: int = 17,
    bounds: tuple[float, float] | None = None,
    num_steps: int = 2000,
    tolerance: float = 1e-2,
) -> Disconnectivity:
    """The lowest passes between minima, from the minimum energy path of each pair.

    Becker and Karplus (1997), "The topology of multidimensional potential energy surfaces".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        minima: `(minima, *shape)`, at least two, such as the `x` that `local_minima` returns. There
            is one path for each pair.
        num_points: as for `minimum_energy_path`.
        bounds: as for `minimum_energy_path`.
        num_steps: as for `minimum_energy_path`.
        tolerance: as for `minimum_energy_path`.

    Returns:
        An object with `energies` `(minima,)` of the minima, in nats; `passes` `(minima, minima)`,
        the highest energy on the lowest path between two minima, directly or over others, with the
        energies of the minima on the diagonal; `merges` `(minima - 1, 3)`, the two groups of minima
        that merge and the energy at which they do, in ascending order, numbered as in
        `scipy.cluster.hierarchy`; and a method `barriers()`, the heights of the passes above the
        first minimum, `(minima, minima)`.

    Raises:
        ValueError: if there are fewer than two minima, or a shape or a number does not fit.
    """
    minima = _checks.batch(minima, "minima", shape_of(energy))
    _checks.require(len(minima) >= 2, "minima.shape", minima.shape, "give at least two minima")
    _checks.finite(minima, "minima")
    _checks.at_least("num_points", num_points, 3)
    _checks.at_least("num_steps", num_steps, 1)
    _checks.positive("tolerance", tolerance)
    pairs = np.array(list(itertools.combinations(range(len(minima)), 2)))
    low, high, least = numbers(minima.dtype, *box(bounds), tolerance)
    tops = _tops(energy, minima, jnp.asarray(pairs), num_points, low, high, num_steps, least)
    energies = np.asarray(energies_of(energy, minima), np.float64)
    direct = np.diag(energies)
    direct[pairs[:, 0], pairs[:, 1]] = direct[pairs[:, 1], pairs[:, 0]] = np.asarray(tops)
    return join(direct)


def join(direct: ArrayLike) -> Disconnectivity:
    """The tree, from a symmetric matrix of the highest energies on the direct paths of pairs."""
    from scipy.cluster import hierarchy  # late: a faster `import ebmx`
    from scipy.spatial.distance import squareform

    direct = np.asarray(direct, np.float64)
    fix = "give a symmetric matrix (minima, minima) without NaNs"
    ok = direct.ndim == 2 and direct.shape[0] == direct.shape[1] > 0
    ok = ok and np.array_equal(direct, direct.T)
    _checks.require(ok, "direct.shape", direct.shape, fix)
    energies = np.diag(direct).copy()
    if len(direct) == 1:
        return Disconnectivity(energies, direct, np.zeros((0, 3)))
    # only the order counts: of ranks, since SciPy takes no infinite heights
    values, ranks = np.unique(squareform(direct, checks=False), return_inverse=True)
    tree = hierarchy.linkage(ranks.astype(float), "single")
    passes = squareform(values[np.asarray(hierarchy.cophenet(tree), int)])
    merges = np.column_stack([tree[:, :2], values[tree[:, 2].astype(int)]])
    np.fill_diagonal(passes, energies)
    return Disconnectivity(energies, passes, merges)


@eqx.filter_jit
@checked
def _tops(
    energy: EnergyFn,
    minima: XBatch,
    pairs: Int[Array, "pairs 2"],
    num_points: int,
    low: Number,
    high: Number,
    num_steps: int,
    tolerance: Number,
) -> Float[Array, "pairs"]:
    """The highest energy on the path of each pair, one after the other."""

    def top(pair: jax.Array) -> jax.Array:
        line = between(minima[pair[0]], minima[pair[1]], num_points)
        x, _ = relax(energy, line, low, high, num_steps, tolerance)
        return jnp.max(jax.vmap(lambda x: as_scalar(energy(x)))(x))

    return jax.lax.map(top, pairs)
