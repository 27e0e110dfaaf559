# %% [markdown]
# # Symptoms and their cures
#
# Each symptom of the page on troubleshooting made on purpose, with the metric that shows it, and cured: the number before,
# and after. The network is a small perceptron on the 8×8 digits.

# %%
# %matplotlib inline

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import MLP, GaussianMixture, Uniform
from ebmx.plotting import training_curves
from ebmx.samplers import MALA, Cycle, Independence, Langevin, warmup
from ebmx.training import PCD, Trainer, UInt8, UniformNoise, contrastive_loss

key = jax.random.key(0)
digits = ebmx.data.load("digits")
good_chains = Langevin(step_size=2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
clipped_adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3, b1=0.0))


def train(chains=good_chains, optim=clipped_adam, alpha=0.05, num_steps=20, updates=60, **options):
    """The metrics of a short training: as it should be, but for what is given."""
    options = {"capacity": 1024, "reinit_prob": 0.05} | options
    loss = eqx.Partial(contrastive_loss, alpha=jnp.asarray(alpha))
    trainer = Trainer(optim, PCD(chains, num_steps, **options), loss, data_noise=0.03)
    state = trainer.init(MLP(digits.shape, (64, 64), key=key), key=key)
    batches = ebmx.data.batches(digits.train, 128, key=key)
    return ebmx.fit(trainer, state, batches, num_steps=updates, key=key)[1]


def say(metric, before, after):
    print(f"{metric}: {before:.3g}, cured {after:.3g}")


healthy = train()

# %% [markdown]
# ## Energies run away together
#
# Nothing holds the level of the energies: an added constant changes no sample, and a large learning rate sends it
# anywhere. `alpha` pulls it to 0.

# %%
wild = optax.adam(0.3, b1=0.0)
histories = (train(alpha=0.0, optim=wild), train(alpha=0.05, optim=wild), healthy)
sizes = [float(np.abs(history["real_energy_mean"]).max()) for history in histories]
say("largest mean energy of data, by alpha", *sizes[:2])
say("largest mean energy of data, by a smaller rate too", sizes[0], sizes[2])

# %% [markdown]
# ## The energy of chains does not follow that of data
#
# Chains of one small step lag behind an energy that sinks at the data: the gap grows. More steps, or larger ones.

# %%
slow = train(Langevin(step_size=0.05, noise_scale=0.02, bounds=(-1, 1)), num_steps=1)
gap = [np.mean((h["fake_energy_mean"] - h["real_energy_mean"])[-10:]) for h in (slow, healthy)]
say("gap between chains and data", *gap)

# %% [markdown]
# ## Samples are black and white
#
# Steps that are too large for the slope jump from bound to bound.

# %%
large = train(Langevin(step_size=3000.0, noise_scale=0.02, bounds=(-1, 1)))
saturated = [np.mean(h["saturated"][-10:]) for h in (large, healthy)]
say("share of pixels at the bounds", *saturated)

# %% [markdown]
# ## All samples are alike
#
# Without noise and restarts chains fall into one corner of the box. Noise, and restarts, tell them apart.

# %%
cold = Langevin(step_size=3000.0, noise_scale=0.0, bounds=(-1, 1))
distinct = [train(cold, reinit_prob=0.0)["distinct"][-1], healthy["distinct"][-1]]
say("share of different chains", *distinct)

# %% [markdown]
# ## Chains do not move
#
# `MALA` rejects steps that are too large, and hardly moves by small ones. `warmup` finds the step size.

# %%
means = jnp.array([[-2.0, 0.0], [2.0, 0.0]])
wells = GaussianMixture(means, 0.4, weights=jnp.array([0.2, 0.8]))
start = jnp.tile(means[:1], (500, 1))
stuck = ebmx.run(wells, MALA(30.0), start, num_steps=100, key=key)[1].acceptance.mean()
tuned, moved = warmup(wells, MALA(30.0), start, num_steps=300, key=key)
found = ebmx.run(wells, tuned, moved, num_steps=100, key=key)[1].acceptance.mean()
say("acceptance", stuck, found)

# %% [markdown]
# ## Modes have wrong shares
#
# All chains start in the left well, which has a fifth of the mass. Local moves never leave it; jumps do.

# %%
jumps = Cycle((tuned, Independence(Uniform(jnp.full(2, -4.0), jnp.full(2, 4.0)))))
shares = []
for sampler in (tuned, jumps):
    x, _ = ebmx.run(wells, sampler, start, num_steps=500, key=key)
    shares.append(float(jnp.mean(x[:, 0] > 0)))
say("share of the right well, 0.8 in truth", *shares)

# %% [markdown]
# ## Updates are skipped
#
# A learning rate that throws parameters to where nothing is finite: each such update is skipped and counted. A smaller
# rate, and a clipped gradient.

# %%
skipped = [train(optim=optax.sgd(1e30))["skipped"][-1], healthy["skipped"][-1]]
say("updates skipped of 60", *skipped)

# %% [markdown]
# ## Chains die
#
# On an energy that is steeper than a parabola, unadjusted steps overshoot further each time. A smaller step, `bounds` or a
# `grad_clip`.


# %%
def quartic(x):
    return jnp.sum(x**4)


wide = 3 * jax.random.normal(key, (500, 2))
dead = []
for sampler in (Langevin(0.2), Langevin(0.2, grad_clip=3.0), Langevin(0.001)):
    samples = ebmx.sample(quartic, sampler, wide, num_samples=100, throw=False, key=key)
    dead.append(float(jnp.mean(samples.result != 0)))
say("share of dead chains, with a clip", *dead[:2])
say("share of dead chains, with a smaller step", dead[0], dead[2])

# %% [markdown]
# ## Rubbish after many steps
#
# The model is a sampler and no density: [long_run.py](long_run.py) shows it, and what helps.
#
# ## Each update is slow
#
# Arithmetic is counted, not timed, so that it is the same everywhere: a network that strides early has less of it, and
# so have fewer steps of the chains.


# %%
def flops(strides):
    energy = ebmx.energies.ConvNet((28, 28, 1), (32, 64), strides=strides, key=key)
    x = jnp.zeros((16, 28, 28, 1))
    scores = eqx.filter_jit(lambda energy, x: ebmx.score(energy, x))
    return scores.lower(energy, x).compile().compiled.cost_analysis()["flops"]


late, early = flops((1, 2)), flops((2, 2))
say("floating-point operations of a step", late, early)

# %% [markdown]
# ## It compiles again and again
#
# A function that is made anew is another function to JAX. Make it once and put what changes into arrays; numbers of
# samplers are arrays already.

# %%
traces = []


def energy_of(width):
    def energy(x):
        traces.append(width)
        return jnp.sum((x / width) ** 2)

    return energy


x = jnp.zeros((10, 2))
for width in (1.0, 2.0, 3.0):
    ebmx.run(energy_of(width), Langevin(0.1), x, num_steps=5, key=key)
anew, once = len(traces), energy_of(1.0)
traces.clear()
for width in (1.0, 2.0, 3.0):
    ebmx.run(once, Langevin(0.1, temperature=width**2), x, num_steps=5, key=key)
say("traces of the energy in three runs", anew, len(traces))

# %% [markdown]
# ## Out of memory
#
# Persistent chains as bytes take a quarter.

# %%
sizes = []
for storage in (None, UInt8(-1, 1)):
    pcd = PCD(good_chains, 20, capacity=1000, noise=UniformNoise(), storage=storage)
    sizes.append(pcd.init((32, 32, 3), key=key).positions.nbytes / 1e6)
say("megabytes of the buffer", *sizes)

# %%
shown = {"gap, chains lag": slow["fake_energy_mean"] - slow["real_energy_mean"]}
shown["gap, cured"] = healthy["fake_energy_mean"] - healthy["real_energy_mean"]
figure = training_curves(shown, title="The energy of chains over that of data")
figure.savefig("troubleshooting.png")
figure
