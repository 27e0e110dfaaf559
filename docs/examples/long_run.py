# %% [markdown]
# # What do long chains do?
#
# A model may be a good sampler for as many steps as it was trained with, and no density: its chains go on to places
# where no data are. `drift` walks from data for long and looks. We compare a training with short chains from noise and one
# with persistent chains.

# %%
# %matplotlib inline

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.evaluation import drift
from ebmx.plotting import chain_traces, sample_grid
from ebmx.samplers import Langevin
from ebmx.training import PCD, ShortRun, Trainer, contrastive_loss

key = jax.random.key(0)
digits = ebmx.data.load("digits")
model = ebmx.energies.ConvNet(digits.shape, (32, 64), key=key)
chains = Langevin(step_size=2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
methods = {
    "short-run": ShortRun(chains, 20),
    "persistent": PCD(chains, 20, capacity=2048, reinit_prob=0.02),
}

# %%
start = jnp.asarray(digits.test[:128])
long = 5_000
walks = {}
for name, negatives in methods.items():
    trainer = Trainer(
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3, b1=0.0)),
        negatives,
        eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05)),
        ema_decay=0.95,
        data_noise=0.03,
    )
    state = trainer.init(model, key=key)
    batches = ebmx.data.batches(digits.train, 128, key=key)
    state, _ = ebmx.fit(trainer, state, batches, num_steps=300, key=key)
    walk = drift(state.ema, chains, start, num_steps=long, num_records=6, bounds=(-1, 1), key=key)
    walks[name] = walk
    print(f"{name}: Fréchet distance from the start (in pixels), by steps")
    for step, distance, saturated in zip(walk.steps, walk.distances, walk.saturation, strict=True):
        print(f"  {step:6d} {abs(distance):8.2f}, {saturated:.0%} of the pixels black or white")

# %% [markdown]
# The persistent chains drift too, since they are cold: of `exp(-E/T)` with a tiny `T` only the lowest minima are left. But
# they stay much nearer. For a density, train at `T = 1`: `benchmarks/convergent.py` does.

# %%
ends = {name: float(walk.distances[-1]) for name, walk in walks.items()}
times = walks["persistent"].steps
figure = chain_traces(
    {f"{name}: distance": walk.distances for name, walk in walks.items()},
    steps=times,
    title="Distance from where the chains started",
)
figure.savefig("long_run-distance.png")
figure

# %%
grids = {"start": start[:100]} | {f"{n}, {long} steps": w.x[:100] for n, w in walks.items()}
figure = sample_grid({name: np.asarray(x) for name, x in grids.items()})
figure.savefig("long_run.png")
figure
