# %% [markdown]
# # Which network, which activation?
#
# The same training for several energies: persistent chains on the 8×8 digits. A smooth activation gives scores without
# jumps; spectral norm bounds how steep the energy can be; layer norm in residual blocks keeps features in range. All of
# them learn such small images; what differs is the time.

# %%
# %matplotlib inline
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import MLP, ConvNet, ResNet, SpectralNorm, freeze
from ebmx.evaluation import energy_distance
from ebmx.plotting import sample_grid
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, contrastive_loss

key = jax.random.key(0)
digits = ebmx.data.load("digits")
shape = digits.shape

plain = {
    "perceptron, silu": MLP(shape, (256, 128), key=key),
    "convolutions, silu": ConvNet(shape, (32, 64), key=key),
    "convolutions, relu": ConvNet(shape, (32, 64), activation="relu", key=key),
    "convolutions, tanh": ConvNet(shape, (32, 64), activation="tanh", key=key),
    "residual, layer norm": ResNet(shape, (16, 32), norm="layer", key=key),
}
energies = {name: (energy, None) for name, energy in plain.items()}
normed = eqx.nn.make_with_state(SpectralNorm)(plain["convolutions, silu"], key=key)
energies["convolutions, spectral norm"] = normed

# %%
chains = Langevin(step_size=2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
trainer = Trainer(
    optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3, b1=0.0)),
    PCD(chains, num_steps=20, capacity=2048, reinit_prob=0.05),
    eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05)),
    ema_decay=0.95,
    data_noise=0.03,
)
num_steps = 150


def distance(x):
    """The energy distance to test images, 0 for equal distributions."""
    return energy_distance(np.reshape(x, (len(x), -1)), digits.test.reshape(-1, 64))


noise = jax.random.uniform(key, (512, *shape), minval=-1, maxval=1)
print(f"{'noise':28s} distance to the data {distance(noise):.2f}")
grids = {}
for name, (energy, norm_state) in energies.items():
    state = trainer.init(energy, norm_state, key=key)
    batches = ebmx.data.batches(digits.train, 128, key=key)
    state, _ = ebmx.fit(trainer, state, batches, num_steps=2, key=key)  # compiles
    begin = time.monotonic()
    state, history = ebmx.fit(trainer, state, batches, num_steps=num_steps, key=key)
    milliseconds = 1000 * (time.monotonic() - begin) / num_steps
    samples = state.negatives_state.draw(512, key=key).x
    grids[name] = samples[:100]
    size = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(energy, eqx.is_inexact_array)))
    found = distance(samples)
    print(
        f"{name:28s} distance {found:5.2f}, {size:7,} parameters, {milliseconds:4.0f} ms an update"
    )
    fixed = freeze(state.ema, state.norm_state)
    told = ebmx.energy(fixed, digits.test).mean() < ebmx.energy(fixed, noise).mean()

# %%
figure = sample_grid(dict(list(grids.items())[:3]))
figure.savefig("architectures.png")
figure
