# %% [markdown]
# # How do energies combine?
#
# Energies add where densities multiply: `a + b` is "a and b". `Mixture` is "a or b", a weight is a temperature, a minus
# is "not", and a plain function is a constraint. First where the result is known exactly, then with a learnt density.

# %%
# %matplotlib inline

import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import MLP, Box, Function, Gaussian, Mixture
from ebmx.evaluation import energy_distance, energy_slice
from ebmx.plotting import energy_landscape
from ebmx.samplers import MALA
from ebmx.training import PCD, Trainer, UniformNoise

key = jax.random.key(0)
start = jax.random.normal(key, (2000, 2))


def moments(energy):
    x, _ = ebmx.run(energy, MALA(0.3), start, num_steps=500, key=key)
    return np.asarray(x.mean(0)), np.asarray(x.var(0))


left, right = Gaussian(jnp.array([-1.0, 0.0])), Gaussian(jnp.array([1.0, 0.0]))
cases = {
    "and: left + right": (left + right, (0.0, 0.0), (0.5, 0.5)),
    "colder: left / 0.5": (left / 0.5, (-1.0, 0.0), (0.5, 0.5)),
    "not: left - 0.2 right": (left - 0.2 * right, (-1.5, 0.0), (1.25, 1.25)),
    "or: mixture": (Mixture((left, right), weights=jnp.array([0.3, 0.7])), (0.4, 0.0), (1.84, 1.0)),
}
for name, (energy, mean, variance) in cases.items():
    found = moments(energy)
    words = [f"{x:.2f}" for x in np.concatenate(found)]
    print(f"{name:22s} mean, variance {', '.join(words)}; exact {(*mean, *variance)}")

# %% [markdown]
# ## With a learnt energy
#
# A network learns two moons. A constraint that it has never seen, the upper half, is added afterwards: no training.

# %%
data = np.asarray(ebmx.energies.exact_samples(ebmx.energies.plane("moons"), 4000, key=key))
model = MLP((2,), (64, 64), key=key) + Gaussian(jnp.zeros(2), 9.0)
negatives = PCD(MALA(0.1), num_steps=10, capacity=1024, noise=UniformNoise(-4.0, 4.0))
trainer = Trainer(optax.adam(2e-3), negatives, ema_decay=0.99, data_noise=0.1)
state = trainer.init(model, key=key)
batches = ebmx.data.batches(data, 256, key=key)
state, _ = ebmx.fit(trainer, state, batches, num_steps=1500, key=key)
moons = state.ema

upper = Function(lambda x: 20.0 * jax.nn.relu(0.3 - x[1]), shape=(2,))
both = Box(moons + upper, low=-5.0, high=5.0)
samples, _ = ebmx.run(both, MALA(0.1), start, num_steps=1000, key=key)
wanted = data[data[:, 1] > 0.3]
distances = energy_distance(samples, wanted), energy_distance(data, wanted)
above = [float(np.mean(np.asarray(x)[:, 1] > 0.2)) for x in (samples, data)]
print(f"above 0.2 are {above[0]:.0%} of the samples, {above[1]:.0%} of the data")
print(f"distance to the data above: samples {distances[0]:.3f}, all data {distances[1]:.3f}")

# %%
axes = (jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
plane = energy_slice(both, jnp.zeros(2), axes, limits=((-4, 4), (-3, 3)))
figure = energy_landscape(
    plane.a,
    plane.b,
    plane.energies,
    points={"data of the moons": data[:300], "samples of both": samples[:300]},
    ceiling=float(plane.energies.min()) + 15,
    names=("x", "y"),
    title="Two moons, and above 0.3",
)
figure.savefig("composition.png")
figure
