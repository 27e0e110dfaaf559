"""Hyper-parameters that follow schedules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ebmx.samplers import MALA, Geometric, Langevin, Linear, ReplicaExchange, annealed, run, sample

X = np.zeros((2, 1), np.float32)


def slope(x):
    return 2.0 * jnp.sum(x)


def quartic(x):
    return jnp.sum(x**4)


def step_sizes(schedule, num_steps, key):
    """What each step took: without noise a step goes down by the step size."""
    sampler = annealed(Langevin(1.0, temperature=0.0), step_size=schedule)
    values = np.asarray(sample(slope, sampler, X, num_samples=num_steps, key=key).values)[0, :, 0]
    return -np.diff(np.concatenate([[0.0], values]))


@pytest.mark.parametrize("schedule", [Linear(1.0, 0.2, 4), Geometric(1.0, 0.01, 4)])
def test_schedules_go_from_start_to_end_and_stay(schedule, getkey):
    share = np.array([0, 0.25, 0.5, 0.75, 1, 1, 1])
    linear = 1.0 + share * (0.2 - 1.0)
    want = linear if isinstance(schedule, Linear) else 0.01**share
    np.testing.assert_allclose(jax.jit(jax.vmap(schedule))(np.arange(7)), want, rtol=1e-5)
    np.testing.assert_allclose(step_sizes(schedule, 7, getkey()), want, rtol=1e-4, atol=1e-5)


def test_schedules_of_optax_will_do(getkey):
    schedule = optax.exponential_decay(1.0, 1, 0.5)
    np.testing.assert_allclose(step_sizes(schedule, 3, getkey()), [1.0, 0.5, 0.25], rtol=1e-4)


def test_a_constant_schedule_is_no_schedule(getkey):
    x, key = np.ones((4, 2), np.float32), getkey()
    for plain, kind in ((Langevin(0.1, temperature=0.5), {"temperature": Linear(0.5, 0.5, 3)}),
                        (MALA(0.1), {"step_size": Geometric(0.1, 0.1, 3)})):  # fmt: skip
        one, _ = run(quartic, plain, x, num_steps=5, key=key)
        base = type(plain)(0.1)
        other, _ = run(quartic, annealed(base, **kind), x, num_steps=5, key=key)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_two_schedules_at_once(getkey):
    sampler = annealed(
        Langevin(1.0, noise_scale=1.0), step_size=Linear(1.0, 0.5, 1), noise_scale=lambda step: 0.0
    )
    x, _ = run(slope, sampler, X, num_steps=3, key=getkey())
    np.testing.assert_allclose(x, np.full((2, 1), -2.0), rtol=1e-5)


def test_numbers_of_schedules_can_be_swept(getkey):
    traces = []

    def energy(x):
        traces.append(None)
        return jnp.sum(x**2)

    def move(schedule, name):
        sampler = annealed(Langevin(0.1), **{name: schedule})
        run(energy, sampler, X, num_steps=3, key=getkey())
        return len(traces)

    for kind in (Linear, Geometric):
        count = move(kind(1.0, 0.1, 10), "temperature")
        assert move(kind(0.5, 0.2, 20), "temperature") == count


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: annealed(Langevin(0.1), heat=Linear(1.0, 0.0, 3)), "schedules=heat: Langevin has"),
        (lambda: annealed(Langevin(0.1), temperature=0.5), r"temperature=0\.5: give a function"),
        (
            lambda: annealed(Langevin(0.1, noise_scale=0.1), temperature=Linear(1.0, 0.5, 3)),
            "schedules=.*a noise scale sets the temperature",
        ),
        (
            lambda: annealed(
                Langevin(0.1), temperature=Linear(1.0, 0.5, 3), noise_scale=Linear(1.0, 0.5, 3)
            ),
            "schedules=.*noise_scale.*temperature",
        ),
        (lambda: annealed(MALA(0.1), step_size=Linear(0.0, 1.0, 3)), "step_size="),
        (
            lambda: annealed(
                ReplicaExchange(MALA(0.1), np.array([1.0, 2.0])),
                temperatures=lambda i: jnp.array([1.0, 2.0 + i]),
            ),
            "schedules=temperatures: .*is held",
        ),
        (lambda: Linear(1.0, 0.0, 0), "num_steps=0"),
        (lambda: Geometric(0.0, 1.0, 2), "start="),
        (lambda: Geometric(1.0, 0.0, 2), "end="),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
