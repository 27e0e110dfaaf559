"""Cross entropy of labels."""

import jax
import jax.numpy as jnp

from ... import _checks
from ..._arguments import guarded
from ..._types import EnergyFn, Scalar
from .._batch import Batch, as_examples, mean


@guarded
def cross_entropy(
    energy: EnergyFn, positives: Batch, negatives: Batch | None
) -> tuple[Scalar, dict[str, Scalar]]:
    """The mean of `−log p(y | x)` over labelled data, for a `JEM` energy.

    With a contrastive loss beside it, `weighted_sum((1.0, contrastive_loss), (1.0,
    cross_entropy))`, this is the objective of Grathwohl et al. (2020), "Your classifier is secretly
    an energy based model".

    Args:
        energy: a `JEM` energy, or any with `logits`.
        positives: labelled data `(x, y)`, of shapes `(batch, *shape)` and `(batch,)`.
        negatives: not looked at.

    Returns:
        The loss in nats, and the accuracy on the batch.

    Raises:
        ValueError: if the energy has no logits, or labels are missing or no whole numbers.
    """
    del negatives
    real = as_examples(positives, "positives")
    logits_of = getattr(energy, "logits", None)
    fix = "cross entropy needs an energy with logits, such as ebmx.energies.JEM"
    _checks.require(logits_of is not None, "energy", type(energy).__name__, fix)
    fix = "cross entropy needs labels: train on batches (x, y)"
    if real.y is None or logits_of is None:
        _checks.invalid("positives", "x", fix)
    fix = "give labels as whole numbers"
    _checks.require(jnp.issubdtype(real.y.dtype, jnp.integer), "y.dtype", str(real.y.dtype), fix)
    _checks.require(real.y.ndim == 1, "y.shape", real.y.shape, f"{fix}, one for each example")
    logits = jax.vmap(logits_of)(real.x)
    labels = real.y.astype(jnp.int32)
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)[:, 0]
    # out of range is NaN, which a training step notices; JAX would wrap what is negative
    known = (labels >= 0) & (labels < logits.shape[1])
    right = jnp.argmax(logits, 1).astype(jnp.int32) == labels
    loss = -mean(jnp.where(known, log_p, jnp.nan), real)
    return loss, {"accuracy": mean(right.astype(logits.dtype), real)}
