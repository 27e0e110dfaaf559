"""The mixture of 40 Gaussians that papers on sampling compare by."""

import numpy as np

from ... import _checks
from ._gaussian_mixture import GaussianMixture

_NUM_MODES = 40
_EXTENT = 40.0


def forty_modes(dim: int = 2) -> GaussianMixture:
    """Forty Gaussians with means that are uniform in `[-40, 40]^d`, of equal weights.

    The standard deviations are `log(1 + e) = 1.3133`. The numbers are fixed: the means are those
    that `torch.manual_seed(0); torch.rand(40, dim)` gives, in two dimensions those of the paper.
    Chains of local moves do not cross from mode to mode. `energy.component(x)` is the mode of a
    sample, to count how many modes samples cover and with which shares.

    Midgley et al. (2023), "Flow annealed importance sampling bootstrap".

    Args:
        dim: how many coordinates; papers have 2, 16, 50 or 128.

    Returns:
        The energy, of shape `(dim,)`, with `log Z = 0`, exact moments and samples.

    Raises:
        ValueError: if `dim` is not a positive integer.

    Examples:
        >>> from ebmx.energies import forty_modes
        >>> energy = forty_modes()
        >>> [round(float(mean), 2) for mean in energy.means[0]]
        [-0.3, 21.46]
    """
    _checks.at_least("dim", dim, 1)
    # PyTorch's numbers on a CPU are the lowest 24 bits of each word of this generator; NumPy keeps
    # its stream as it is
    words = np.random.RandomState(0).randint(0, 2**32, (_NUM_MODES, dim), np.uint32)
    fractions = (words & (2**24 - 1)) / 2**24
    return GaussianMixture(_EXTENT * (2 * fractions - 1), np.log1p(np.e))
