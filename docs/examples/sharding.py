# %% [markdown]
# # How do several devices share a training?
#
# Chains and data are cut into parts, each device has all parameters, and the result is the same as on one device. Where
# there is one CPU alone, JAX can pretend that it is four: that shows how it works, not how fast it is.

# %%

import equinox as eqx
import jax

jax.config.update("jax_num_cpu_devices", 4)  # before the first use of JAX

import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, contrastive_loss

key = jax.random.key(0)
num = 4 if len(jax.devices()) >= 4 else 1
mesh = jax.make_mesh((num,), ("data",), devices=jax.devices()[:num])
print(f"{num} devices: {mesh.devices.ravel()[0].platform}")

# %% [markdown]
# `num_shards` cuts the buffer into blocks, of which an update draws alike. It decides what is drawn; the devices, which
# have to divide it, do not.

# %%
digits = ebmx.data.load("digits")
model = ebmx.energies.ConvNet(digits.shape, (16, 32), key=key)
chains = Langevin(step_size=2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
trainer = Trainer(
    optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3, b1=0.0)),
    PCD(chains, num_steps=10, capacity=2048, reinit_prob=0.05, num_shards=4),
    eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05)),
)
num_steps = 100


def train(mesh):
    state = trainer.init(model, key=key)
    batches = ebmx.data.batches(digits.train, 128, key=key)
    return ebmx.fit(trainer, state, batches, num_steps=num_steps, key=key, mesh=mesh)


alone, history = train(None)
shared, shared_history = train(mesh)


# %%
def largest_difference(a, b):
    """Of all numbers in two trees, wherever they are."""
    leaves = zip(
        *(jax.tree.leaves(eqx.filter(t, eqx.is_inexact_array)) for t in (a, b)), strict=True
    )
    return max(float(np.max(np.abs(np.asarray(x) - np.asarray(y)))) for x, y in leaves)


difference = largest_difference(alone.energy, shared.energy)
print(f"after {num_steps} updates the parameters differ by {difference:.1e}")
print(f"loss {history['loss'][-1]:.5f} alone, {shared_history['loss'][-1]:.5f} shared")

positions = shared.negatives_state.positions
parts = [shard.data.shape for shard in positions.addressable_shards]
print(f"the buffer {positions.shape} in parts {parts}")

# %% [markdown]
# ## Chains alone
#
# `ebmx.sample` takes a mesh too: each device moves its own chains.

# %%
start = jax.random.uniform(key, (64, *digits.shape), minval=-1, maxval=1)
options = {"num_samples": 2, "thin": 10, "key": key}
one = ebmx.sample(alone.ema, chains, start, **options)
four = ebmx.sample(alone.ema, chains, start, mesh=mesh, **options)
print("the same samples, on", len(four.x.sharding.device_set), "devices")
