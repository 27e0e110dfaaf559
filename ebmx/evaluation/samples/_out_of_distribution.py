"""Out-of-distribution detection: how well scores separate two sets."""

import dataclasses

import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ._scikit_learn import scikit_learn


@dataclasses.dataclass(frozen=True)
class OutOfDistribution:
    """The result of `out_of_distribution`."""

    auroc: float
    aupr_out: float
    aupr_in: float
    fpr95: float

    def __str__(self) -> str:
        """The numbers in one line."""
        return (
            f"AUROC {self.auroc:.4f}, AUPR {self.aupr_out:.4f} out and {self.aupr_in:.4f} in, "
            f"FPR@95 {self.fpr95:.4f}"
        )


def out_of_distribution(scores_in: ArrayLike, scores_out: ArrayLike) -> OutOfDistribution:
    """How well a score separates examples inside and outside of the distribution.

    Scores are low inside and high outside of the distribution, such as

    - the energy (Liu et al., 2020, "Energy-based out-of-distribution detection"),
      `ebmx.energy(energy, x)`;
    - the norm of the score (Grathwohl et al., 2020, "Your classifier is secretly an energy based
      model"), `jnp.linalg.norm(ebmx.score(energy, x).reshape(len(x), -1), axis=1)`;
    - of a `JEM` the negative largest class probability (Hendrycks and Gimpel, 2017, "A baseline for
      detecting misclassified and out-of-distribution examples in neural networks"),
      `-jax.nn.softmax(jax.vmap(energy.logits)(x)).max(1)`.

    Args:
        scores_in: scores of examples from the distribution, `(num_in,)`. Scores may be infinite.
        scores_out: scores of other examples, `(num_out,)`.

    Returns:
        An object with numbers in [0, 1]: `auroc`, the probability that an example from outside has
        the higher score, ties counting half; `aupr_out` and `aupr_in`, the average precision of
        detecting those from outside by high scores and those from inside by low ones; and `fpr95`,
        the fraction of those from outside that are accepted at the threshold that accepts 95 % of
        those from inside. `print` it for a line.

    Raises:
        ValueError: if a set is empty, is not a vector or has NaNs, or if all scores are equal.
        ImportError: with the pip line, if scikit-learn is missing.
    """
    inside, outside = _scores(scores_in, "scores_in"), _scores(scores_out, "scores_out")
    # ranks, since scikit-learn refuses infinite scores
    values, ranks = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    fix = "all scores are equal and contain no information: look at the model"
    _checks.require(values.size > 1, "scores", values[0], fix)
    is_outside = np.repeat([0, 1], [len(inside), len(outside)])
    # the smallest threshold at or below which 95 % of the scores inside are
    threshold = np.quantile(inside, 0.95, method="inverted_cdf")
    metrics = scikit_learn("metrics")
    return OutOfDistribution(
        auroc=float(metrics.roc_auc_score(is_outside, ranks)),
        aupr_out=float(metrics.average_precision_score(is_outside, ranks)),
        aupr_in=float(metrics.average_precision_score(1 - is_outside, -ranks)),
        fpr95=float(np.mean(outside <= threshold)),
    )


def _scores(scores: ArrayLike, name: str) -> np.ndarray:
    values = np.asarray(scores, np.float64)
    fix = "give a score for each example, (num,), of at least one"
    _checks.require(values.ndim == 1 and values.size > 0, f"{name}.shape", values.shape, fix)
    nans = int(np.isnan(values).sum())
    fix = "fix the model, or leave these examples out"
    _checks.require(nans == 0, name, f"{nans} NaNs of {values.size}", fix)
    return values
