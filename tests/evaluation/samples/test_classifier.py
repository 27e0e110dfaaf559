"""The classifier whose features are compared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.data import load
from ebmx.evaluation import Classifier, train_classifier


@pytest.mark.medium
def test_learns_digits(getkey):
    digits = load("digits")
    classifier = train_classifier(
        digits.train, digits.train_labels, num_steps=250, batch_size=32, key=getkey()
    )
    apply = jax.jit(jax.vmap(lambda x: (classifier(x), classifier.features(x))))
    logits, features = apply(digits.test)
    assert logits.shape == (len(digits.test), 10)
    accuracy = np.mean(np.argmax(logits, axis=1) == digits.test_labels)
    assert accuracy > 0.9
    assert features.shape == (len(digits.test), 64)
    np.testing.assert_allclose(classifier.head(features[0]), logits[0], atol=1e-4)


@pytest.mark.parametrize("num_labels", [7, 9, 0])
def test_one_label_for_each_image(num_labels, getkey):
    x = np.zeros((8, 8, 8, 1), np.float32)
    with pytest.raises(ValueError, match=rf"labels\.shape=\({num_labels},\).*the 8 images"):
        train_classifier(x, np.zeros(num_labels, int), key=getkey())


def test_images_have_three_axes(getkey):
    with pytest.raises(ValueError, match=r"shape=\(8, 8\): give \(height, width, channel\)"):
        Classifier((8, 8), 10, key=getkey())
    with pytest.raises(ValueError, match=r"x=float32\[7, 8, 1\].*shape \(8, 8, 1\)"):
        Classifier((8, 8, 1), 10, key=getkey())(jnp.zeros((7, 8, 1)))
