"""`energy` and `score` of a batch; `test_laws.py` has every energy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import ENERGIES

import ebmx
from ebmx.energies import MLP, Gaussian, log_density
from ebmx.energies._batch import shape_of, value_and_gradient


def test_plain_callables_are_energies(getkey):
    x = np.asarray(jax.random.normal(getkey(), (5, 3)))
    quartic = lambda x: jnp.sum(x**4)  # noqa: E731
    np.testing.assert_allclose(ebmx.energy(quartic, x), np.sum(x**4, 1), rtol=1e-5)
    np.testing.assert_allclose(ebmx.score(quartic, x), -4 * x**3, rtol=1e-5)
    value, slope = value_and_gradient(quartic, jnp.asarray(x[0]))
    np.testing.assert_allclose(value, np.sum(x[0] ** 4), rtol=1e-5)
    np.testing.assert_allclose(slope, 4 * x[0] ** 3, rtol=1e-5)
    assert shape_of(quartic) is None
    assert shape_of(ENERGIES["gaussian-full"](getkey())) == (2,)


def test_numpy_batches_are_taken(getkey):
    energy = ENERGIES["gaussian-full"](getkey())
    x = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(ebmx.energy(energy, x), ebmx.energy(energy, jnp.asarray(x)))


def test_bfloat16_examples_keep_their_dtype(getkey):
    x = jax.random.normal(getkey(), (5, 3), jnp.bfloat16)
    assert ebmx.score(lambda x: 0.5 * jnp.sum(x**2), x).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("wrong", "got"),
    [(lambda x: 2 * x, r"float32\[3\]"), (lambda x: jnp.argmax(x), r"int32\[\]")],
    ids=["vector", "integer"],
)
def test_what_is_not_one_floating_point_number_is_no_energy(wrong, got):
    x = np.ones((2, 3), np.float32)
    for call in (ebmx.energy, ebmx.score):
        with pytest.raises(ValueError, match=rf"energy\(x\)={got}: .*ONE floating-point number"):
            call(wrong, x)


def test_log_densities_of_what_is_normalised(getkey):
    x = np.asarray(jax.random.normal(getkey(), (5, 2)))
    covariance = np.array([[1.0, 0.3], [0.3, 2.0]])
    exact = scipy.stats.multivariate_normal([1.0, -1.0], covariance).logpdf(x)
    found = log_density(Gaussian(np.array([1.0, -1.0]), covariance), x)
    np.testing.assert_allclose(found, exact, rtol=1e-4)
    with pytest.raises(ValueError, match="log Z of MLP is not known"):
        log_density(MLP((2,), (3,), key=getkey()), x)
