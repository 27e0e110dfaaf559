"""Losses: plain functions of an energy, positives and negatives."""

from collections.abc import Callable

import jax.numpy as jnp

from ... import _checks, _mesh
from ..._arguments import guarded
from ..._types import EnergyFn, Number, Scalar, Vector
from .._batch import Batch, Examples, as_examples, energies, mean

Loss = Callable[..., tuple[Scalar, dict[str, Scalar]]]


@guarded
def contrastive_loss(
    energy: EnergyFn, positives: Batch, negatives: Batch, *, alpha: Number = 0.0
) -> tuple[Scalar, dict[str, Scalar]]:
    """`mean E(x⁺) − mean E(x⁻) + α (mean E(x⁺)² + mean E(x⁻)²)`.

    Its gradient without the last term is that of the negative log-likelihood if the negatives
    follow the model. The last term keeps the energies near zero. The value says nothing about
    quality: it is near 0 for a perfect model and for an untrained one.

    Hinton (2002), "Training products of experts by minimizing contrastive divergence"; the term
    with α as in Du and Mordatch (2019).

    Args:
        energy: a fixed energy; conditional if the batches are `(x, y)`.
        positives: batches `(batch, *shape)`, data and samples of the model. Negatives with weights
            are averaged by them.
        negatives: batches `(batch, *shape)`, data and samples of the model. Negatives with weights
            are averaged by them.
        alpha: the weight of the squared energies, at least 0.

    Returns:
        The loss, and the means and standard deviations of both energies, in nats.

    Raises:
        ValueError: if `alpha` is negative, or shapes differ.
    """
    real, fake = as_examples(positives, "positives"), as_examples(negatives, "negatives")
    _checks.non_negative("alpha", alpha)
    shapes = real.x.shape[1:], fake.x.shape[1:]
    fix = f"the positives are of shape {shapes[0]}"
    _checks.require(shapes[0] == shapes[1], "negatives.shape", shapes[1], fix)
    real_energy, fake_energy = _energies_of_both(energy, real, fake)
    size = mean(real_energy**2, real) + mean(fake_energy**2, fake)
    loss = mean(real_energy, real) - mean(fake_energy, fake) + alpha * size
    metrics = {
        "real_energy_mean": mean(real_energy, real),
        "fake_energy_mean": mean(fake_energy, fake),
        "real_energy_std": _spread(real_energy, real),
        "fake_energy_std": _spread(fake_energy, fake),
    }
    return loss, metrics


def _energies_of_both(energy: EnergyFn, real: Examples, fake: Examples) -> tuple[Vector, Vector]:
    """In one call where it can be one: a batch twice as large is faster than two."""
    if real.y is None and fake.y is None and not _mesh.is_shared():
        both = energies(energy, as_examples(jnp.concatenate([real.x, fake.x])))
        return both[: len(real.x)], both[len(real.x) :]
    if real.y is None and fake.y is None and len(real.x) == len(fake.x):
        # in turns, so that each stays on its device, and there is one gradient to sum over these
        turns = jnp.stack([real.x, fake.x], 1).reshape(-1, *real.x.shape[1:])
        both = energies(energy, as_examples(turns)).reshape(-1, 2)
        return both[:, 0], both[:, 1]
    return energies(energy, real), energies(energy, fake)


def _spread(values: Vector, examples: Examples) -> Scalar:
    return jnp.sqrt(mean((values - mean(values, examples)) ** 2, examples))
