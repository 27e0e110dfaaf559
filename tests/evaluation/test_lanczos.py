"""Eigenvalues of Hessians against closed forms and dense ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import MLP, DoubleWell, Gaussian
from ebmx.evaluation import hessian_eigenvalues


def covariance(size, seed=0):
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
    return (turn * np.geomspace(0.1, 10, size)) @ turn.T


def test_the_hessian_of_a_gaussian_is_its_precision(getkey):
    matrix = covariance(50)
    exact = np.linalg.eigvalsh(np.linalg.inv(matrix))
    energy = Gaussian(jnp.zeros((5, 10)), matrix)
    x = jax.random.normal(getkey(), (5, 10))
    found = hessian_eigenvalues(energy, x, k=4, key=getkey())
    np.testing.assert_allclose(found.smallest, exact[:4], rtol=1e-3)
    np.testing.assert_allclose(found.largest, exact[-4:], rtol=1e-5)
    for value, vector in zip(found.largest, found.largest_vectors, strict=True):
        assert vector.shape == (5, 10)
        image = np.linalg.solve(matrix, vector.reshape(-1))
        np.testing.assert_allclose(image, value * vector.reshape(-1), atol=2e-4)


def test_a_few_products_find_both_ends_of_a_wide_spectrum(getkey):
    values = np.concatenate([[-3.0, 0.01], np.linspace(1, 2, 496), [5.0, 9.0]])
    curved = lambda x: 0.5 * jnp.sum(jnp.asarray(values, jnp.float32) * x**2)  # noqa: E731
    found = hessian_eigenvalues(curved, jnp.ones(500), k=2, num_steps=40, key=getkey())
    np.testing.assert_allclose(found.smallest, values[:2], atol=1e-4)
    np.testing.assert_allclose(found.largest, values[-2:], rtol=1e-5)
    assert found.errors.max() < 1e-2
    np.testing.assert_allclose(np.abs(found.smallest_vectors[0]), np.eye(500)[0], atol=1e-3)
    early = hessian_eigenvalues(curved, jnp.ones(500), k=2, num_steps=6, key=getkey())
    got = np.concatenate([early.smallest, early.largest])
    nearest = np.abs(got[:, None] - values[None]).min(1)
    assert np.all(nearest <= early.errors + 1e-4)


def test_equal_eigenvalues_are_found_when_the_space_is_used_up(getkey):
    found = hessian_eigenvalues(Gaussian(jnp.zeros(6), 0.5), jnp.ones(6), k=6, key=getkey())
    np.testing.assert_allclose(found.smallest, 2, rtol=1e-5)
    gram = found.largest_vectors @ found.largest_vectors.T
    np.testing.assert_allclose(gram, np.eye(6), atol=1e-5)
    flat = hessian_eigenvalues(lambda x: jnp.sum(x), jnp.ones(3), k=1, key=getkey())
    assert flat.smallest[0] == flat.largest[0] == 0


@pytest.mark.parametrize(("x", "value"), [(0.0, -4.0), (1.0, 8.0)])
def test_saddles_and_minima_of_a_double_well(x, value, getkey):
    point = jnp.array([x, 1.0])
    found = hessian_eigenvalues(DoubleWell((2,), 3.0), point, k=1, key=getkey())
    assert found.smallest[0] == pytest.approx(3 * value, rel=1e-5)
    assert found.largest[0] == pytest.approx(24, rel=1e-5)


def test_a_network_agrees_with_its_dense_hessian(getkey):
    energy = MLP((7,), (9, 8), activation="tanh", key=getkey())
    x = jax.random.normal(getkey(), (7,))
    exact = np.linalg.eigvalsh(np.asarray(jax.hessian(energy)(x), np.float64))
    found = hessian_eigenvalues(energy, x, k=2, key=getkey())
    np.testing.assert_allclose(found.smallest, exact[:2], atol=1e-5)
    np.testing.assert_allclose(found.largest, exact[-2:], atol=1e-5)


G2, KEY = Gaussian(jnp.zeros(2)), jax.random.key(0)
BAD = {
    "shape": (lambda: hessian_eigenvalues(G2, jnp.zeros(3), key=KEY), r"x=float32\[3\]"),
    "many": (lambda: hessian_eigenvalues(G2, jnp.zeros(2), k=3, key=KEY), "k=3: there are 2"),
    "few": (
        lambda: hessian_eigenvalues(G2, jnp.zeros(2), k=2, num_steps=1, key=KEY),
        "num_steps=1",
    ),
    "infinite": (
        lambda: hessian_eigenvalues(
            lambda x: jnp.sum(jnp.sqrt(x)) ** 2 / 0.0, jnp.zeros(2), k=1, key=KEY
        ),
        "hessian=2 non-finite",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
