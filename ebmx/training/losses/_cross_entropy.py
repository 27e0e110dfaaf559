"""Cross entropy of labels."""

import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Scalar
from .._batch import Examples, mean


def cross_entropy_loss(
    energy: EnergyFn, positives: Examples, negatives: Examples | None
) -> tuple[Scalar, dict[str, Scalar]]:
    """The mean of `−log p(y | x)` over labelled data, for a `JEM` energy.

    With the contrastive loss, `WeightedSum((contrastive_loss, cross_entropy_loss), (1.0, 1.0))`, it
    is the objective of Grathwohl et al. (2020), "Your classifier is secretly an energy based
    model".

    Args:
        energy: a `JEM` energy, or any with `logits`.
        positives: data `(batch, *shape)` with labels `(batch,)`.
        negatives: not used.

    Returns:
        The loss in nats, and the accuracy on the batch.

    Raises:
        ValueError: if the energy has no logits, or labels are missing or not whole numbers.
    """
    del negatives
    logits_of = getattr(energy, "logits", None)
    fix = "cross entropy needs an energy with logits, such as ebmx.energies.JEM"
    _checks.require(logits_of is not None, "energy", type(energy).__name__, fix)
    fix = "cross entropy needs labels: train on batches (x, y)"
    y = positives.y
    if y is None or logits_of is None:
        _checks.invalid("positives", "x", fix)
    fix = "give labels as whole numbers"
    _checks.require(jnp.issubdtype(y.dtype, jnp.integer), "y.dtype", str(y.dtype), fix)
    _checks.require(y.ndim == 1, "y.shape", y.shape, f"{fix}, one for each example")
    logits, labels = jax.vmap(logits_of)(positives.x), y.astype(jnp.int32)
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)[:, 0]
    # NaN for a label out of range, so that the training step is skipped
    known = (labels >= 0) & (labels < logits.shape[1])
    right = jnp.argmax(logits, 1).astype(jnp.int32) == labels
    loss = -mean(jnp.where(known, log_p, jnp.nan), positives)
    return loss, {"accuracy": mean(right.astype(logits.dtype), positives)}
