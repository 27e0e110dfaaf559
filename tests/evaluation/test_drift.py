"""Where long chains go, and the figures of classes and bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ebmx
from ebmx.energies import Gaussian
from ebmx.evaluation import drift, effective_classes, frechet_distance, saturated_share
from ebmx.samplers import MALA, Langevin

ENERGY = Gaussian(jnp.zeros(2))


def test_chains_that_start_in_their_density_stay(getkey):
    x = jax.random.normal(getkey(), (200, 2))
    found = drift(ENERGY, MALA(0.5), x, num_steps=100, num_records=5, key=getkey())
    np.testing.assert_array_equal(found.steps, [0, 1, 3, 10, 32, 100])
    assert found.energies.shape == (6, 200)
    np.testing.assert_allclose(found.energies[0], ebmx.energy(ENERGY, x), rtol=1e-6)
    np.testing.assert_allclose(found.energies[-1], ebmx.energy(ENERGY, found.x), rtol=1e-6)
    assert found.energies[-1].mean() == pytest.approx(1.0, abs=0.3)
    assert found.distances[0] == pytest.approx(0, abs=1e-6)
    assert found.distances[-1] == pytest.approx(frechet_distance(x, found.x), rel=1e-6)
    assert found.distances.max() < 0.2
    assert np.isnan(found.saturation).all()


def test_chains_that_wander_off_are_seen(getkey):
    x = 0.1 * jax.random.normal(getkey(), (50, 1, 2, 1))
    slope = lambda x: -5.0 * jnp.sum(x)  # noqa: E731
    found = drift(
        slope, Langevin(0.1, bounds=(-1.0, 1.0)), x, num_steps=40, num_records=3,
        bounds=(-1.0, 1.0), features=lambda x: x.reshape(50, 2)[:, :1], key=getkey(),
    )  # fmt: skip
    assert found.saturation[0] == 0
    assert found.saturation[-1] > 0.5
    assert found.energies[-1].mean() < found.energies[0].mean() - 5
    assert found.distances[-1] > 0.3
    assert found.x.shape == x.shape


def test_records_do_not_change_the_walk(getkey):
    x, key = jnp.ones((3, 2)), getkey()
    ends = [
        drift(ENERGY, Langevin(0.1), x, num_steps=17, num_records=num, key=key).x for num in (1, 6)
    ]
    np.testing.assert_allclose(*ends, rtol=1e-5)


def test_fewer_chains_than_features_are_told(getkey):
    x = jax.random.normal(getkey(), (2, 2))
    with pytest.warns(UserWarning, match=r"^there are 2 chains and 2 features.*more chains"):
        found = drift(ENERGY, Langevin(0.1), x, num_steps=1, num_records=1, key=getkey())
    assert np.isfinite(found.distances).all()


def test_a_chain_that_explodes_is_told(getkey):
    with pytest.raises(FloatingPointError, match=r"between steps \d+ and \d+: .*smaller step_size"):
        drift(ENERGY, Langevin(100.0), jnp.ones((3, 2)), num_steps=100, key=getkey())


def test_effective_classes():
    assert effective_classes(np.arange(10)) == pytest.approx(10)
    assert effective_classes(np.array([3, 3, 3])) == pytest.approx(1)
    p = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    want = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert effective_classes(p) == pytest.approx(want)
    assert effective_classes(np.array([0, 0, 0, 2])) == pytest.approx(want)


def test_saturated_share():
    x = np.array([-1.0, -0.95, 0.0, 0.5, 1.0, 1.2])
    assert saturated_share(x) == pytest.approx(3 / 6)
    assert saturated_share(x, tolerance=0.1) == pytest.approx(4 / 6)
    assert saturated_share(x, (0.0, 0.5)) == pytest.approx(1.0)


KEY, X = jax.random.key(0), jnp.ones((2, 2))
BAD = {
    "one": (lambda: drift(ENERGY, MALA(0.1), jnp.ones((1, 2)), key=KEY), "at least two chains"),
    "steps": (lambda: drift(ENERGY, MALA(1.0), X, num_steps=0, key=KEY), "num_steps=0"),
    "labels": (lambda: effective_classes(np.array([0.5])), "classes=.*whole numbers"),
    "sums": (lambda: effective_classes(np.ones((2, 2))), "classes=.*sum to 1"),
    "empty": (lambda: effective_classes(np.zeros(0, int)), r"classes\.shape=\(0,\)"),
    "bounds": (lambda: saturated_share(np.ones(2), (1.0, -1.0)), "bounds=.*low < high"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
