# %% [markdown]
# # Contrastive divergence or persistent chains?
#
# Three trainings of one network that differ in where chains start: at the data (CD), from noise (short-run), or where
# they were left at the last update (PCD). Then the same question to all: chains from noise, as long as in training and
# ten times as long. Are they like data?

# %%
# %matplotlib inline

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.evaluation import energy_distance
from ebmx.plotting import sample_grid
from ebmx.samplers import Langevin
from ebmx.training import CD, PCD, ShortRun, Trainer, contrastive_loss

key = jax.random.key(0)
digits = ebmx.data.load("digits")
model = ebmx.energies.ConvNet(digits.shape, (32, 64), key=key)
chains = Langevin(step_size=2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
num_steps = 20
methods = {
    "CD": CD(chains, num_steps),
    "short-run": ShortRun(chains, num_steps),
    "PCD": PCD(chains, num_steps, capacity=2048, reinit_prob=0.05),
}


def distance(x):
    """The energy distance to test images, 0 for equal distributions."""
    return energy_distance(np.reshape(x, (len(x), -1)), digits.test.reshape(-1, 64))


# %%
noise = jax.random.uniform(key, (256, *digits.shape), minval=-1, maxval=1)
print(f"distance to test images: noise {distance(noise):.2f}, train {distance(digits.train):.2f}")
found, grids = {}, {}
for name, negatives in methods.items():
    trainer = Trainer(
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3, b1=0.0)),
        negatives,
        eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05)),
        ema_decay=0.95,
        data_noise=0.03,
    )
    batches = ebmx.data.batches(digits.train, 128, key=key)
    state = trainer.init(model, key=key)
    state, history = ebmx.fit(trainer, state, batches, num_steps=300, key=key)
    x = ebmx.sample(state.ema, chains, noise, num_samples=10, thin=num_steps, key=key).values
    found[name] = distance(x[:, 0]), distance(x[:, -1])
    grids[name] = x[:100, -1]
    loss = float(np.mean(history["loss"][-10:]))
    print(
        f"{name:9s} loss {loss:6.3f}; from noise, {num_steps} steps: {found[name][0]:.2f}, "
        f"{10 * num_steps} steps: {found[name][1]:.2f}"
    )

# %% [markdown]
# All three losses are near 0, and say nothing. CD has never seen noise and does not find the way back from it. Short-run
# chains are good for as many steps as they were trained with. Persistent chains stay.

# %%
figure = sample_grid(grids)
figure.savefig("cd_against_pcd.png")
figure
