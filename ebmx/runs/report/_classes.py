"""What a run says about classes."""

import jax
import numpy as np

from ...data import Dataset
from ...energies import JEM
from ...evaluation import calibration_error
from ._features import in_chunks
from ._section import Section


def classes_section(energy: object, dataset: Dataset) -> Section | None:
    """How well a classifier that is an energy tells classes apart; `None` for another energy."""
    labels = dataset.test_labels
    if not isinstance(energy, JEM) or labels is None:
        return None
    probabilities = in_chunks(
        jax.jit(jax.vmap(lambda x: jax.nn.softmax(energy.logits(x)))), dataset.test
    )
    facts = {
        "accuracy": float(np.mean(probabilities.argmax(1) == labels)),
        "calibration error": calibration_error(probabilities, labels),
    }
    meanings = {
        "accuracy": "the share of the test data whose likeliest class is right.",
        "calibration error": "by how much the probability of the likeliest class misses the share "
        "of right answers, on average: 0 is best.",
    }
    return Section("classes", "Classes", facts, meanings)
