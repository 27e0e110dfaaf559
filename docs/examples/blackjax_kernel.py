# %% [markdown]
# # How to use a kernel of BlackJAX that ebmx does not name?
#
# `BlackJAX(init, kernel, **parameters)` makes a sampler of any kernel in BlackJAX's form. Here multinomial HMC, which
# draws the next state from its whole trajectory: first on a density with known moments, then as the chains of a training.

# %%
# %matplotlib inline

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import MLP, Gaussian
from ebmx.evaluation import diagnose, energy_distance, energy_slice
from ebmx.plotting import energy_landscape
from ebmx.samplers import BlackJAX
from ebmx.training import PCD, Trainer, UniformNoise

key = jax.random.key(0)


def multinomial_hmc(step_size):
    """A new step size does not compile again: floating-point parameters are arrays."""
    return BlackJAX(
        blackjax.multinomial_hmc.init,
        blackjax.multinomial_hmc.build_kernel(),
        step_size=step_size,
        inverse_mass_matrix=jnp.ones(2),
        num_integration_steps=4,
    )


# %%
covariance = jnp.array([[2.0, 1.2], [1.2, 1.0]])
tilted = Gaussian(jnp.zeros(2), covariance)
start = 2 * jax.random.normal(key, (256, 2))
for step_size in (0.02, 0.5):
    options = {"num_warmup": 100, "num_samples": 200, "thin": 5, "key": key}
    samples = ebmx.sample(tilted, multinomial_hmc(step_size), start, **options)
    found = np.cov(samples.values.reshape(-1, 2).T)
    rhat = diagnose(samples, warn=False).rhat.max()
    print(
        f"step {step_size}: variances {found[0, 0]:.2f} (2), {found[1, 1]:.2f} (1), "
        f"covariance {found[0, 1]:.2f} (1.2), R-hat {rhat:.3f}"
    )

# %% [markdown]
# A kernel's state caches the energy it was made with. So it lives within one update, and the replay buffer keeps positions
# alone: nothing has to be done for it. A kernel whose state cannot be made from a position, such as `ghmc`, whose momentum
# stays, is for `sample`; `PCD` refuses it.

# %%
data = np.asarray(ebmx.energies.exact_samples(ebmx.energies.plane("moons"), 4000, key=key))
model = MLP((2,), (64, 64), key=key) + Gaussian(jnp.zeros(2), 9.0)
negatives = PCD(multinomial_hmc(0.2), num_steps=10, capacity=1024, noise=UniformNoise(-4.0, 4.0))
trainer = Trainer(optax.adam(2e-3), negatives, ema_decay=0.99, data_noise=0.1)
state = trainer.init(model, key=key)
batches = ebmx.data.batches(data, 256, key=key)
state, history = ebmx.fit(trainer, state, batches, num_steps=1500, key=key)


def distance(energy):
    samples = ebmx.run(energy, multinomial_hmc(0.2), start, num_steps=500, key=key)[0]
    return samples, energy_distance(samples, data)


_, before = distance(model)
samples, after = distance(state.ema)
print(f"energy distance of samples to the data: untrained {before:.3f}, trained {after:.3f}")
print(f"acceptance in training {history['acceptance'][-50:].mean():.2f}")

# %%
plane = energy_slice(
    state.ema,
    jnp.zeros(2),
    (jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])),
    limits=((-4, 4), (-4, 4)),
)
figure = energy_landscape(
    plane.a,
    plane.b,
    plane.energies,
    points={"data": data[:200], "samples": samples},
    ceiling=float(plane.energies.min()) + 10,
    names=("x", "y"),
    title="Trained with multinomial HMC",
)
figure.savefig("blackjax_kernel.png")
figure
