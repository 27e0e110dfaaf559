"""Accuracy and calibration of a classifier that is an energy."""

import jax
import numpy as np

from ...data import Dataset
from ...energies import JEM
from ...evaluation import calibration_error
from ._features import in_chunks
from ._section import Section


def classes_section(energy: object, dataset: Dataset) -> Section | None:
    """Accuracy and calibration on the test data; `None` for an energy that is not a classifier."""
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
        "accuracy": "the fraction of the test data whose most probable class is right.",
        "calibration error": "the mean difference between the probability of the most probable "
        "class and the frequency with which it is right: 0 is best.",
    }
    return Section("classes", "Classes", facts, meanings)
