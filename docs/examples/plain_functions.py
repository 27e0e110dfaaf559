# %% [markdown]
# # A plain function, or a module of Flax, as an energy
#
# Wherever the library takes an energy, a function of **one** example does as well. One with parameters, `f(params, x)`, is
# an energy with its parameters beside it: `eqx.Partial(f, params)`. That is a pytree, so that training moves the
# parameters and other parameters run the same compiled program. `Function(…, shape)` adds the shape of one example.

# %%
# %matplotlib inline
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import Function, Gaussian
from ebmx.evaluation import energy_distance, energy_slice
from ebmx.plotting import energy_landscape
from ebmx.samplers import MALA
from ebmx.training import PCD, Trainer, UniformNoise

key = jax.random.key(0)


def init(key, sizes=(2, 64, 64, 1)):
    """Weights and biases in a plain list of dictionaries."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {"w": jax.random.normal(key, (m, n)) / m**0.5, "b": jnp.zeros(n)}
        for key, m, n in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def perceptron(params, x):
    """The energy of one example `(2,)`."""
    *hidden, last = params
    for layer in hidden:
        x = jax.nn.silu(x @ layer["w"] + layer["b"])
    return (x @ last["w"] + last["b"])[0]


network = Function(eqx.Partial(perceptron, init(key)), (2,))
print(network.shape, float(network(jnp.ones(2))))

# %% [markdown]
# ## Do not make a new function in each call
#
# A program is compiled for a function, and a `lambda` that is written in a loop is another function each time: each call
# compiles, for about a second where nothing else runs, and keeps 5 MB of memory. With `eqx.Partial(f, params)`, or
# `jax.tree_util.Partial(f, params)`, the function stays and the numbers change.

# %%
traces = []


def counted(params, x):
    traces.append("Python runs this only where it is traced")
    return perceptron(params, x) + jnp.sum(x**2)


start = jnp.zeros((64, 2))


def five_calls(energies):
    """How often the function was traced, and how long each call took."""
    seconds, before = [], len(traces)
    for energy in energies:
        begin = time.perf_counter()
        jax.block_until_ready(ebmx.run(energy, MALA(0.1), start, num_steps=10, key=key))
        seconds.append(time.perf_counter() - begin)
    return len(traces) - before, seconds


parameters = [init(k) for k in jax.random.split(key, 5)]
partial, quick = five_calls(eqx.Partial(counted, p) for p in parameters)
closure, slow = five_calls((lambda x, p=p: counted(p, x)) for p in parameters)
print("eqx.Partial(f, params): ", partial, "traces,", " ".join(f"{s:.3f}" for s in quick), "s")
print("a closure in each call: ", closure, "traces,", " ".join(f"{s:.3f}" for s in slow), "s")

# %% [markdown]
# ## Training
#
# Nothing else is different. The Gaussian makes the sum a density, since it grows in all directions; it stands beside
# something with parameters, so it is left as it is.

# %%
data = np.asarray(ebmx.energies.exact_samples(ebmx.energies.plane("moons"), 4000, key=key))
negatives = PCD(MALA(0.1), num_steps=10, capacity=1024, noise=UniformNoise(-4.0, 4.0))
trainer = Trainer(optax.adam(2e-3), negatives, ema_decay=0.99, data_noise=0.1)


def train(network, num_steps):
    """The trained energy, and the distance of its samples from the data before and after."""
    state = trainer.init(network + Gaussian(jnp.zeros(2), 9.0), key=key)
    distances = []
    for steps in (1, num_steps):
        batches = ebmx.data.batches(data, 256, key=key)
        state, _ = ebmx.fit(trainer, state, batches, num_steps=steps, key=key)
        noise = jax.random.uniform(key, (1000, 2), minval=-4, maxval=4)
        x, _ = ebmx.run(state.ema, MALA(0.1), noise, num_steps=300, key=key)
        distances.append(float(energy_distance(x, data[:1000])))
    return state.ema, distances


num_steps = 1000
moons, (before, after) = train(network, num_steps)
print(f"energy distance of samples and data: {before:.3f}, trained {after:.3f}")
params = moons.energies[0].function.args[0]
print("trained parameters:", jax.tree.map(jnp.shape, params)[0])

# %% [markdown]
# ## Flax
#
# A module of Flax is a function of its parameters, `net.apply(params, x)`. For `flax.nnx`, `graph, params =
# nnx.split(model)` and `nnx.merge(graph, params)(x)` are the two. Flax is not needed otherwise; without it, this section
# says so.

# %%
try:
    from flax import linen
except ImportError:
    linen = None
    print("Flax is not installed: pip install flax")

if linen is not None:

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            for width in (64, 64):
                x = linen.silu(linen.Dense(width)(x))
            return linen.Dense(1)(x)[0]

    net = Net()
    params = net.init(key, jnp.zeros(2))
    flax_moons, (before, after) = train(Function(eqx.Partial(net.apply, params), (2,)), num_steps)
    print(f"energy distance of samples and data: {before:.3f}, trained {after:.3f}")
    print("trained parameters:", sorted(flax_moons.energies[0].function.args[0]["params"]))

# %%
plane = energy_slice(moons, jnp.zeros(2), tuple(jnp.eye(2)), limits=((-3, 3), (-3, 3)))
figure = energy_landscape(
    plane.a,
    plane.b,
    plane.energies,
    points={"data": data[:300]},
    ceiling=float(plane.energies.min()) + 15,
    names=("x", "y"),
    title="A plain function has learnt two moons",
)
figure.savefig("plain_functions.png")
figure
