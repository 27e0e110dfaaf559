"""The quality of the samples of a run, and of its energy on data and outside of them."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import evaluation
from ..._types import EnergyFn
from ...data import Dataset
from ...energies import JEM
from ...energies import energy as energies_of
from ...energies import score as scores_of
from ...evaluation.samples._frechet import mean_distance, ratio_of, warn_of_few
from ...evaluation.samples._pairwise import two_sets
from ...plotting import energy_histogram, sample_grid
from .._run import is_image
from ._features import Extractor, in_chunks, levels_of, rounded
from ._section import Section, warnings_as_remarks

_SHOWN = 100


@dataclasses.dataclass(frozen=True)
class Sets:
    """The examples of an evaluation, on the scale of the model."""

    dataset: Dataset
    samples: np.ndarray
    outsiders: dict[str, np.ndarray]


def energies_section(energy: EnergyFn, sets: Sets) -> Section:
    """The energies of the data, the samples and of noise."""
    groups = {
        "training data": sets.dataset.train[:4096],
        "test data": sets.dataset.test,
        "samples": sets.samples,
        "uniform noise": sets.outsiders["uniform noise"],
    }
    found = {n: in_chunks(lambda x: energies_of(energy, x), x) for n, x in groups.items()}
    facts = {n: {"mean": float(e.mean()), "deviation": float(e.std())} for n, e in found.items()}
    meanings = {
        "mean": "in nats: test data like training data, if nothing is memorised; samples like the "
        "data; noise far above.",
        "deviation": "the standard deviation of the energies of the set, in nats.",
    }
    figures = {"energies": energy_histogram(found, title="Energies of data, samples and noise")}
    return Section("energies", "Energies", facts, meanings, figures)


def quality_section(extractor: Extractor, sets: Sets, *, seed: int) -> Section:
    """Distances of samples and data, in features."""
    data = sets.dataset
    # samples of zeros and ones are at these levels
    levels = levels_of(data.train) if data.binarise is None else None
    groups = {"samples": sets.samples}
    if levels is not None:
        groups["rounded samples"] = rounded(sets.samples, levels)
    groups["training data"] = data.train
    features = {name: extractor.features(x) for name, x in groups.items()}
    # what distances, neighbours and classifiers say depends on how many there are of each set
    test, num = extractor.features(data.test), min(len(data.train), len(sets.samples))
    remarks, facts = [f"Each set against the test data, in {extractor.words}."], {}
    with warnings_as_remarks(remarks):
        shown = {"samples": features["samples"], "training_data": features["training data"]}
        warn_of_few(**shown, test_data=test)
        for name, x in features.items():
            facts[name] = _distances(x, test, num, seed)
    facts["ratio"] = _ratios(facts["samples"], facts["training data"])
    if levels is not None:
        facts["ratio, rounded"] = _ratios(facts["rounded samples"], facts["training data"])
        text = f"The data take {len(levels)} values; rounded samples take the nearest of them, so "
        remarks.append(f"{text}that values in between do not distinguish them from data.")
    figures = {}
    if is_image(data.shape):
        choice = np.random.default_rng(seed).permutation(len(sets.samples))[:_SHOWN]
        shown = {"samples": sets.samples[choice], "test data": sets.dataset.test[:_SHOWN]}
        figures["samples"] = sample_grid(shown, span=data.span)
    return Section("quality", "Samples", facts, _QUALITY, figures, remarks)


def _distances(x: np.ndarray, test: np.ndarray, num: int, seed: int) -> dict[str, float]:
    """Distances between `num` rows of features and those of the test data, by several measures."""
    key, even = jax.random.key(seed), min(num, len(test))
    frechet = mean_distance(*two_sets(x, test), num)
    x = np.random.default_rng(seed).permutation(x)[:num]  # data may be sorted
    quality = evaluation.precision_recall(x[:even], test[:even])
    return {
        "Fréchet distance": frechet,
        "kernel distance": evaluation.kernel_distance(x, test),
        "energy distance": evaluation.energy_distance(x, test),
        "precision": quality.precision,
        "recall": quality.recall,
        "two-sample AUC": evaluation.two_sample_auc(x[:even], test[:even], key=key),
    }


def _ratios(ours: dict[str, float], unit: dict[str, float]) -> dict[str, float]:
    """Distances over those of the training data."""
    names = ("Fréchet distance", "kernel distance", "energy distance")
    ratios = {name: ratio_of(ours[name], unit[name]) for name in names}
    # a distance without bias may be about zero, or negative, and then has no ratio
    if unit["kernel distance"] <= 0:
        ratios["kernel distance"] = float("nan")
    return ratios


def coverage_section(extractor: Extractor, sets: Sets) -> Section | None:
    """Whether all classes are among the samples; `None` without a classifier."""
    if extractor.classes is None:
        return None
    groups = {"samples": sets.samples, "test data": sets.dataset.test}
    found = {name: extractor.classes(x) for name, x in groups.items()}
    num = 1 + max(int(c.max()) for c in found.values())
    facts = {
        name: {
            "effective classes": evaluation.effective_classes(c),
            "rarest": float(np.bincount(c, minlength=num).min() / len(c)),
        }
        for name, c in found.items()
    }
    meanings = {
        "effective classes": "exp(entropy of the class frequencies): smaller than that of the test "
        "data if modes are missing.",
        "rarest": "the frequency of the rarest class: 0 if one is missing.",
    }
    return Section("coverage", "Modes", facts, meanings)


def classes_section(energy: object, dataset: Dataset) -> Section | None:
    """Accuracy and calibration on the test data; `None` for an energy that is not a classifier."""
    labels = dataset.test_labels
    if not isinstance(energy, JEM) or labels is None:
        return None
    classify = jax.jit(jax.vmap(lambda x: jax.nn.softmax(energy.logits(x))))
    probabilities = in_chunks(classify, dataset.test)
    facts = {
        "accuracy": float(np.mean(probabilities.argmax(1) == labels)),
        "calibration error": evaluation.calibration_error(probabilities, labels),
    }
    meanings = {
        "accuracy": "the fraction of the test data whose most probable class is right.",
        "calibration error": "the mean difference between the probability of that class and how "
        "often it is right: 0 is best.",
    }
    return Section("classes", "Classes", facts, meanings)


def memorisation_section(sets: Sets) -> Section:
    """Whether samples repeat training data."""
    few = (x[:2000] for x in (sets.dataset.train, sets.dataset.test, sets.samples))
    train, test, samples = (x.reshape(len(x), -1) for x in few)
    ours = evaluation.nearest_distances(samples, train)
    unseen = evaluation.nearest_distances(test, train)
    near = float(np.quantile(unseen, 0.01))
    facts = {
        "median distance of samples": float(np.median(ours)),
        "median distance of test data": float(np.median(unseen)),
        "fraction of near samples": float(np.mean(ours < near)),
    }
    meanings = {
        "median distance of samples": "from a sample to the nearest training example, on "
        "the scale of the model, such as pixels from -1 to 1.",
        "median distance of test data": "the same for unseen data: copies of training data lie "
        "much nearer than this.",
        "fraction of near samples": "of samples that are nearer to a training example than 99 % "
        "of the test data are: about 0.01 for samples like unseen data, 1 for copies.",
    }
    return Section("memorisation", "Memorisation", facts, meanings)


def outside_section(energy: EnergyFn, sets: Sets) -> Section:
    """How well scores separate data from examples outside of the distribution."""
    scores: dict[str, Any] = {
        "energy": lambda x: energies_of(energy, x),
        "score norm": lambda x: jnp.linalg.norm(scores_of(energy, x).reshape(len(x), -1), axis=1),
    }
    if isinstance(energy, JEM):
        logits = eqx.filter_jit(eqx.filter_vmap(energy.logits))
        scores["class probability"] = lambda x: -jax.nn.softmax(logits(x)).max(1)
    facts: dict[str, dict[str, float]] = {name: {} for name in sets.outsiders}
    histogram = {}
    for title, score in scores.items():
        inside = in_chunks(score, sets.dataset.test)
        for name, x in sets.outsiders.items():
            outside = in_chunks(score, x)
            found = evaluation.out_of_distribution(inside, outside)
            facts[name][f"AUROC, {title}"] = found.auroc
            if title == "energy":
                facts[name]["AUPR"], facts[name]["FPR@95"] = found.aupr_out, found.fpr95
                histogram |= {"test data": inside, name: outside}
    figure = energy_histogram(histogram, title="Energies in and out of the distribution")
    meanings = {name: text for name, text in _OUTSIDE.items() if name in facts["uniform noise"]}
    figures = {"outside": figure}
    return Section("out_of_distribution", "Out of distribution", facts, meanings, figures)


_QUALITY = {
    "Fréchet distance": "of Gaussians fitted to the features, in equal numbers of samples and "
    "training data, the mean of some sets; its ratio is 1 for perfect samples.",
    "kernel distance": "the squared maximum mean discrepancy, unbiased: about 0 for equal sets.",
    "energy distance": "a distance that is zero for equal distributions only.",
    "precision": "the fraction of the set that lies among the test data.",
    "recall": "the fraction of the test data that lies among the set.",
    "two-sample AUC": "of a linear classifier of the set and the test data: 0.5 is chance.",
}
_OUTSIDE = {
    "AUROC, energy": "the probability that an example from outside has a higher energy than one of "
    "the test data: 1 is complete separation, 0.5 is chance.",
    "AUPR": "the average precision of detecting those from outside by high energies.",
    "FPR@95": "the fraction of those from outside below the 95 % quantile of the test data.",
    "AUROC, score norm": "the same probability for the norm of the score, |∇E|.",
    "AUROC, class probability": "the same for the negative probability of the likeliest class.",
}
