"""How well a score tells examples of the data from others."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._arguments import guarded
from ..._types import EnergyFn, Vector, XBatch
from ...energies import JEM
from ...energies import score as scores_of


@dataclasses.dataclass(frozen=True)
class OutOfDistribution:
    """What `out_of_distribution` finds."""

    auroc: float
    """The probability that an example from outside has the higher score; ties count half."""
    aupr_out: float
    """The area under precision and recall, as average precision, of finding those from outside."""
    aupr_in: float
    """That of finding those from inside, by low scores."""
    fpr95: float
    """The share of those from outside that pass if the threshold lets 95 % of those inside pass."""

    def __str__(self) -> str:
        """The figures in one line."""
        return (
            f"AUROC {self.auroc:.4f}, AUPR {self.aupr_out:.4f} out and {self.aupr_in:.4f} in, "
            f"FPR@95 {self.fpr95:.4f}"
        )


@guarded
def out_of_distribution(scores_in: ArrayLike, scores_out: ArrayLike) -> OutOfDistribution:
    """Judge a score that should be low inside the distribution and high outside.

    Exact, with ties. `ebmx.energy` is such a score, and so are `score_norm` and
    `negative_max_probability`.

    Hendrycks and Gimpel (2017), "A baseline for detecting misclassified and out-of-distribution
    examples in neural networks"; Liu et al. (2020), "Energy-based out-of-distribution detection".

    Args:
        scores_in: of examples from the distribution, `(num_in,)`.
        scores_out: of others, `(num_out,)`. Scores may be infinite.

    Returns:
        An `OutOfDistribution`.

    Raises:
        ValueError: if a set is empty, no vector or has NaNs, or all scores are the same.
    """
    a, b = _scores(scores_in, "scores_in"), _scores(scores_out, "scores_out")
    fix = "all scores are the same, so that they tell nothing: look at the model"
    _checks.require(np.unique(np.concatenate([a, b])).size > 1, "scores", a[0], fix)
    ordered = np.sort(a)
    # the least threshold at or below which there are 95 % of those inside
    threshold = ordered[int(np.ceil(0.95 * len(a) - 1e-9)) - 1]
    return OutOfDistribution(
        auroc=auroc(a, b),
        aupr_out=_average_precision(b, a),
        aupr_in=_average_precision(-a, -b),
        fpr95=float(np.mean(b <= threshold)),
    )


@guarded
def score_norm(energy: EnergyFn, x: XBatch) -> Vector:
    """The norms of the scores, `|∇E(x)|`, `(batch,)`: large where the energy is steep.

    Grathwohl et al. (2020), "Your classifier is secretly an energy based model".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        x: a batch `(batch, *shape)`.

    Returns:
        Scores `(batch,)`, in nats per unit of `x`.
    """
    score = scores_of(energy, x)
    return jnp.sqrt(jnp.sum(score.reshape(score.shape[0], -1) ** 2, 1))


@guarded
def negative_max_probability(energy: JEM, x: XBatch) -> Vector:
    """The negative probability of the likeliest class, `-max p(y | x)`, `(batch,)`.

    Args:
        energy: a `JEM` energy.
        x: a batch `(batch, *shape)`.

    Returns:
        Scores `(batch,)`, in [-1, 0): higher for what is not of the data.

    Raises:
        ValueError: if the energy is no `JEM`, or `x` does not fit it.
    """
    fix = "give a JEM, which has classes"
    _checks.require(isinstance(energy, JEM), "energy", type(energy).__name__, fix)
    return _negative_max(energy, _checks.batch(x, "x", energy.shape))


@eqx.filter_jit
def _negative_max(energy: JEM, x: XBatch) -> Vector:
    return -jax.vmap(lambda x: jnp.max(jax.nn.softmax(energy.logits(x))))(x)


def auroc(low: np.ndarray, high: np.ndarray) -> float:
    """`P(low < high) + ½ P(low = high)`, by counting pairs of two vectors."""
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left").astype(np.float64)
    upto = np.searchsorted(ordered, high, "right")
    return float(np.mean(below + upto) / (2 * len(low)))


def _average_precision(positive: np.ndarray, negative: np.ndarray) -> float:
    """`Σ (Rₙ - Rₙ₋₁) Pₙ` over thresholds that fall."""
    values = np.unique(np.concatenate([positive, negative]))[::-1]
    true = len(positive) - np.searchsorted(np.sort(positive), values, "left")
    false = len(negative) - np.searchsorted(np.sort(negative), values, "left")
    recall = np.concatenate([[0.0], true / len(positive)])
    return float(np.sum(np.diff(recall) * true / (true + false)))


def _scores(scores: ArrayLike, name: str) -> np.ndarray:
    values = np.asarray(scores, np.float64)
    fix = "give a score for each example, (num,), of at least one"
    _checks.require(values.ndim == 1 and values.size > 0, f"{name}.shape", values.shape, fix)
    nans = int(np.isnan(values).sum())
    fix = "mend the model, or leave these examples out"
    _checks.require(nans == 0, name, f"{nans} NaNs of {values.size}", fix)
    return values
