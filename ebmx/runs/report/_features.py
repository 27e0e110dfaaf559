"""Features by which samples and data are compared, and examples outside of the distribution."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ...data import Dataset, load
from ...evaluation import frechet_ratio, train_classifier

_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class Extractor:
    """Features of examples, by which sets of them are compared."""

    words: str  # what the features are
    features: Callable[[Any], np.ndarray]  # from `(num, *shape)` to `(num, features)`
    classes: Callable[[Any], np.ndarray] | None  # to the likeliest of each, `(num,)`


def extractor_of(dataset: Dataset, *, seed: int = 0) -> Extractor:
    """A classifier trained on labelled images; for other data, their numbers as they are."""
    if dataset.train_labels is None or len(dataset.shape) != 3:
        words = "the numbers of an example as they are, since there are no labelled images"
        return Extractor(words, lambda x: np.asarray(x).reshape(len(x), -1), None)
    key = jax.random.key(seed)
    classifier = train_classifier(dataset.train, dataset.train_labels, key=key)
    features = eqx.filter_jit(eqx.filter_vmap(classifier.features))
    logits = eqx.filter_jit(eqx.filter_vmap(classifier))

    def classes(x: Any) -> np.ndarray:
        return in_chunks(logits, x).argmax(1)

    words = "the last hidden layer of a small classifier that was trained on the training images"
    if dataset.test_labels is not None:
        right = np.mean(classes(dataset.test) == dataset.test_labels)
        words = f"{words} and classifies {100 * right:.1f} % of the test images correctly"
    return Extractor(words, lambda x: in_chunks(features, x), classes)


def frechet_ratio_of(dataset: Dataset, samples: np.ndarray) -> float | None:
    """The Fréchet ratio of samples, as by `frechet_ratio_for`."""
    extractor = frechet_ratio_for(dataset)
    return None if extractor is None else extractor(samples)


def frechet_ratio_for(dataset: Dataset, *, seed: int = 0) -> Callable[[np.ndarray], float] | None:
    """A function from samples to their Fréchet ratio; `None` if the data are not labelled images.

    It is the distance of the samples to the test images over that of as many training images, in
    the features of a classifier trained on these: 1 is as near as training images are.
    """
    extractor = extractor_of(dataset, seed=seed)
    if extractor.classes is None:
        return None
    train, test = (extractor.features(x) for x in (dataset.train, dataset.test))
    return lambda samples: frechet_ratio(extractor.features(samples), train, test)


def levels_of(x: np.ndarray, most: int = 256) -> np.ndarray | None:
    """The few values that the numbers of examples take, in order; `None` if there are too many."""
    # a level occurs 16 times in the mean, so that continuous numbers have none
    values = np.unique(x)
    return values if len(values) <= min(most, x.size // 16) else None


def rounded(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Each number at the nearest level."""
    return levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, x)]


def in_chunks(function: Callable[[jax.Array], Any], x: Any) -> np.ndarray:
    """`function(x)` in chunks of one size, so that it is compiled once for all sets."""
    x = np.asarray(x)
    parts = []
    for i in range(0, len(x), _CHUNK):
        # the last chunk is filled up with its own rows, and what they give is dropped
        rows = np.arange(i, min(i + _CHUNK, len(x)))
        parts.append(np.asarray(function(jnp.asarray(x[np.resize(rows, _CHUNK)])))[: len(rows)])
    return np.concatenate(parts)


def outsiders(
    dataset: Dataset, bounds: tuple[float, float], others: Sequence[str], *, seed: int
) -> dict[str, np.ndarray]:
    """Examples outside of the distribution, by name, as many of each as there are test data."""
    rng, test = np.random.default_rng(seed), dataset.test
    low, high = bounds
    level = (len(test), *(1,) * (test.ndim - 2), dataset.shape[-1] if test.ndim == 4 else 1)
    constant = rng.uniform(*dataset.span, size=level)
    noise = rng.uniform(low, high, size=test.shape)
    if dataset.binarise is not None:
        noise, constant = noise > 0.5, constant > 0.5
    found = {"uniform noise": noise, "constants": np.broadcast_to(constant, test.shape)}
    if test.ndim == 4:
        half = test.shape[1] // 2, test.shape[2] // 2
        found["mirrored"] = test[:, :, ::-1]
        found["upside down"] = test[:, ::-1]
        found["quarters swapped"] = np.roll(test, half, (1, 2))
    else:
        rows = test.reshape(len(test), -1)
        found["coordinates shuffled"] = rng.permuted(rows, axis=0).reshape(test.shape)
    for name in others:
        loaded = load(name, span=dataset.span, binarise=dataset.binarise)
        other = loaded.test
        fix = f"its examples are of shape {other.shape[1:]}, those of the run {dataset.shape}"
        _checks.require(other.shape[1:] == dataset.shape, "other", name, fix)
        # columns and channels by the ranges of the run, without which their values mean nothing
        columns = np.ndim(dataset.low) > 0
        found[name] = dataset.from_units(loaded.to_units(other)) if columns else other
    return {name: np.asarray(x, np.float32) for name, x in found.items()}
