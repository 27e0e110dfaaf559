"""Nudged elastic bands against a band in NumPy, floods of grids and surfaces that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from helpers import muller_brown

from ebmx.energies import DoubleWell, Gaussian, GaussianMixture
from ebmx.evaluation import energy_slice, minimum_energy_path
from ebmx.evaluation.landscape import _elastic_band as elastic_band

TINY = jnp.finfo(jnp.float32).tiny


def tangent_of(before, here, after, energies):
    """That of Henkelman and Jónsson (2000), equations 8 to 11."""
    low, own, high = energies
    if low < own < high:
        tangent = after - here
    elif low > own > high:
        tangent = here - before
    else:
        large, small = max(abs(high - own), abs(low - own)), min(abs(high - own), abs(low - own))
        onward, back = (large, small) if high > low else (small, large)
        tangent = onward * (after - here) + back * (here - before)
    return tangent / np.linalg.norm(tangent)


def forces_of(x, energies, gradients, curvature, climbing, low, high):
    """The forces on the images between the ends, and the largest without the springs."""
    top, forces, true = 1 + np.argmax(energies[1:-1]), [], []
    for i in range(1, len(x) - 1):
        tangent = tangent_of(x[i - 1], x[i], x[i + 1], energies[i - 1 : i + 2])
        along = gradients[i] @ tangent * tangent
        ways = np.linalg.norm(x[i + 1] - x[i]) - np.linalg.norm(x[i] - x[i - 1])
        if climbing and i == top:
            own = force = 2 * along - gradients[i]
        else:
            own = along - gradients[i]
            force = own + 0.1 * curvature * ways * tangent
        pushes = lambda f: ((x[i] <= low) & (f < 0)) | ((x[i] >= high) & (f > 0))  # noqa: E731, B023
        forces.append(np.where(pushes(force), 0, force))
        true.append(np.where(pushes(own), 0, own))
    return np.array(forces), np.linalg.norm(true, axis=1).max()


def steepest(way, change):
    length = np.linalg.norm(way, axis=1)
    moved = length > 0
    return np.max(np.linalg.norm(change, axis=1)[moved] / length[moved], initial=0.0)


class Fire:
    """Bitzek et al. (2006), between a hundredth of and one of the time that the curvature sets."""

    def __init__(self, shape, curvature):
        self.velocity, self.mixing, self.downhill = np.zeros(shape), 0.1, 0
        self.time_step = 0.1 / np.sqrt(curvature)

    def move(self, force, curvature):
        if np.sum(force * self.velocity) > 0:
            self.downhill += 1
            if self.downhill > 5:
                self.time_step *= 1.1
                self.mixing *= 0.99
            speed, direction = np.linalg.norm(self.velocity), force / np.linalg.norm(force)
            self.velocity = (1 - self.mixing) * self.velocity + self.mixing * speed * direction
        else:
            self.velocity, self.mixing, self.downhill = 0 * self.velocity, 0.1, 0
            self.time_step *= 0.5
        slowest = 0.01 / np.sqrt(curvature)
        self.time_step = np.clip(self.time_step, slowest, 100 * slowest)
        self.velocity = self.velocity + self.time_step * force
        return self.time_step * self.velocity


def band_of(look, x, low, high, num_steps, tolerance):
    """The whole algorithm in double precision, and how many steps it took."""
    energies, gradients = look(x)
    curvature = steepest(np.diff(x, axis=0), np.diff(gradients, axis=0))
    scale = np.linalg.norm(gradients, axis=1).max()
    longest = 0.2 * np.linalg.norm(np.diff(x, axis=0), axis=1).mean()
    climbing, count, fire, residual = False, 0, Fire(x[1:-1].shape, curvature), np.inf
    while count < num_steps and not (climbing and residual <= tolerance * scale):
        force, residual = forces_of(x, energies, gradients, curvature, climbing, low, high)
        climbing = climbing or residual < 30 * tolerance * scale or count > num_steps // 3
        move = fire.move(force, curvature)
        length = np.linalg.norm(move, axis=1, keepdims=True)
        move = move * np.minimum(1, longest / np.maximum(length, 1e-30))
        new = x.copy()
        new[1:-1] = np.clip(x[1:-1] + move, low, high)
        energies, now = look(new)
        curvature = max(0.995 * curvature, steepest(new - x, now - gradients))
        x, gradients, count = new, now, count + 1
    return x, forces_of(x, energies, gradients, curvature, climbing, low, high)[1], count


def bend(x):
    """Two wells with a curved valley between them."""
    return 4 * (x[0] ** 2 - 1) ** 2 + 3 * (x[1] - x[0] ** 2 + 0.1 * x[0]) ** 2


def look(x):
    u, v = x.T
    rest = v - u**2 + 0.1 * u
    slope = 16 * u * (u**2 - 1) + 6 * rest * (0.1 - 2 * u)
    return 4 * (u**2 - 1) ** 2 + 3 * rest**2, np.stack([slope, 6 * rest], 1)


START = np.linspace([-1.0, 0.9], [1.0, 1.1], 7) + 0.1 * np.sin(np.arange(14)).reshape(7, 2)


@pytest.mark.parametrize(
    ("num_steps", "tolerance", "bounds"),
    [
        (40, 1e-6, (-np.inf, np.inf)),
        (400, 0.01, (-1.2, 1.15)),
        (30, 0.01, (0.35, 1.5)),
        # one where a band that climbs from 31 instead of 30 tolerances on ends elsewhere
        (90, 0.00663, (-np.inf, np.inf)),
    ],
)
def test_a_band_moves_as_one_in_double_precision(num_steps, tolerance, bounds):
    start = np.abs(START) if bounds[0] > 0 else START
    start = np.float32(np.clip(start, *bounds))
    want, rest, count = band_of(look, np.float64(start), *bounds, num_steps, tolerance)
    x, residual = elastic_band.relax(bend, start, *bounds, num_steps, tolerance)
    np.testing.assert_allclose(x, want, atol=2e-3)
    assert float(residual) == pytest.approx(rest, rel=0.05, abs=2e-3)
    if num_steps == 400:
        # it has come to rest, long before a third of the steps
        assert 20 < count < 130


def test_a_band_is_not_moved_more_than_a_fifth_of_a_neighbours_distance():
    steep = lambda x: 1e6 * jnp.sum((x - 3) ** 2 * jnp.array([1.0, 2.0]))  # noqa: E731
    start = np.float32(np.linspace([0.0, 0.0], [4.0, 0.0], 5))
    x, _ = elastic_band.relax(steep, start, -np.inf, np.inf, 1, 1e-3)
    lengths = np.linalg.norm(np.asarray(x) - start, axis=1)
    assert lengths.max() <= 0.2 + 1e-5
    np.testing.assert_array_equal(lengths[[0, -1]], 0)


def test_bounds_are_in_order_and_infinite_if_there_are_none():
    assert elastic_band.box(None) == (-np.inf, np.inf)
    assert elastic_band.box((-1, 2)) == (-1.0, 2.0)
    with pytest.raises(ValueError, match=r"bounds=.*low < high"):
        elastic_band.box((1.0, 1.0))


@jax.jit
def tangents(x, energies):
    return elastic_band._tangents(x, energies)


@pytest.mark.parametrize("seed", range(6))
def test_tangents_point_to_the_higher_neighbour(seed):
    rng = np.random.default_rng(seed)
    x, energies = np.float32(rng.normal(size=(8, 2))), np.float32(rng.normal(size=8))
    found, before, after = tangents(x, energies)
    want = [tangent_of(*x[i - 1 : i + 2], energies[i - 1 : i + 2]) for i in range(1, 7)]
    np.testing.assert_allclose(found, want, atol=1e-5)
    np.testing.assert_allclose(before, x[1:-1] - x[:-2], rtol=1e-6)
    np.testing.assert_allclose(after, x[2:] - x[1:-1], rtol=1e-6)


def test_tangents_where_energies_or_images_are_equal():
    x = np.float32(np.linspace([0.0, 1.0], [7.0, 1.0], 8))
    found, *_ = tangents(x, np.zeros(8, np.float32))
    np.testing.assert_allclose(found, np.tile([1.0, 0.0], (6, 1)), atol=1e-6)
    found, *_ = tangents(0 * x, np.zeros(8, np.float32))
    np.testing.assert_array_equal(found, 0)


MIXTURE = GaussianMixture(
    jnp.array([[-2.0, 0.0], [1.5, -1.0], [0.5, 2.0]]), jnp.array([0.6, 0.7, 0.8])
)


def flood(energy, a, b, reach=4.0, num=801):
    """The lowest level at which two points are connected on a grid, by bisection."""
    axis = np.linspace(-reach, reach, num)
    grid = energy_slice(
        energy, np.zeros(2), np.eye(2), limits=((-reach, reach), (-reach, reach)), num_points=num
    )
    cells = [tuple(np.abs(axis - c).argmin() for c in (p[1], p[0])) for p in (a, b)]
    low, high = max(grid.energies[cell] for cell in cells), grid.energies.max()
    for _ in range(30):
        middle = 0.5 * (low + high)
        labels, _ = scipy.ndimage.label(grid.energies <= middle, np.ones((3, 3)))
        joined = labels[cells[0]] == labels[cells[1]] > 0
        low, high = (low, middle) if joined else (middle, high)
    return high


def test_a_bent_band_goes_round_the_hill_of_a_double_well():
    energy, ends = DoubleWell((2,), 2.0), np.float32([[-1.0, -1.0], [1.0, 1.0]])
    over = minimum_energy_path(energy, *ends, num_steps=0)
    assert over.barrier == pytest.approx(4, abs=1e-5)
    t = np.linspace(0, 1, 17)[:, None]
    start = (1 - t) * ends[:1] + t * ends[1:]
    start = start + 0.2 * np.sin(np.pi * t) * np.array([[1.0, -1.0]])
    path = minimum_energy_path(energy, *ends, start=np.float32(start))
    # it goes through two saddles, with the well at (1, -1) between them
    assert path.barrier == pytest.approx(2, abs=2e-3)
    np.testing.assert_array_equal(path.x[0], ends[0])
    np.testing.assert_array_equal(path.x[-1], ends[1])


def test_a_path_stays_within_bounds():
    # without bounds it would slide upwards for ever
    slope = lambda x: 3 * (x[0] ** 2 - 1) ** 2 - x[1]  # noqa: E731
    t = np.linspace(0, 1, 9, dtype=np.float32)[:, None]
    start = np.concatenate([2 * t - 1, 1 - 0.8 * np.sin(np.pi * t)], 1)
    path = minimum_energy_path(slope, start[0], start[-1], start=start, bounds=(-1.0, 1.0))
    np.testing.assert_allclose(np.asarray(path.x)[:, 1], 1, atol=1e-6)
    assert path.barrier == pytest.approx(3, abs=1e-3)
    assert path.residual < 0.05


def test_the_pass_of_a_mixture_is_that_of_a_flooded_grid():
    wells = np.float32([[-2.0, 0.0], [1.5, -1.0]])
    path = minimum_energy_path(MIXTURE, *wells)
    assert path.energies.max() == pytest.approx(flood(MIXTURE, *wells), abs=2e-3)
    assert minimum_energy_path(MIXTURE, *wells, num_steps=0).barrier > path.barrier
    assert path.residual < 1e-2


def test_a_surface_from_the_literature():
    ends = np.float32([[-0.558224, 1.441726], [-0.050011, 0.466694]])
    path = minimum_energy_path(muller_brown, *ends)
    top = int(path.energies.argmax())
    assert path.energies[top] == pytest.approx(-40.664844, abs=2e-3)
    np.testing.assert_allclose(np.asarray(path.x)[top], [-0.822002, 0.624313], atol=2e-3)
    assert path.barrier == pytest.approx(146.699517 - 40.664844, abs=3e-3)


G2, O2 = Gaussian(jnp.zeros(2)), np.zeros(2, np.float32)
BAD = {
    "few": (lambda: minimum_energy_path(G2, O2, O2 + 1, num_points=2), "num_points=2"),
    "start": (lambda: minimum_energy_path(G2, O2, O2, start=jnp.zeros((5, 3))), r"start\.shape"),
    "bounds": (lambda: minimum_energy_path(G2, O2, O2, bounds=(1.0, 0.0)), "bounds=.*low < high"),
    "short": (
        lambda: minimum_energy_path(G2, O2, O2, start=np.zeros((2, 2), np.float32)),
        "start.*three",
    ),
    "ends": (lambda: minimum_energy_path(lambda x: x[0], O2, jnp.zeros(3)), r"b=float32\[3\]"),
    "steps": (lambda: minimum_energy_path(G2, O2, O2 + 1, num_steps=-1), "num_steps=-1"),
    "tolerance": (lambda: minimum_energy_path(G2, O2, O2 + 1, tolerance=0.0), r"tolerance=0\.0"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
