"""Adjusted samplers pair by pair: `π(x) q(x, y) a(x, y) = π(y) q(y, x) a(y, x)` in float64."""

import blackjax.mcmc as mcmc
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import double

from ebmx.energies import AbstractExactEnergy, Banana, DoubleWell, Gaussian
from ebmx.samplers import HMC, MALA, Barker, Independence, run
from ebmx.samplers._tempering import _swap_acceptance

MEAN, COVARIANCE = np.array([1.0, -0.5]), np.array([[0.8, 0.3], [0.3, 1.5]])
ENERGIES = {
    "gaussian": lambda: Gaussian(MEAN, COVARIANCE),
    "banana": lambda: Banana(1.0, 0.5),
    "double-well": lambda: DoubleWell((2,), 0.3),
}
KEY = jax.random.key(0)
INVERSE_MASS = np.array([0.5, 2.0])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def slope(energy, x):
    return np.asarray(jax.grad(energy)(jnp.asarray(x)))


def stepped(sampler, energy, x, key=KEY):
    x = jnp.asarray(x)
    new, _, info = sampler.step(energy, x, sampler.init(energy, x, key=key), key=key)
    return np.asarray(new), float(info.acceptance)


class Told(AbstractExactEnergy):
    """A wide Gaussian whose sample is told."""

    told: jax.Array
    shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    mean = variance = log_z = property(lambda self: jnp.zeros(2))

    def __call__(self, x):
        return jnp.sum(x**2) / 8

    def sample(self, *, key):
        return self.told


def mala(step_size):
    def acceptance(energy, x, y, monkeypatch):
        noise = (y - x + step_size / 2 * slope(energy, x)) / np.sqrt(step_size)
        told = lambda *_: jnp.asarray(noise)  # noqa: E731
        monkeypatch.setattr(mcmc.diffusions, "generate_gaussian_noise", told)
        return stepped(MALA(np.float64(step_size)), energy, x)[1]

    def log_q(energy, x, y):
        return -np.sum((y - x + step_size / 2 * slope(energy, x)) ** 2) / (2 * step_size)

    return acceptance, log_q


def barker(step_size):
    def acceptance(energy, x, y, monkeypatch):
        told = lambda *_, **__: jnp.asarray(y - x)  # noqa: E731
        monkeypatch.setattr(mcmc.barker, "generate_gaussian_noise", told)
        kept = lambda key, position, p: jnp.ones_like(position)  # noqa: E731
        monkeypatch.setattr(mcmc.barker, "_generate_bernoulli", kept)
        return stepped(Barker(np.float64(step_size)), energy, x)[1]

    def log_q(energy, x, y):
        side = -np.log1p(np.exp((y - x) * slope(energy, x)))
        return np.sum(side - (y - x) ** 2 / (2 * step_size**2))

    return acceptance, log_q


def independence():
    def acceptance(energy, x, y, monkeypatch):
        return stepped(Independence(Told(jnp.asarray(y))), energy, x)[1]

    return acceptance, lambda energy, x, y: -np.sum(y**2) / 8


KERNELS = {
    "mala-0.3": mala(0.3),
    "mala-1": mala(1.0),
    "mala-3": mala(3.0),
    "barker": barker(0.9),
    "independence": independence(),
}


@pytest.mark.parametrize("where", ENERGIES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_each_pair_of_points_is_in_balance(kernel, where, monkeypatch):
    acceptance, log_q = KERNELS[kernel]
    energy, seen = double(ENERGIES[where]()), set()
    for x, y in np.random.default_rng(0).normal(scale=1.3, size=(10, 2, 2)):
        forth, back = (acceptance(energy, *pair, monkeypatch) for pair in ((x, y), (y, x)))
        there = -float(energy(jnp.asarray(x))) + log_q(energy, x, y)
        again = -float(energy(jnp.asarray(y))) + log_q(energy, y, x)
        np.testing.assert_allclose(forth, np.exp(min(0.0, again - there)), rtol=1e-12)
        high = max(there, again)
        one, other = np.exp(there - high) * forth, np.exp(again - high) * back
        np.testing.assert_allclose(one, other, rtol=1e-12)
        seen.add(forth < 1)
    assert seen == {True, False}


def leapfrog(energy, x, p, h, num):
    for _ in range(num):
        p = p - h / 2 * slope(energy, x)
        x = x + h * INVERSE_MASS * p
        p = p - h / 2 * slope(energy, x)
    return x, p


@pytest.mark.parametrize("where", ENERGIES)
def test_trajectories_of_hmc_can_be_reversed(where, monkeypatch):
    energy, h, num = double(ENERGIES[where]()), 0.35, 4
    sampler, seen = HMC(np.float64(h), num, jnp.asarray(INVERSE_MASS)), set()

    def total(x, p):
        return float(energy(jnp.asarray(x))) + 0.5 * p @ (INVERSE_MASS * p)

    def go(x, p):
        """Where the sampler goes with this momentum, and the acceptance."""
        told = lambda *_, **__: jnp.asarray(p)  # noqa: E731
        monkeypatch.setattr(mcmc.metrics, "generate_gaussian_noise", told)
        for seed in range(50):
            new, acceptance = stepped(sampler, energy, x, jax.random.key(seed))
            if not np.array_equal(new, x):
                return new, acceptance
        raise AssertionError("no proposal was accepted")

    for x, p in np.random.default_rng(1).normal(size=(5, 2, 2)):
        y, q = leapfrog(energy, x, p, h, num)
        new, forth = go(x, p)
        old, back = go(new, -q)
        np.testing.assert_allclose(new, y, rtol=1e-12)
        np.testing.assert_allclose(old, x, rtol=1e-12, atol=1e-12)
        there, again = total(x, p), total(y, q)
        np.testing.assert_allclose(forth, np.exp(min(0.0, there - again)), rtol=1e-12)
        low = min(there, again)
        one, other = np.exp(low - there) * forth, np.exp(low - again) * back
        np.testing.assert_allclose(one, other, rtol=1e-12)
        seen.add(forth < 1)
    assert seen == {True, False}


def test_each_swap_of_replicas_is_in_balance():
    temperatures, seen = jnp.array([1.0, 1.7, 3.0]), set()
    for energies in np.random.default_rng(2).normal(scale=3.0, size=(8, 3)):
        _, forth = _swap_acceptance(jnp.asarray(energies), temperatures, jnp.asarray(0))
        for low in (0, 1):
            swapped = energies.copy()
            swapped[[low, low + 1]] = energies[[low + 1, low]]
            _, back = _swap_acceptance(jnp.asarray(swapped), temperatures, jnp.asarray(0))
            there, again = (np.exp(-np.sum(e / temperatures)) for e in (energies, swapped))
            np.testing.assert_allclose(there * forth[low], again * back[low], rtol=1e-12)
            seen.add(bool(forth[low] < 1))
    assert seen == {True, False}


@pytest.mark.parametrize("where", ENERGIES)
def test_one_leapfrog_step_is_mala_draw_for_draw(where):
    energy, x = double(ENERGIES[where]()), jax.random.normal(KEY, (64, 2))
    one, info = run(energy, MALA(np.float64(0.7) ** 2), x, num_steps=5, key=KEY)
    other, same = run(energy, HMC(np.float64(0.7), 1), x, num_steps=5, key=KEY)
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(info.acceptance, same.acceptance, rtol=1e-10, atol=1e-10)
    assert 0.2 < float(info.acceptance.mean()) < 0.99


def test_small_steps_of_mala_are_accepted():
    energy = double(ENERGIES["banana"]())
    x = jax.vmap(lambda key: energy.sample(key=key))(jax.random.split(KEY, 2_000))
    sizes = np.array([1e-2, 1e-3, 1e-4, 1e-5])
    missing = [
        1 - float(run(energy, MALA(size), x, num_steps=1, key=KEY)[1].acceptance.mean())
        for size in sizes
    ]
    assert missing[-1] < 1e-6
    # the energy is kept to the third order of the leapfrog step, which is √ε
    np.testing.assert_allclose(np.diff(np.log10(missing)), -1.5, atol=0.05)
