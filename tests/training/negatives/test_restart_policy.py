"""Which persistent chains are restarted, and what the others do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_forms import STILL
from helpers import assert_mean, points
from moves import affine, init, step

from ebmx.energies import Gaussian
from ebmx.training import PCD, Examples, ReplayBuffer, UniformNoise

FLAT = Gaussian(jnp.zeros(2), 10.0)
NUM = 4000
FAR = UniformNoise(50.0, 51.0)


def after(restart, prob, buffer, key, num=NUM, energy=FLAT, sampler=None, **options):
    """Which slots are of a restarted chain after a step of `num` chains that stay."""
    negatives = PCD(sampler or affine(), 1, NUM, prob, FAR, restart=restart, **options)
    out, buffer, info = step(negatives, energy, np.zeros((num, 2), np.float32), buffer, key)
    restarted = np.all(np.asarray(buffer.positions) >= 50, 1)
    assert restarted.sum() == info.restarted.sum() == np.sum(np.all(np.asarray(out.x) >= 50, 1))
    np.testing.assert_array_equal(buffer.ages[restarted], 1)
    return restarted


def shares_by_quarter(values, restarted):
    """How many of each quarter, from the least value to the greatest, are restarted."""
    return restarted[np.argsort(values, kind="stable")].reshape(4, -1).mean(1)


@pytest.mark.parametrize("prob", [0.1, 0.5])
def test_chains_of_high_energy_restart_more_often(prob, getkey):
    x = points(NUM, (2,))
    buffer = ReplayBuffer(x, jnp.asarray(np.full(NUM, 3, np.int32)))
    energies = np.sum(np.asarray(x) ** 2, 1)
    restarted = after("energy", prob, buffer, getkey())
    # by the rank of the energy, at twice the rate for the highest
    want = prob * np.array([0.25, 0.75, 1.25, 1.75])
    shares = shares_by_quarter(energies, restarted)
    np.testing.assert_allclose(shares, want, atol=5 * np.sqrt(0.25 * 4 / NUM))
    assert abs(restarted.mean() - prob) < 5 * np.sqrt(prob * (1 - prob) / NUM)


@pytest.mark.parametrize("prob", [0.1, 0.4])
def test_old_chains_restart_more_often(prob, getkey):
    ages = np.random.default_rng(1).permutation(NUM) // 100
    buffer = ReplayBuffer(points(NUM, (2,)), jnp.asarray(ages, jnp.int32))
    restarted = after("age", prob, buffer, getkey())
    want = prob * ages[np.argsort(ages)].reshape(4, -1).mean(1) / ages.mean()
    shares = shares_by_quarter(ages, restarted)
    np.testing.assert_allclose(shares, want, atol=5 * np.sqrt(0.25 * 4 / NUM))
    assert abs(restarted.mean() - prob) < 5 * np.sqrt(prob * (1 - prob) / NUM)
    assert not np.any(restarted[ages == 0])


def test_uniform_restarts_are_independent_of_age_and_energy(getkey):
    x, ages = points(NUM, (2,)), np.arange(NUM)
    restarted = after("uniform", 0.3, ReplayBuffer(x, jnp.asarray(ages, jnp.int32)), getkey())
    for values in (ages, np.sum(np.asarray(x) ** 2, 1)):
        np.testing.assert_allclose(shares_by_quarter(values, restarted), 0.3, atol=0.073)
    assert abs(restarted.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / NUM)


def test_new_chains_are_not_restarted_for_their_age(getkey):
    buffer = ReplayBuffer(points(NUM, (2,)), jnp.asarray(np.zeros(NUM, np.int32)))
    assert not np.any(after("age", 0.4, buffer, getkey()))


def test_the_mean_rate_stays_over_many_updates(getkey):
    negatives = PCD(affine(), 1, 400, 0.1, restart="age")

    @jax.jit
    def updates(buffer, keys):
        def step(buffer, key):
            _, buffer, info = negatives.step(FLAT, Examples(jnp.zeros((100, 2))), buffer, key=key)
            return buffer, jnp.mean(info.restarted.astype(float))

        return jax.lax.scan(step, buffer, keys)[1]

    rates = np.asarray(updates(init(negatives, (2,), getkey()), jax.random.split(getkey(), 300)))
    late = rates[50:]
    # successive draws are nearly independent; a chance above one is cut, which the ages hardly see
    assert abs(late.mean() - 0.1) < 5 * late.std() / np.sqrt(len(late)) + 0.002


def test_a_chain_whose_energy_is_not_finite_is_among_the_first_to_go(getkey):
    x = points(NUM, (2,))
    buffer = ReplayBuffer(x, jnp.asarray(np.ones(NUM, np.int32)))
    energy = lambda x: x[1] + jnp.log(x[0])  # noqa: E731
    restarted = after("energy", 0.5, buffer, getkey(), energy=energy, sampler=STILL)
    bad = np.asarray(x)[:, 0] < 0
    assert restarted[bad].mean() > 0.7
    assert restarted[~bad].mean() < 0.3


def jump(x, *, key):
    return x + 10 + 0.5 * jax.random.normal(key, x.shape)


def test_augmentation_is_for_drawn_chains_and_each_has_its_key(getkey):
    buffer = ReplayBuffer(jnp.zeros((NUM, 2)), jnp.asarray(np.zeros(NUM, np.int32)))
    num = NUM // 2
    negatives = PCD(affine(), 1, NUM, 0.25, FAR, augment=jump)
    x = np.zeros((num, 2), np.float32)
    (out, buffer, info), (other, _, _) = (
        step(negatives, FLAT, x, buffer, getkey()) for _ in range(2)
    )
    restarted = np.asarray(info.restarted)
    # a restart is noise as it comes
    assert np.all((np.asarray(out.x)[restarted] >= 50) & (np.asarray(out.x)[restarted] < 51))
    moved = np.asarray(out.x)[~restarted] - 10
    assert_mean(moved, 0.0)
    assert_mean(moved**2, 0.25)
    assert_mean(moved[1:] * moved[:-1], 0.0)
    assert len(np.unique(moved)) > 0.99 * moved.size
    # and another one at each step
    assert len(np.intersect1d(np.asarray(other.x), moved + 10)) < 0.01 * moved.size
    # and what was not drawn is left alone
    ages = np.asarray(buffer.ages)
    assert np.all(np.asarray(buffer.positions)[ages == 0] == 0)
    assert np.all(np.asarray(buffer.positions)[ages == 1] > 5)
    assert (ages == 1).sum() == num


def test_energies_are_those_before_the_augmentation(getkey):
    x = points(NUM, (2,))
    buffer = ReplayBuffer(x, jnp.asarray(np.ones(NUM, np.int32)))
    flip = lambda x, *, key: 10 / jnp.sum(x**2) * x  # noqa: E731
    restarted = after("energy", 0.5, buffer, getkey(), augment=flip)
    shares = shares_by_quarter(np.sum(np.asarray(x) ** 2, 1), restarted)
    assert shares[0] < shares[3] / 2


BAD = {
    "restart": ({"restart": "old"}, r"restart='old': give 'uniform', 'age' or 'energy'"),
    "energy": (
        {"restart": "energy", "reinit_prob": 0.6},
        r"reinit_prob=0\.6.*: give at most 0\.5 with restart='energy'",
    ),
    "age": (
        {"restart": "age", "reinit_prob": 0.51},
        r"reinit_prob=0\.5.*: give at most 0\.5 with restart='age'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    options, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        PCD(affine(), 1, **options)
