"""Where long chains go, and the figures of classes and bounds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ebmx
from ebmx.energies import AbstractConditionalEnergy, Gaussian
from ebmx.evaluation import drift, effective_classes, frechet_distance, saturated_fraction
from ebmx.samplers import MALA, AbstractSampler, Langevin, StepInfo, UnderdampedLangevin
from ebmx.samplers._run import PerChain

ENERGY = Gaussian(jnp.zeros(2))


class Climber(AbstractSampler):
    """Adds one to the first coordinate, and writes a number of each key into the others."""

    growth: jax.Array | float = 1.0

    def init(self, energy, x, *, key):
        return jax.random.uniform(key), jnp.int32(2)

    def step(self, energy, x, state, *, key):
        mark, place = state
        x = x.at[0].set(self.growth * x[0] + 1).at[1].set(mark)
        x = x.at[place].set(jax.random.uniform(key))
        zero = jnp.zeros(())
        return x, (mark, place + 1), StepInfo(zero, zero, zero, jnp.zeros((), bool))


class Level(AbstractConditionalEnergy):
    """The height of a point above the level of its condition."""

    shape: tuple[int, ...] = eqx.field(static=True, default=(11,))
    condition_shape: tuple[int, ...] = eqx.field(static=True, default=())
    num_labels: int | None = eqx.field(static=True, default=None)

    def __call__(self, x, y):
        return x[0] + y


STEPS, KEY = 9, jax.random.key(0)
START = np.concatenate([[[0.5], [-1.0], [0.0], [2.0]], np.zeros((4, 1 + STEPS))], 1)
START = START.astype(np.float32)


def first(x):
    return x[:, :1]


def height(x):
    return 2 * x[0]


def climb(sampler=None, **options):
    options = {"num_steps": STEPS, "features": first, "key": KEY} | options
    return drift(height, sampler or Climber(jnp.float32(1.0)), jnp.asarray(START), **options)


@pytest.mark.parametrize(
    ("num_records", "steps"), [(1, [0, 9]), (3, [0, 1, 3, 9]), (99, [0, *range(1, 10)])]
)
def test_what_is_recorded_is_that_of_the_steps(num_records, steps):
    found = climb(num_records=num_records, bounds=(-0.5, 3.0))
    assert found.steps.tolist() == steps
    heights = START[:, 0] + np.array(steps)[:, None]
    np.testing.assert_allclose(found.energies, 2 * heights)
    # two sets of one covariance, apart by the number of steps
    np.testing.assert_allclose(found.distances, np.square(steps), atol=1e-6)
    outside = np.sum((heights <= -0.5) | (heights >= 3), 1)
    np.testing.assert_allclose(found.saturation, outside / START.size)
    np.testing.assert_allclose(found.x[:, 0], heights[-1])


def test_each_step_of_each_chain_has_a_key_of_its_own_whatever_is_recorded():
    marks = [np.asarray(climb(num_records=num).x[:, 1:]) for num in (1, 4)]
    np.testing.assert_array_equal(*marks)
    assert marks[0].min() > 0
    assert len(np.unique(marks[0])) == marks[0].size
    assert not np.isin(climb(key=jax.random.key(1)).x[:, 1:], marks[0]).any()
    assert np.isnan(climb().saturation).all()


def test_each_chain_has_its_own_condition_and_sampler():
    sampler = PerChain(Climber(jnp.array([1.0, 1.0, 2.0, 0.0])))
    levels = np.array([0.0, 1.0, 2.0, 3.0], np.float32)
    options = {"num_steps": 2, "num_records": 2, "features": first, "key": KEY}
    found = drift(Level().at_each(jnp.asarray(levels)), sampler, jnp.asarray(START), **options)
    heights = np.array([[0.5, -1.0, 0.0, 2.0], [1.5, 0.0, 1.0, 1.0], [2.5, 1.0, 3.0, 1.0]])
    np.testing.assert_allclose(found.energies, heights + levels)
    np.testing.assert_allclose(found.x[:, 0], heights[-1])


def test_what_a_sampler_remembers_is_carried_from_record_to_record():
    # without noise and with little friction a particle swings, which its velocity alone tells
    sampler = UnderdampedLangevin(0.3, friction=1e-3, noise_scale=0.0)
    x = jnp.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    options = {"num_steps": 12, "features": first, "key": KEY}
    ends = [drift(ENERGY, sampler, x, num_records=num, **options).x for num in (1, 12)]
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-5)
    assert np.abs(ends[0] - x).max() > 1.0


def test_fewer_chains_than_features_are_told():
    with pytest.warns(UserWarning, match=r"^there are 4 chains and 4 features.*more chains"):
        found = climb(features=lambda x: x[:, :4])
    assert np.isfinite(found.distances).all()
    with pytest.warns(UserWarning, match=r"^there are 4 chains and 11 features"):
        climb(features=None)
    climb(features=lambda x: x[:, :3])


def test_a_chain_that_explodes_is_told():
    with pytest.raises(FloatingPointError, match=r"between steps 3 and 9: .*smaller step_size"):
        climb(Climber(jnp.float32(1e9)), num_records=3)


def test_chains_that_start_in_their_density_stay(getkey):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(200, 2)), float)
    found = drift(ENERGY, Langevin(0.1), x, num_steps=100, num_records=5, key=getkey())
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
    x = jnp.asarray(0.1 * np.random.default_rng(1).normal(size=(50, 1, 2, 1)), float)
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


def test_effective_classes():
    assert effective_classes(np.arange(10)) == pytest.approx(10)
    assert effective_classes(np.array([3, 3, 3])) == pytest.approx(1)
    p = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    want = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert effective_classes(p) == pytest.approx(want)
    assert effective_classes(np.array([0, 0, 0, 2])) == pytest.approx(want)
    # rows that sum to one but for rounding are taken as shares
    assert effective_classes(p * 1.0005) == pytest.approx(want)


def test_saturated_fraction():
    x = np.array([-1.0, -0.95, 0.0, 0.5, 1.0, 1.2])
    assert saturated_fraction(x) == pytest.approx(3 / 6)
    assert saturated_fraction(x, tolerance=0.1) == pytest.approx(4 / 6)
    assert saturated_fraction(x, (0.0, 0.5)) == pytest.approx(1.0)
    assert saturated_fraction(x, (-0.96, 1.1), tolerance=0.0) == pytest.approx(2 / 6)


X = jnp.ones((2, 2))
BAD = {
    "one": (lambda: drift(ENERGY, MALA(0.1), jnp.ones((1, 2)), key=KEY), "at least two chains"),
    "steps": (lambda: drift(ENERGY, MALA(1.0), X, num_steps=0, key=KEY), "num_steps=0"),
    "labels": (lambda: effective_classes(np.array([0.5])), "classes=.*whole numbers"),
    "sums": (lambda: effective_classes(np.ones((2, 2))), "classes=.*sum to 1"),
    "empty": (lambda: effective_classes(np.zeros(0, int)), r"classes\.shape=\(0,\)"),
    "records": (lambda: drift(ENERGY, MALA(1.0), X, num_records=0, key=KEY), "num_records=0"),
    "three": (lambda: saturated_fraction(np.ones(2), (0.0, 1.0, 2.0)), "bounds="),
    "negative": (lambda: effective_classes(np.array([-1, 1])), "classes=.*whole numbers"),
    "bounds": (lambda: saturated_fraction(np.ones(2), (1.0, -1.0)), "bounds=.*low < high"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
