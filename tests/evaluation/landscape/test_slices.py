"""Planes and paths against closed forms, floods of grids and a surface from the literature."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import DoubleWell, Gaussian
from ebmx.evaluation import energy_slice, minimum_energy_path

straight = functools.partial(minimum_energy_path, num_steps=0)


def test_a_plane_through_a_gaussian():
    rng = np.random.default_rng(0)
    origin, first, second = rng.normal(size=(3, 2, 3, 1)).astype(np.float32)
    found = energy_slice(
        Gaussian(jnp.ones((2, 3, 1)), 0.5), origin, (first, second),
        limits=((-2.0, 1.0), (0.0, 3.0)), num_points=5,
    )  # fmt: skip
    np.testing.assert_allclose(found.a, [-2, -1.25, -0.5, 0.25, 1])
    np.testing.assert_allclose(found.b, [0, 0.75, 1.5, 2.25, 3])
    np.testing.assert_array_equal(found.origin, origin)
    np.testing.assert_array_equal(found.directions, [first, second])
    points = origin + np.stack([2 * first - second, first * 0])
    np.testing.assert_allclose(found.coordinates(points), [[2, -1], [0, 0]], atol=1e-5)
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
                         np.float32([first, second]), num_points=2)  # fmt: skip
    wanted = np.array([[0.0, 0.0], [1.0, 0.0], [0.3, -2.0]])
    x = origin + wanted @ np.stack([first, second])
    np.testing.assert_allclose(found.coordinates(x), wanted, atol=1e-6)
    (a, b) = found.coordinates(other[None])[0]
    rest = other - origin - a * first - b * second
    np.testing.assert_allclose([rest @ first, rest @ second], 0, atol=1e-6)


def test_a_path_has_the_length_of_its_way_and_two_barriers():
    ends = np.zeros((2, 2, 1), np.float32), np.float32([[[3.0], [4.0]]] * 2)
    rising = lambda x: jnp.sum(x[:, 0])  # noqa: E731
    up, down = (
        straight(rising, *ends, num_points=6),
        straight(rising, *ends[::-1], num_points=6),
    )
    t = np.linspace(0, 1, 6)
    np.testing.assert_allclose(np.asarray(up.x), t[:, None, None, None] * ends[1], rtol=1e-5)
    np.testing.assert_allclose(up.distances, np.sqrt(50) * t, rtol=1e-6)
    np.testing.assert_allclose(up.energies, 6 * t, rtol=1e-5, atol=1e-6)
    assert up.barrier == pytest.approx(6)
    assert str(up) == "barrier: 6 nats forwards, 0 backwards"
    assert down.barrier == 0
    assert str(down) == "barrier: 0 nats forwards, 6 backwards"


def test_a_straight_path_over_a_double_well():
    path = straight(DoubleWell((1,), 3.0), jnp.array([-1.0]), jnp.array([1.0]), num_points=5)
    np.testing.assert_allclose(path.energies, 3 * (np.linspace(-1, 1, 5) ** 2 - 1) ** 2, atol=1e-6)
    np.testing.assert_allclose(path.distances, [0, 0.5, 1, 1.5, 2], atol=1e-6)
    assert path.barrier == pytest.approx(3, abs=1e-6)
    assert np.isnan(path.residual)
    assert "barrier: 3 nats forwards, 3 backwards" in str(path)


def test_a_grid_of_many_points_is_that_of_its_parts():
    options = {"limits": ((-1.0, 1.0), (0.0, 2.0))}
    well = DoubleWell((2,), 3.0)
    fine, coarse = (energy_slice(well, O2, I2, num_points=num, **options) for num in (21, 11))
    assert fine.energies.size > 256 > coarse.energies.size
    np.testing.assert_allclose(fine.energies[::2, ::2], coarse.energies, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fine.field[::2, ::2], coarse.field, rtol=1e-4, atol=1e-5)
    a, b = np.meshgrid(fine.a, fine.b)
    want = 3 * (a**2 - 1) ** 2 + 3 * (b**2 - 1) ** 2
    np.testing.assert_allclose(fine.energies, want, rtol=1e-4, atol=1e-5)


G2, O2, I2 = Gaussian(jnp.zeros(2)), np.zeros(2, np.float32), np.eye(2, dtype=np.float32)
BAD = {
    "origin": (lambda: energy_slice(G2, jnp.zeros(3), I2), r"origin=float32\[3\]: .*shape \(2,\)"),
    "one": (lambda: energy_slice(G2, O2, I2[:1]), r"len\(directions\)=1"),
    "parallel": (lambda: energy_slice(G2, O2, (I2[0], 2 * I2[0])), "directions=.*parallel"),
    "limits": (lambda: energy_slice(G2, O2, I2, limits=((1, 0), (0, 1))), "limits=.*low < high"),
    "num": (lambda: energy_slice(G2, O2, I2, num_points=1), "num_points=1"),
    "ends": (lambda: straight(G2, O2, jnp.zeros(3)), r"b=float32\[3\]"),
    "bad shape": (lambda: energy_slice(G2, O2, I2, limits=((0, 1),)), "limits=.*low < high"),
    "integers": (lambda: straight(G2, O2, np.zeros(2, int)), r"b=int\d\d\[2\]: .*floating"),
    "other": (lambda: straight(lambda x: x[0], O2, jnp.zeros(3)), r"b=float32\[3\]"),
    "way": (lambda: energy_slice(lambda x: x[0], O2, jnp.eye(3)[:2]), r"directions=float32\[3\]"),
    "short": (lambda: straight(G2, O2, O2 + 1, num_points=2), "num_points=2"),
    "zero": (lambda: energy_slice(G2, O2, (I2[0], 0 * I2[0])), "directions=.*parallel"),
    "nan": (lambda: straight(G2, O2, O2 * jnp.nan), "b=2 non-finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
