"""The binary cross entropy of data against samples, a contrastive loss with a bounded gradient."""

import jax

from ..._types import EnergyFn, Scalar
from .._batch import Examples, energies, mean
from ._contrastive import contrastive_loss


def binary_contrastive_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean log(1 + exp E(x⁺)) + mean log(1 + exp -E(x⁻))`: the energy tells data from samples.

    The gradient of an example is that of `contrastive_loss` times the probability with which it is
    taken for one of the other kind, `σ(E(x⁺))` or `σ(-E(x⁻))`: at most as large, and near 0 where
    the two are told apart already, so that energies do not run away. Where the negatives are like
    the data, both factors are ½. It is not the likelihood: of negatives with a fixed density `q` it
    is minimal at `E = log q(x) - log p(x)`, and chains follow the energy down as far as they get.
    For classifiers that are energies, `JEM`, it trains where the contrastive loss diverges.

    Yin, Li and Rohde (2022), "Learning energy-based models with adversarial training", ECCV.

    Args:
        energy: as for `contrastive_loss`, and so are the other arguments.

    Returns:
        The loss, in nats, `log 4` for energies of 0; and the metrics of `contrastive_loss`.

    Raises:
        ValueError: as for `contrastive_loss`.
    """
    _, metrics = contrastive_loss(energy, positives, negatives)
    real, fake = energies(energy, positives, negatives)
    real_loss, fake_loss = jax.nn.softplus(real), jax.nn.softplus(-fake)
    return mean(real_loss, positives) + mean(fake_loss, negatives), metrics
