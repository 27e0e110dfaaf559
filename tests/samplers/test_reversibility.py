"""Adjusted samplers pair by pair: `π(x) q(x, y) a(x, y) = π(y) q(y, x) a(y, x)` in float64."""

import contextlib

import blackjax.mcmc as mcmc
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import double, points

from ebmx.energies import AbstractExactEnergy, Banana, DoubleWell, Gaussian
from ebmx.samplers import HMC, MALA, Barker, Independence, run
from ebmx.samplers.tempering._ladder import swap_acceptance

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


class Told(AbstractExactEnergy):
    """A wide Gaussian whose sample is told."""

    told: jax.Array
    shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    mean = variance = log_z = property(lambda self: jnp.zeros(2))

    def __call__(self, x):
        return jnp.sum(x**2) / 8

    def sample(self, *, key):
        return self.told


@contextlib.contextmanager
def told(noise):
    """Kernels that are traced in here take this as their noise."""
    patch = pytest.MonkeyPatch()
    for module in (mcmc.diffusions, mcmc.barker, mcmc.metrics):
        patch.setattr(module, "generate_gaussian_noise", lambda *_, **__: noise)
    # whether Barker's proposal keeps the sign of its noise
    patch.setattr(mcmc.barker, "_generate_bernoulli", lambda key, x, p: jnp.ones_like(x))
    with patch.context():
        yield
    patch.undo()


@eqx.filter_jit
def stepped(sampler, energy, x, noise, keys):
    """Where steps with these noises lead, and their acceptances."""

    def step(x, noise, key):
        one = Independence(Told(noise)) if sampler is None else sampler
        with told(noise):
            new, _, info = one.step(energy, x, one.init(energy, x, key=key), key=key)
        return new, info.acceptance

    return jax.vmap(step)(jnp.asarray(x), jnp.asarray(noise), keys)


@eqx.filter_jit
def values_and_slopes(energy, x):
    return jax.vmap(jax.value_and_grad(energy))(jnp.asarray(x))


def slopes(energy, x):
    return np.asarray(values_and_slopes(energy, x)[1])


def mala(step_size):
    def noise(energy, x, y):
        return (y - x + step_size / 2 * slopes(energy, x)) / np.sqrt(step_size)

    def log_q(energy, x, y):
        away = y - x + step_size / 2 * slopes(energy, x)
        return -np.sum(away**2, 1) / (2 * step_size)

    return lambda: MALA(np.float64(step_size)), noise, log_q


def barker(step_size):
    def log_q(energy, x, y):
        side = -np.log1p(np.exp((y - x) * slopes(energy, x)))
        return np.sum(side - (y - x) ** 2 / (2 * step_size**2), 1)

    return lambda: Barker(np.float64(step_size)), lambda energy, x, y: y - x, log_q


INDEPENDENCE = (
    lambda: None,
    lambda energy, x, y: y,
    lambda energy, x, y: -np.sum(y**2, 1) / 8,
)
KERNELS = {
    "mala-0.3": mala(0.3),
    "mala-1": mala(1.0),
    "mala-3": mala(3.0),
    "barker": barker(0.9),
    "independence": INDEPENDENCE,
}


@pytest.mark.parametrize("where", ENERGIES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_each_pair_of_points_is_in_balance(kernel, where):
    (make, noise, log_q), energy = KERNELS[kernel], double(ENERGIES[where]())
    x, y = np.random.default_rng(0).normal(scale=1.3, size=(10, 2, 2)).swapaxes(0, 1)
    there, back = np.concatenate([x, y]), np.concatenate([y, x])
    keys = jax.random.split(KEY, 20)
    acceptance = np.asarray(stepped(make(), energy, there, noise(energy, there, back), keys)[1])
    log_flow = log_q(energy, there, back) - np.asarray(values_and_slopes(energy, there)[0])
    reverse = np.roll(log_flow, 10)
    np.testing.assert_allclose(acceptance, np.exp(np.minimum(0.0, reverse - log_flow)), rtol=1e-12)
    flow = np.exp(log_flow - np.maximum(log_flow, reverse)) * acceptance
    np.testing.assert_allclose(flow[:10], flow[10:], rtol=1e-12)
    assert set(acceptance < 1) == {True, False}


def leapfrog(energy, x, p, h, num):
    for _ in range(num):
        p = p - h / 2 * slopes(energy, x)
        x = x + h * INVERSE_MASS * p
        p = p - h / 2 * slopes(energy, x)
    return x, p


@pytest.mark.parametrize("where", ENERGIES)
def test_trajectories_of_hmc_can_be_reversed(where):
    energy, h, num = double(ENERGIES[where]()), 0.35, 4
    sampler = HMC(np.float64(h), num, jnp.asarray(INVERSE_MASS))
    keys = jax.random.split(KEY, 50)

    def total(x, p):
        return np.asarray(values_and_slopes(energy, x)[0]) + 0.5 * np.sum(INVERSE_MASS * p**2, 1)

    def go(x, p):
        """Where the sampler goes with these momenta and a key that accepts, and the acceptance."""
        many, momenta, all_keys = np.repeat(x, 50, 0), np.repeat(p, 50, 0), jnp.tile(keys, len(x))
        new, acceptance = map(np.asarray, stepped(sampler, energy, many, momenta, all_keys))
        accepted = np.any(new != many, axis=1).reshape(-1, 50)
        assert np.all(accepted.any(1))
        chosen = np.arange(len(x)) * 50 + accepted.argmax(1)
        return new[chosen], acceptance[chosen]

    x, p = np.random.default_rng(1).normal(size=(5, 2, 2)).swapaxes(0, 1)
    y, q = leapfrog(energy, x, p, h, num)
    new, forth = go(x, p)
    old, back = go(new, -q)
    np.testing.assert_allclose(new, y, rtol=1e-12)
    np.testing.assert_allclose(old, x, rtol=1e-12, atol=1e-12)
    there, again = total(x, p), total(y, q)
    np.testing.assert_allclose(forth, np.exp(np.minimum(0.0, there - again)), rtol=1e-12)
    low = np.minimum(there, again)
    one, other = np.exp(low - there) * forth, np.exp(low - again) * back
    np.testing.assert_allclose(one, other, rtol=1e-12)
    assert set(forth < 1) == {True, False}


def test_each_swap_of_replicas_is_in_balance():
    temperatures = np.array([1.0, 1.7, 3.0])
    energies = np.random.default_rng(2).normal(scale=3.0, size=(8, 3))
    acceptance = jax.jit(jax.vmap(lambda e: swap_acceptance(e, jnp.asarray(temperatures), 0)[1]))
    forth = np.asarray(acceptance(energies))
    for low, order in ((0, [1, 0, 2]), (1, [0, 2, 1])):
        swapped = energies[:, order]
        back = np.asarray(acceptance(swapped))
        there, again = (np.exp(-np.sum(e / temperatures, 1)) for e in (energies, swapped))
        np.testing.assert_allclose(there * forth[:, low], again * back[:, low], rtol=1e-12)
    assert set((forth < 1).ravel()) == {True, False}


@pytest.mark.medium
def test_one_leapfrog_step_is_mala_draw_for_draw():
    energy, x = double(ENERGIES["banana"]()), np.asarray(points(64, (2,)))
    one, info = run(energy, MALA(np.float64(0.7) ** 2), x, num_steps=5, key=KEY)
    other, same = run(energy, HMC(np.float64(0.7), 1), x, num_steps=5, key=KEY)
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(info.acceptance, same.acceptance, rtol=1e-10, atol=1e-10)
    assert 0.2 < float(info.acceptance.mean()) < 0.99


def test_small_steps_of_mala_are_accepted():
    energy = double(ENERGIES["banana"]())
    keys = jax.random.split(KEY, 2_000)
    x = jax.jit(jax.vmap(lambda key: energy.sample(key=key)))(keys)
    sizes = np.array([1e-2, 1e-3, 1e-4, 1e-5])
    missing = [
        1 - float(np.mean(run(energy, MALA(size), x, num_steps=1, key=KEY)[1].acceptance))
        for size in sizes
    ]
    assert missing[-1] < 1e-6
    # the energy is kept to the third order of the leapfrog step, which is √ε
    np.testing.assert_allclose(np.diff(np.log10(missing)), -1.5, atol=0.05)
