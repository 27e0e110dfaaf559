"""Hyper-parameters that follow schedules."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ebmx.samplers import MALA, Annealed, Langevin, ReplicaExchange, run, sample
from ebmx.samplers._base import AbstractWrapper

X = np.zeros((2, 1), np.float32)


def slope(x):
    return 2.0 * jnp.sum(x)


def quartic(x):
    return jnp.sum(x**4)


def step_sizes(schedule, num_steps, key):
    """What each step took: without noise a step goes down by the step size."""
    sampler = Annealed(Langevin(1.0, temperature=0.0), step_size=schedule)
    values = np.asarray(sample(slope, sampler, X, num_samples=num_steps, key=key).values)[0, :, 0]
    return -np.diff(np.concatenate([[0.0], values]))


FRACTION = np.array([0, 0.25, 0.5, 0.75, 1, 1, 1])
SCHEDULES = {
    "linear": (optax.linear_schedule(1.0, 0.2, 4), 1.0 - 0.8 * FRACTION),
    "geometric": (optax.exponential_decay(1.0, 4, 0.01, end_value=0.01), 0.01**FRACTION),
    "own": (lambda step: 1.0 / (1 + step), 1 / np.arange(1, 8)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_step_has_the_value_of_its_number(name, getkey):
    schedule, want = SCHEDULES[name]
    np.testing.assert_allclose(step_sizes(schedule, 7, getkey()), want, rtol=1e-4, atol=1e-5)


@pytest.mark.medium
def test_a_constant_schedule_is_no_schedule(getkey):
    x, key = np.ones((4, 2), np.float32), getkey()
    for plain, kind in (
        (Langevin(0.1, temperature=0.5), {"temperature": optax.constant_schedule(0.5)}),
        (MALA(0.1), {"step_size": optax.linear_schedule(0.1, 0.1, 3)}),
    ):
        one, _ = run(quartic, plain, x, num_steps=5, key=key)
        base = type(plain)(0.1)
        other, _ = run(quartic, Annealed(base, **kind), x, num_steps=5, key=key)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_two_schedules_at_once(getkey):
    sampler = Annealed(
        Langevin(1.0, noise_scale=1.0),
        step_size=optax.linear_schedule(1.0, 0.5, 1),
        noise_scale=lambda step: 0.0,
    )
    x, _ = run(slope, sampler, X, num_steps=3, key=getkey())
    np.testing.assert_allclose(x, np.full((2, 1), -2.0), rtol=1e-5)


def falling(start, step):
    return start / (1 + step)


def test_numbers_of_a_schedule_that_is_a_pytree_can_be_swept(getkey):
    traces = []

    def energy(x):
        traces.append(None)
        return jnp.sum(x**2)

    def move(start):
        schedule = eqx.Partial(falling, jnp.asarray(start))
        run(energy, Annealed(Langevin(0.1), temperature=schedule), X, num_steps=3, key=getkey())
        return len(traces)

    count = move(1.0)
    assert move(0.5) == count > 0


def test_a_state_that_is_handed_on_goes_on_with_the_schedule(getkey):
    schedule, want = SCHEDULES["linear"]
    sampler = Annealed(Langevin(1.0, temperature=0.0), step_size=schedule)
    first = sample(slope, sampler, X, num_samples=3, key=getkey())
    options = {"num_samples": 4, "key": getkey()}
    rest = sample(slope, sampler, first.x, state=first.state, **options)
    np.testing.assert_allclose(rest.x, np.full((2, 1), -want.sum()), rtol=1e-5)
    anew = sample(slope, sampler, first.x, **options)
    np.testing.assert_allclose(anew.x, np.full((2, 1), -want[:3].sum() - want[:4].sum()), rtol=1e-5)


WARM = optax.linear_schedule(1.0, 0.5, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Annealed(Langevin(0.1), heat=WARM), "schedules=heat: Langevin has"),
        (lambda: Annealed(Langevin(0.1), temperature=0.5), r"temperature=0\.5: give a function"),
        (
            lambda: Annealed(Langevin(0.1, noise_scale=0.1), temperature=WARM),
            "schedules=.*a noise scale sets the temperature",
        ),
        (
            lambda: Annealed(Langevin(0.1), temperature=WARM, noise_scale=WARM),
            "schedules=.*noise_scale.*temperature",
        ),
        (lambda: Annealed(MALA(0.1), step_size=optax.linear_schedule(0.0, 1.0, 3)), "step_size="),
        (
            lambda: Annealed(
                ReplicaExchange(MALA(0.1), np.array([1.0, 2.0])),
                temperatures=lambda i: jnp.array([1.0, 2.0 + i]),
            ),
            "schedules=temperatures: .*is held",
        ),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_density_stays_where_the_temperature_does():
    steps = Annealed(MALA(0.1), step_size=WARM)
    assert steps.is_invariant
    assert steps.effective_temperature == 1
    cooled = Annealed(Langevin(0.1), temperature=WARM)
    assert not cooled.is_invariant
    assert np.isnan(cooled.effective_temperature)


def test_a_schedule_of_the_temperature_of_an_exact_sampler_is_not_invariant():
    assert not Annealed(Tempered(MALA(0.1), 2.0), temperature=WARM).is_invariant


class Tempered(AbstractWrapper):
    """An exact sampler with a temperature, of which the library has none."""

    sampler: MALA
    temperature: float

    def init(self, energy, x, *, key):
        return self.sampler.init(energy, x, key=key)

    def step(self, energy, x, state, *, key):
        return self.sampler.step(energy, x, state, key=key)
