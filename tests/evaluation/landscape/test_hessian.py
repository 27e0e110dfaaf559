"""Eigenvalues of Hessians against closed forms and dense ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import DoubleWell, Gaussian
from ebmx.evaluation import hessian_eigenvalues
from ebmx.evaluation.landscape import _hessian


def covariance(size, seed=0):
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
    return (turn * np.geomspace(0.1, 10, size)) @ turn.T


KEY = jax.random.key(0)


def curved(values):
    """Half the sum of squares with these eigenvalues: one compiled energy for each number."""
    return Gaussian(np.zeros(len(values)), 1 / np.asarray(values))


def test_the_hessian_of_a_gaussian_is_its_precision():
    matrix = covariance(50)
    exact = np.linalg.eigvalsh(np.linalg.inv(matrix))
    energy = Gaussian(np.zeros((5, 10)), matrix)
    x = np.random.default_rng(1).normal(size=(5, 10)).astype(np.float32)
    found = hessian_eigenvalues(energy, x, num_eigenvalues=4, key=KEY)
    np.testing.assert_allclose(found.smallest, exact[:4], rtol=1e-3)
    np.testing.assert_allclose(found.largest, exact[-4:], rtol=1e-5)
    for values, vectors in (
        (found.largest, found.largest_vectors), (found.smallest, found.smallest_vectors),
    ):  # fmt: skip
        assert vectors.shape == (4, 5, 10)
        rows = vectors.reshape(4, 50)
        np.testing.assert_allclose(rows @ rows.T, np.eye(4), atol=1e-4)
        np.testing.assert_allclose(np.linalg.solve(matrix, rows.T), rows.T * values, atol=3e-3)
    assert found.errors.shape == (8,)
    # all products are made: nothing is left over
    assert found.errors.max() < 1e-2


VALUES = np.concatenate([[-3.0, 0.01], np.linspace(1, 2, 496), [5.0, 9.0]])
WEIGHTS = np.float32(VALUES)


def saddle(x):
    return 0.5 * jnp.sum(WEIGHTS * x**2)


def test_a_few_products_find_both_ends_of_a_wide_spectrum():
    x = np.ones(500, np.float32)
    found = hessian_eigenvalues(saddle, x, num_eigenvalues=2, num_steps=40, key=KEY)
    np.testing.assert_allclose(found.smallest, VALUES[:2], atol=1e-4)
    np.testing.assert_allclose(found.largest, VALUES[-2:], rtol=1e-5)
    assert found.errors.max() < 1e-2
    np.testing.assert_allclose(np.abs(found.smallest_vectors[0]), np.eye(500)[0], atol=1e-3)
    np.testing.assert_allclose(np.abs(found.largest_vectors[1]), np.eye(500)[-1], atol=1e-3)
    early = hessian_eigenvalues(saddle, x, num_eigenvalues=2, num_steps=6, key=KEY)
    got = np.concatenate([early.smallest, early.largest])
    # the errors say how far a vector is from one of the Hessian, the smallest value first
    vectors = np.concatenate([early.smallest_vectors, early.largest_vectors])
    rest = np.linalg.norm(vectors * VALUES - got[:, None] * vectors, axis=1)
    np.testing.assert_allclose(early.errors, rest, rtol=1e-3, atol=1e-4)
    assert early.errors.max() > 0.1
    nearest = np.abs(got[:, None] - VALUES[None]).min(1)
    assert np.all(nearest <= early.errors + 1e-4)


def test_the_number_of_products_is_eight_for_each_value_and_sixty(monkeypatch):
    met = []

    def lanczos(energy, x, num_steps, key):
        met.append(num_steps)
        return np.eye(num_steps, x.size), np.arange(num_steps, dtype=float), np.zeros(num_steps)

    monkeypatch.setattr(_hessian, "_lanczos", lanczos)
    for size, k in ((500, 2), (500, 5), (50, 3), (76, 2), (75, 2)):
        found = hessian_eigenvalues(saddle, np.ones(size, np.float32), num_eigenvalues=k, key=KEY)
        assert found.smallest.tolist() == list(range(k))
        assert found.largest[-1] == met[-1] - 1
    assert met == [76, 100, 50, 76, 75]


def test_the_start_is_that_of_the_key():
    x = np.ones(500, np.float32)
    first, second, other = (
        hessian_eigenvalues(
            saddle, x, num_eigenvalues=2, num_steps=6, key=jax.random.key(seed)
        ).errors
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_equal_eigenvalues_are_found_when_the_space_is_used_up():
    for values in ([2.0] * 6, [1.0, 1.0, 3.0, 3.0, 3.0, 8.0]):
        found = hessian_eigenvalues(
            curved(values), np.ones(6, np.float32), num_eigenvalues=6, key=KEY
        )
        np.testing.assert_allclose(found.smallest, values, rtol=1e-5)
        np.testing.assert_array_equal(found.smallest, found.largest)
        gram = found.largest_vectors @ found.largest_vectors.T
        np.testing.assert_allclose(gram, np.eye(6), atol=1e-5)
        assert found.errors.max() < 1e-4
    flat = hessian_eigenvalues(
        lambda x: jnp.sum(x), np.ones(3, np.float32), num_eigenvalues=3, key=KEY
    )
    np.testing.assert_array_equal(flat.smallest, 0)
    gram = flat.largest_vectors @ flat.largest_vectors.T
    np.testing.assert_allclose(gram, np.eye(3), atol=1e-5)


WELL = DoubleWell((2,), 3.0)


@pytest.mark.parametrize(("x", "value"), [(0.0, -4.0), (1.0, 8.0)])
def test_saddles_and_minima_of_a_double_well(x, value):
    found = hessian_eigenvalues(WELL, np.float32([x, 1.0]), num_eigenvalues=1, key=KEY)
    assert found.smallest[0] == pytest.approx(3 * value, rel=1e-5)
    assert found.largest[0] == pytest.approx(24, rel=1e-5)


def test_a_network_agrees_with_its_dense_hessian():
    rng = np.random.default_rng(2)
    first, second = np.float32(rng.normal(size=(9, 7))), np.float32(rng.normal(size=9))
    energy = lambda x: second @ jnp.tanh(first @ x)  # noqa: E731
    x = rng.normal(size=7).astype(np.float32)
    exact = np.linalg.eigvalsh(np.asarray(jax.jit(jax.hessian(energy))(x), np.float64))
    found = hessian_eigenvalues(energy, x, num_eigenvalues=2, key=KEY)
    np.testing.assert_allclose(found.smallest, exact[:2], atol=2e-5)
    np.testing.assert_allclose(found.largest, exact[-2:], atol=2e-5)


G2 = Gaussian(jnp.zeros(2))
BAD = {
    "shape": (lambda: hessian_eigenvalues(G2, jnp.zeros(3), key=KEY), r"x=float32\[3\]"),
    "many": (
        lambda: hessian_eigenvalues(G2, jnp.zeros(2), num_eigenvalues=3, key=KEY),
        "num_eigenvalues=3: there are 2",
    ),
    "few": (
        lambda: hessian_eigenvalues(G2, jnp.zeros(2), num_eigenvalues=2, num_steps=1, key=KEY),
        "num_steps=1",
    ),
    "infinite": (
        lambda: hessian_eigenvalues(
            lambda x: jnp.sum(jnp.sqrt(x)) ** 2 / 0.0, jnp.zeros(2), num_eigenvalues=1, key=KEY
        ),
        "hessian=2 non-finite",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
