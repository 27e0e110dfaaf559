"""Planes and paths against closed forms, floods of grids and a surface from the literature."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from helpers import muller_brown

from ebmx.energies import DoubleWell, Gaussian, GaussianMixture
from ebmx.evaluation import barrier_height, energy_slice, minimum_energy_path, straight_path

MIXTURE = GaussianMixture(
    jnp.array([[-2.0, 0.0], [1.5, -1.0], [0.5, 2.0]]), jnp.array([0.6, 0.7, 0.8])
)


def flood(energy, a, b, reach=4.0, num=801):
    """The lowest level at which two points are connected on a grid, by bisection."""
    axis = np.linspace(-reach, reach, num)
    grid = energy_slice(
        energy, np.zeros(2), np.eye(2), limits=((-reach, reach), (-reach, reach)), num=num
    )
    cells = [tuple(np.abs(axis - c).argmin() for c in (p[1], p[0])) for p in (a, b)]
    low, high = max(grid.energies[cell] for cell in cells), grid.energies.max()
    for _ in range(30):
        middle = 0.5 * (low + high)
        labels, _ = scipy.ndimage.label(grid.energies <= middle, np.ones((3, 3)))
        joined = labels[cells[0]] == labels[cells[1]] > 0
        low, high = (low, middle) if joined else (middle, high)
    return high


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


def test_a_bent_band_goes_round_the_hill_of_a_double_well():
    energy, ends = DoubleWell((2,), 2.0), jnp.array([[-1.0, -1.0], [1.0, 1.0]])
    over = straight_path(energy, *ends)
    assert barrier_height(over) == pytest.approx(4, abs=1e-5)
    share = jnp.linspace(0, 1, 17)[:, None]
    start = (1 - share) * ends[:1] + share * ends[1:]
    start = start + 0.2 * jnp.sin(jnp.pi * share) * jnp.array([[1.0, -1.0]])
    path = minimum_energy_path(energy, *ends, start=start)
    # it goes through two saddles, with the well at (1, -1) between them
    assert barrier_height(path) == pytest.approx(2, abs=2e-3)
    np.testing.assert_array_equal(path.x[0], ends[0])
    np.testing.assert_array_equal(path.x[-1], ends[1])


def test_a_path_stays_within_bounds():
    # without bounds it would slide upwards for ever
    slope = lambda x: 3 * (x[0] ** 2 - 1) ** 2 - x[1]  # noqa: E731
    share = jnp.linspace(0, 1, 9)[:, None]
    start = jnp.concatenate([2 * share - 1, 1 - 0.8 * jnp.sin(jnp.pi * share)], 1)
    path = minimum_energy_path(slope, start[0], start[-1], start=start, bounds=(-1.0, 1.0))
    np.testing.assert_allclose(path.x[:, 1], 1, atol=1e-6)
    assert barrier_height(path) == pytest.approx(3, abs=1e-3)
    assert path.residual < 0.05


def test_the_pass_of_a_mixture_is_that_of_a_flooded_grid():
    wells = np.float32([[-2.0, 0.0], [1.5, -1.0]])
    path = minimum_energy_path(MIXTURE, *wells)
    assert path.energies.max() == pytest.approx(flood(MIXTURE, *wells), abs=2e-3)
    assert barrier_height(straight_path(MIXTURE, *wells)) > barrier_height(path)
    assert path.residual < 1e-2


def test_a_surface_from_the_literature():
    ends = np.float32([[-0.558224, 1.441726], [-0.050011, 0.466694]])
    path = minimum_energy_path(muller_brown, *ends)
    top = int(path.energies.argmax())
    assert path.energies[top] == pytest.approx(-40.664844, abs=2e-3)
    np.testing.assert_allclose(path.x[top], [-0.822002, 0.624313], atol=2e-3)
    assert barrier_height(path) == pytest.approx(146.699517 - 40.664844, abs=3e-3)


G2, O2, I2 = Gaussian(jnp.zeros(2)), jnp.zeros(2), jnp.eye(2)
BAD = {
    "origin": (lambda: energy_slice(G2, jnp.zeros(3), I2), r"origin=float32\[3\]: .*shape \(2,\)"),
    "one": (lambda: energy_slice(G2, O2, I2[:1]), r"len\(directions\)=1"),
    "parallel": (lambda: energy_slice(G2, O2, (I2[0], 2 * I2[0])), "directions=.*parallel"),
    "limits": (lambda: energy_slice(G2, O2, I2, limits=((1, 0), (0, 1))), "limits=.*low < high"),
    "num": (lambda: energy_slice(G2, O2, I2, num=1), "num=1"),
    "ends": (lambda: straight_path(G2, O2, jnp.zeros(3)), r"b=float32\[3\]"),
    "few": (lambda: minimum_energy_path(G2, O2, O2 + 1, num=2), "num=2"),
    "start": (lambda: minimum_energy_path(G2, O2, O2, start=jnp.zeros((5, 3))), r"start\.shape"),
    "bounds": (lambda: minimum_energy_path(G2, O2, O2, bounds=(1.0, 0.0)), "bounds=.*low < high"),
    "nan": (lambda: straight_path(G2, O2, O2 * jnp.nan), "b=2 non-finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
