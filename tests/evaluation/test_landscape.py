"""Planes and paths against closed forms, floods of grids and a surface from the literature."""

import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import DoubleWell, Gaussian
from ebmx.evaluation import barrier_height, energy_slice, straight_path


def test_a_plane_through_a_gaussian():
    rng = np.random.default_rng(0)
    origin, first, second = rng.normal(size=(3, 2, 3, 1)).astype(np.float32)
    found = energy_slice(
        Gaussian(jnp.ones((2, 3, 1)), 0.5), origin, (first, second),
        limits=((-2.0, 1.0), (0.0, 3.0)), num=5,
    )  # fmt: skip
    np.testing.assert_allclose(found.a, [-2, -1.25, -0.5, 0.25, 1])
    np.testing.assert_allclose(found.b, [0, 0.75, 1.5, 2.25, 3])
    for i, b in enumerate(found.b):
        for j, a in enumerate(found.a):
            away = origin + a * first + b * second - 1
            assert found.energies[i, j] == pytest.approx(np.sum(away**2), rel=1e-5)
            slope = [-2 * np.sum(away * first), -2 * np.sum(away * second)]
            np.testing.assert_allclose(found.field[i, j], slope, rtol=1e-4, atol=1e-4)


def test_coordinates_are_those_of_the_nearest_point_of_the_plane():
    rng = np.random.default_rng(1)
    origin, first, second, other = rng.normal(size=(4, 6))
    found = energy_slice(Gaussian(jnp.zeros(6)), *map(np.float32, (origin,)),
                         np.float32([first, second]), num=2)  # fmt: skip
    wanted = np.array([[0.0, 0.0], [1.0, 0.0], [0.3, -2.0]])
    x = origin + wanted @ np.stack([first, second])
    np.testing.assert_allclose(found.coordinates(x), wanted, atol=1e-6)
    (a, b) = found.coordinates(other[None])[0]
    rest = other - origin - a * first - b * second
    np.testing.assert_allclose([rest @ first, rest @ second], 0, atol=1e-6)


def test_a_straight_path_over_a_double_well():
    path = straight_path(DoubleWell((1,), 3.0), jnp.array([-1.0]), jnp.array([1.0]), num=5)
    np.testing.assert_allclose(path.energies, 3 * (np.linspace(-1, 1, 5) ** 2 - 1) ** 2, atol=1e-6)
    np.testing.assert_allclose(path.distances, [0, 0.5, 1, 1.5, 2], atol=1e-6)
    assert barrier_height(path) == pytest.approx(3, abs=1e-6)
    assert np.isnan(path.residual)
    assert "a barrier of 3 nats there, of 3 back" in str(path)


G2, O2, I2 = Gaussian(jnp.zeros(2)), jnp.zeros(2), jnp.eye(2)
BAD = {
    "origin": (lambda: energy_slice(G2, jnp.zeros(3), I2), r"origin=float32\[3\]: .*shape \(2,\)"),
    "one": (lambda: energy_slice(G2, O2, I2[:1]), r"len\(directions\)=1"),
    "parallel": (lambda: energy_slice(G2, O2, (I2[0], 2 * I2[0])), "directions=.*parallel"),
    "limits": (lambda: energy_slice(G2, O2, I2, limits=((1, 0), (0, 1))), "limits=.*low < high"),
    "num": (lambda: energy_slice(G2, O2, I2, num=1), "num=1"),
    "ends": (lambda: straight_path(G2, O2, jnp.zeros(3)), r"b=float32\[3\]"),
    "nan": (lambda: straight_path(G2, O2, O2 * jnp.nan), "b=2 non-finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
