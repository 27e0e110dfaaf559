"""Energy matching whole: the transport alone has other masses of modes than with chains beside."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ebmx
from ebmx.energies import MLP
from ebmx.samplers import Annealed, Langevin
from ebmx.training import (
    CD,
    GaussianNoise,
    Objective,
    ShortRun,
    SplitNegatives,
    Trainer,
    TransportPairs,
    contrastive_loss,
    transport_matching_loss,
)

KEY = jax.random.key(0)
TEMPERATURE, LEFT, PLACE, SPREAD = 0.25, 0.25, 1.0, 0.3
WARM_UP, NUM_STEPS = 300, 600
GRID = np.linspace(-5, 5, 1001, dtype=np.float32)[:, None]


def batches():
    """A quarter of the data around −1, the others around 1."""
    rng = np.random.default_rng(0)
    while True:
        sign = np.where(rng.uniform(size=64) < LEFT, -1, 1)
        yield (PLACE * sign + SPREAD * rng.normal(size=64)).astype(np.float32)[:, None]


def ramp():
    """Chains of step `dt = 0.025` that are cold to time 1, at step 40, and then warm up."""
    schedule = optax.linear_schedule(0.0, TEMPERATURE, 35, transition_begin=40)
    return Annealed(Langevin(0.05), temperature=schedule)


def density(energy):
    """`exp(-E/T)` on the grid, normalised there."""
    values = np.asarray(jax.jit(jax.vmap(energy))(GRID), np.float64) / TEMPERATURE
    weights = np.exp(values.min() - values)
    return weights / weights.sum()


def trained(num_steps, *objectives):
    optim = optax.adam(optax.cosine_decay_schedule(3e-3, NUM_STEPS, 0.03))
    pairs = TransportPairs(plan="exact")
    trainer = Trainer(optim, pairs, transport_matching_loss, ema_decay=0.99, objectives=objectives)
    state = trainer.init(MLP((1,), (32, 32), key=KEY), key=KEY)
    options = {"num_steps": num_steps, "key": KEY, "progress": False, "log_every": 100}
    return ebmx.fit(trainer, state, batches(), **options)[0].ema


@pytest.mark.slow
def test_chains_bring_the_masses_of_modes_closer_to_the_truth():
    split = SplitNegatives((CD(ramp(), 75), ShortRun(ramp(), 75, GaussianNoise())))
    loss = eqx.Partial(contrastive_loss, trim=jnp.array(0.1), lower_bound=jnp.array(-20.0))
    further = Objective(split, loss, weight=10.0, start=WARM_UP)
    alone, both = trained(NUM_STEPS), trained(NUM_STEPS, further)
    modes = (np.exp(-0.5 * ((GRID[:, 0] - m) / SPREAD) ** 2) for m in (-PLACE, PLACE))
    left, right = (mode / mode.sum() for mode in modes)
    truth = LEFT * left + (1 - LEFT) * right
    masses = [density(energy)[GRID[:, 0] < 0].sum() for energy in (alone, both)]
    distances = [0.5 * np.abs(density(energy) - truth).sum() for energy in (alone, both)]
    # the slopes that carry noise over to a mode are depths of wells to the density
    assert masses[0] < 0.05
    assert 0.1 < masses[1] < 0.3
    assert distances[1] < 0.6 * distances[0]
    # the transport itself has the right masses: noise goes where the plan says
    noise = jax.random.normal(KEY, (2000, 1))
    moved, _ = ebmx.run(alone, Langevin(0.05, temperature=0.0), noise, num_steps=40, key=KEY)
    np.testing.assert_allclose(np.mean(np.asarray(moved) < 0), LEFT, atol=0.08)
