"""Minima and basins of surfaces whose minima are known, and a descent in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import muller_brown

from ebmx.energies import DoubleWell, Gaussian
from ebmx.evaluation import local_minima
from ebmx.evaluation.landscape import _minima

WELLS = np.array([[-0.558224, 1.441726], [0.623499, 0.028038], [-0.050011, 0.466694]])
DEPTHS = np.array([-146.699517, -108.166724, -80.767818])


def test_a_double_well_has_a_well_in_each_quadrant():
    starts = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    found = local_minima(DoubleWell((2,), 2.0), starts)
    assert found.x.shape == (4, 2)
    np.testing.assert_allclose(np.abs(found.x), 1, atol=1e-3)
    np.testing.assert_allclose(found.energies, 0, atol=1e-5)
    # the coordinates owe nothing to each other: a basin is a quadrant
    np.testing.assert_array_equal(np.sign(found.x[found.basins]), np.sign(starts))
    assert found.fractions.sum() == 1
    np.testing.assert_allclose(found.fractions, np.bincount(found.basins) / 400)
    assert found.gradient_norms.max() <= 1e-3


def test_a_surface_from_the_literature_has_three_wells():
    x, y = np.meshgrid(np.linspace(-1.2, 0.9, 8), np.linspace(-0.2, 1.8, 8))
    starts = np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)
    found = local_minima(muller_brown, starts, tolerance=0.05)
    np.testing.assert_allclose(found.energies, DEPTHS, atol=1e-3)
    np.testing.assert_allclose(found.x, WELLS, atol=1e-3)


def test_a_valley_of_fifty_dimensions_has_one_end():
    rng = np.random.default_rng(1)
    turn, _ = np.linalg.qr(rng.normal(size=(50, 50)))
    covariance = (turn * np.geomspace(0.05, 5, 50)) @ turn.T
    mean = rng.normal(size=50)
    starts = rng.normal(size=(6, 50)).astype(np.float32)
    found = local_minima(Gaussian(mean, covariance), starts, tolerance=1e-3)
    assert found.fractions.tolist() == [1.0]
    np.testing.assert_allclose(found.x[0], mean, atol=1e-2)


def test_bounds_stop_an_energy_that_falls_without_end():
    starts = np.random.default_rng(2).uniform(-1, 1, size=(5, 2, 2)).astype(np.float32)
    slope = jnp.array([[1.0, -1.0], [2.0, 3.0]])
    found = local_minima(lambda x: jnp.sum(slope * x), starts, bounds=(-1.0, 1.0))
    np.testing.assert_array_equal(found.x, [[[-1, 1], [-1, -1]]])
    with pytest.raises(ValueError, match=r"none of 5 descents converged: .*set bounds"):
        local_minima(lambda x: jnp.sum(slope * x), starts, num_steps=50)


def test_a_start_that_came_to_no_end_is_in_no_basin():
    starts = np.array([[0.5], [-30.0]], np.float32)
    found = local_minima(
        lambda x: jnp.where(x[0] < -2, x[0], x[0] ** 2), starts, num_steps=30, merge_distance=0.1
    )
    assert found.basins.tolist() == [0, -1]
    assert found.fractions.tolist() == [0.5]
    assert found.gradient_norms[1] > 0.5


def bend(x):
    """Two wells with a curved valley between them."""
    return 4 * (x[0] ** 2 - 1) ** 2 + 3 * (x[1] - x[0] ** 2 + 0.1 * x[0]) ** 2


def look(x):
    u, v = x
    rest = v - u**2 + 0.1 * u
    slope = 16 * u * (u**2 - 1) + 6 * rest * (0.1 - 2 * u)
    return bend(x), np.array([slope, 6 * rest])


def descent(x, low, high, num_steps, tolerance, max_step):
    """The spectral projected gradient method in double precision, for one start."""

    def left(x, gradient):
        return np.abs(np.clip(x - gradient, low, high) - x).max()

    x = np.clip(np.float64(x), low, high)
    value, gradient = look(x)
    length, count, halvings = 0.1 * max_step / np.linalg.norm(gradient), 0, 0
    while left(x, gradient) > tolerance and count < num_steps:
        way = np.clip(x - length * gradient, low, high) - x
        way = way * min(1, max_step / max(np.linalg.norm(way), 1e-30))
        t = 1.0
        while bend(x + t * way) > value + 1e-4 * t * (gradient @ way) + 5e-7 * abs(value):
            t, halvings = t / 2, halvings + 1
        move, before = t * way, gradient
        x = x + move
        value, gradient = look(x)
        curved = move @ (gradient - before)
        length = move @ move / curved if curved > 0 else 2 * length
        count += 1
    return (x, value, gradient, length, left(x, gradient), count), halvings


STARTS = np.random.default_rng(4).normal(size=(20, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("num_steps", "max_step", "bounds"),
    [(6, 4.0, (-np.inf, np.inf)), (50, 0.15, (-0.6, 1.0))],
)
def test_a_descent_goes_as_one_in_double_precision(num_steps, max_step, bounds):
    found = _minima._descend(bend, STARTS, *bounds, num_steps, 1e-3, max_step)
    runs = [descent(x, *bounds, num_steps, 1e-3, max_step) for x in STARTS]
    names = ("x", "value", "gradient", "length", "norm", "count")
    want = {
        name: np.array(column)
        for name, column in zip(names, zip(*[r[0] for r in runs], strict=True), strict=True)
    }
    if num_steps == 6:
        # steps had to be shortened, and no start has arrived
        assert sum(run[1] for run in runs) > 20
        assert want["norm"].min() > 1e-3
        for name in names:
            np.testing.assert_allclose(getattr(found, name), want[name], rtol=5e-3, atol=5e-3)
    else:
        np.testing.assert_allclose(found.x, want["x"], atol=2e-3)
        assert found.norm.max() <= 1e-3
        assert np.abs(np.asarray(found.count) - want["count"]).max() <= 2
        assert want["count"].max() < 40
    assert not np.asarray(found.stuck).any()


FREE = (-np.inf, np.inf)


def test_a_descent_without_a_lower_point_stays_and_stops():
    # the gradient says that the energy falls where it rises
    wrong = lambda x: jax.lax.stop_gradient(2 * x[0]) - x[0]  # noqa: E731
    found = _minima._descend(wrong, np.zeros((2, 1), np.float32), *FREE, 9, 1e-3, 1.0)
    assert np.asarray(found.stuck).all()
    assert np.asarray(found.count).tolist() == [1, 1]
    np.testing.assert_array_equal(found.x, 0)
    np.testing.assert_array_equal(found.value, 0)
    np.testing.assert_array_equal(found.norm, 1)


@pytest.mark.parametrize("hill", [1000.0, -1000.0])
def test_the_last_bits_of_the_energy_do_not_stop_a_descent(hill):
    def energy(x):
        noise = jax.lax.stop_gradient(1e-4 * jnp.sin(3e5 * x[0]))
        return hill + x[0] ** 2 / 2 + noise

    starts = np.linspace(0.01, 0.03, 20, dtype=np.float32)[:, None]
    found = _minima._descend(energy, starts, *FREE, 50, 1e-4, 0.05)
    assert found.norm.max() <= 1e-4
    assert found.count.max() <= 6
    assert not np.asarray(found.stuck).any()


def walkers(x, values, norms):
    x = np.asarray(x, np.float32).reshape(len(x), 1)
    return _minima.Walker(x, np.float32(values), 0 * x, 0 * x, np.float32(norms), 0, 0)


def test_ends_become_minima_from_the_lowest_on(monkeypatch):
    met = {}

    def descend(energy, starts, low, high, num_steps, tolerance, max_step):
        met.update(box=(low, high), steps=num_steps, tolerance=tolerance, max_step=max_step)
        return walkers(
            [5.0, 1.0, 5.04, 7.0, 0.98, 1.04], [3, 1.2, 2.9, -9, 1.0, 1.1], [0.1, 0.1, 0, 0.2, 0, 0]
        )

    monkeypatch.setattr(_minima, "_descend", descend)
    starts = np.float32([[0], [1], [2], [3], [4], [8]])
    found = local_minima(lambda x: x[0], starts, num_steps=7, tolerance=0.15, merge_distance=0.05)
    # the lowest, within 0.05 of it one more; the third of these ends is nearer to that one only
    np.testing.assert_allclose(found.x[:, 0], [0.98, 1.04, 5.04])
    np.testing.assert_allclose(found.energies, [1.0, 1.1, 2.9])
    assert found.basins.tolist() == [2, 0, 2, -1, 0, 1]
    np.testing.assert_allclose(found.fractions, [2 / 6, 1 / 6, 2 / 6])
    np.testing.assert_allclose(found.gradient_norms, [0.1, 0.1, 0, 0.2, 0, 0])
    assert (met["box"], met["steps"], met["tolerance"]) == ((-np.inf, np.inf), 7, 0.15)
    # steps are a tenth of the deviation of the starts, minima a fiftieth of it apart
    assert met["max_step"] == pytest.approx(0.1 * starts.std())
    found = local_minima(lambda x: x[0], starts, bounds=(-1, 9), max_step=0.3, tolerance=0.15)
    assert met["max_step"] == 0.3
    assert met["box"] == (-1, 9)
    assert 0.04 < 0.02 * starts.std() < 0.06
    assert len(found.x) == 3
    local_minima(lambda x: x[0], np.float32([[[1.0, 2.0]]] * 6), tolerance=0.15)
    assert met["max_step"] == pytest.approx(0.1)
    two = np.float32([[[0, 0]], [[3, 4]]] * 3)
    local_minima(lambda x: x[0], two, tolerance=0.15)
    assert met["max_step"] == pytest.approx(0.25)


G2, X2 = Gaussian(jnp.zeros(2)), jnp.ones((3, 2))
BAD = {
    "shape": (lambda: local_minima(G2, jnp.ones((3, 3))), r"starts\.shape"),
    "nan": (lambda: local_minima(G2, X2 * jnp.nan), "starts=6 non-finite"),
    "bounds": (lambda: local_minima(G2, X2, bounds=(1.0, 0.0)), "bounds=.*low < high"),
    "steps": (lambda: local_minima(G2, X2, num_steps=0), "num_steps=0"),
    "step": (lambda: local_minima(G2, X2, max_step=0.0), "max_step=0"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
