# %% [markdown]
# # A simple energy-based model
#
# From an untrained energy to sampled digits, in nine sections. All of it runs on a laptop without a network, in two
# minutes, most of which is compilation. As a program it writes its pictures into the folder where it is started.

# %%
# %matplotlib inline

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.evaluation import energy_distance

key = jax.random.key(0)
digits = ebmx.data.load("digits")  # 1,797 real digits of 8×8 pixels in [-1, 1], part of the package
print(digits.train.shape, digits.test.shape)


# %% [markdown]
# ## 1. An energy in one line
#
# A model is a function from **one** image to one number. `ebmx.energies.mnist` makes one for 28×28 pixels: three
# convolutions and a linear layer. The digits are enlarged to fit it here; where we train, they stay as they are.

# %%
model = ebmx.energies.mnist(key=key)
images = jax.image.resize(jnp.asarray(digits.test[:32]), (32, 28, 28, 1), "linear")
parameters = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
number = eqx.filter_jit(model)(images[0])
print(f"one number for an image: {number:.4f}, from {parameters:,} parameters")

# %% [markdown]
# ## 2. Energies, densities, scores
#
# `p(x) = exp(-E(x)) / Z`: low energy, likely image. `Z` is unknown, but drops out of every comparison of two images. The
# score, `∇ log p(x) = -∇E(x)`, says in which direction an image becomes more likely; it is all that a sampler needs.

# %%
energies = ebmx.energy(model, images)
scores = ebmx.score(model, images)
print("energies", energies.shape, "nats; scores", scores.shape)
best, worst = int(energies.argmin()), int(energies.argmax())
odds = jnp.exp(energies[worst] - energies[best])
print(f"image {best} is {odds:.3f} times as likely as image {worst}: untrained, it hardly tells")

step = 1e-2 * scores / jnp.linalg.norm(scores.reshape(32, -1), axis=1)[:, None, None, None]

# %% [markdown]
# ## 3. Sampling
#
# Langevin dynamics follows the score and adds noise: `x ← x − (ε/2) ∇E(x) + √(εT) ξ`. `step_size` is `ε`; `temperature`
# is `T`, and the chain samples `exp(-E/T)`. The first steps, the burn-in, still remember the start: `num_warmup`
# drops them. Here we keep them at first, to look at the trajectory.
#
# An untrained network alone is nearly flat. We add a Gaussian, so that there is something to check: its 784 coordinates
# have a mean energy of 392 nats at `T = 1`, and half of that at half the temperature.

# %%
from ebmx.energies import Gaussian
from ebmx.plotting import chain_traces
from ebmx.samplers import HMC, MALA, Langevin, save_position_and_energy

confined = model + Gaussian(jnp.zeros(model.shape))
start = jnp.zeros((16, *model.shape))  # 16 chains


def walk_of(sampler):
    """Positions and energies of all 200 steps."""
    options = {"num_samples": 200, "save": save_position_and_energy, "key": key}
    return ebmx.sample(confined, sampler, start, **options)


walk = walk_of(Langevin(step_size=0.1))
trajectory, energies = walk.values["x"], walk.values["energy"]
print("trajectory (chains, steps, *shape):", trajectory.shape)
figure = chain_traces(
    {"energy, nats": energies[:6], "one pixel": trajectory[:6, :, 14, 14, 0]},
    title="Burn-in: from all grey to the density's typical energy",
)
figure.savefig("simple_ebm-trajectory.png")
figure

# %% [markdown]
# A larger step arrives sooner and is less exact: nothing corrects it. `MALA` and `HMC` accept or reject their moves, so
# that any step size is exact. Swapping in another sampler changes one word.

# %%
samplers = {
    "Langevin, step 0.01": Langevin(step_size=0.01),
    "Langevin, step 0.1": Langevin(step_size=0.1),
    "Langevin, step 1": Langevin(step_size=1.0),
    "Langevin, T = 0.5": Langevin(step_size=0.1, temperature=0.5),
    "MALA": MALA(step_size=0.1),
    "HMC": HMC(step_size=0.2, num_integration_steps=5),
}
found = {}
for name, sampler in samplers.items():
    walk = walk_of(sampler)
    found[name] = float(walk.values["energy"][:, 150:].mean())  # without 150 steps of burn-in
    print(f"{name:20s} energy {found[name]:6.1f}, accepted {walk.info.acceptance.mean():.2f}")

# %% [markdown]
# Recipes for images part the noise from the step: `Langevin(step_size=0.01, noise_scale=0.005)`. Such a chain is cold.
# It samples `exp(-E/T)` at the temperature it says, and is a good maker of images, but not a sampler of `exp(-E)`.

# %%
cold = Langevin(step_size=0.01, noise_scale=0.005)
noise = jax.random.normal(key, (16, *model.shape))
options = {"num_warmup": 50, "num_samples": 10, "thin": 5, "key": key}
images_from_noise = ebmx.sample(model, cold, noise, **options)
print(f"{images_from_noise.values.shape} at T = {cold.effective_temperature:.4f}")

# %% [markdown]
# ## 4. The same, declared
#
# A config is constructor calls in nested tables: `kind` names a class, the other keys are its arguments. It goes to TOML
# and back without loss, it is checked as a whole, and it makes the very objects of the other sections. A recipe is a config
# to begin from. `ebmx train --config FILE` runs it.

# %%
from ebmx.config import build, merge, recipe, show_config, write_config

config = merge(
    recipe("digits"),
    {
        "num_steps": 1000,
        "data": {"batch_size": 64},
        "energy": {"kind": "MLP", "hidden_dims": [256, 128], "activation": "swish"},
        "negatives": {"num_steps": 60, "capacity": 10_000},
    },
)
write_config("simple_ebm.toml", config)
declared = build(config["energy"], {"shape": digits.shape, "key": key}, path="energy")
print(f"{type(declared).__name__} of {sum(map(np.size, jax.tree.leaves(declared))):,} parameters")
print(build(config["sampler"], path="sampler"))
print(show_config(config)[:400], "…")
try:
    ebmx.runs.check(merge(config, {"negatives": {"kind": "CD", "capacity": 10_000}}))
except ValueError as error:
    print("refused:", error)

# %% [markdown]
# ## 5. Contrastive divergence
#
# Training lowers the energy of data and raises it where the model's own samples are. Contrastive divergence starts these
# chains at the data. The report of an update holds the loss and both energies; the loss is near 0 for a good model *and*
# for an untrained one, so look at the samples. Chains that saw nothing but data have learnt what is near data: they
# clean noisy digits.

# %%
from ebmx.training import CD, PCD, Trainer, contrastive_loss

cd_model = ebmx.energies.ConvNet(digits.shape, channels=(32, 64), key=key)
chains = Langevin(step_size=2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
loss = eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05))  # alpha keeps energies near 0
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3, b1=0.0))
cd = Trainer(optim, CD(chains, num_steps=10), loss, ema_decay=0.95, data_noise=0.03)

batches = ebmx.data.batches(digits.train, 128, key=key)
cd_state, report = ebmx.fit(cd, cd.init(cd_model, key=key), batches, num_steps=1, key=key)
for name in ("loss", "real_energy_mean", "fake_energy_mean"):
    print(f"{name:17s} {report[name][0]: .4f}")
cd_state, _ = ebmx.fit(cd, cd_state, batches, num_steps=300, key=key)

clean = jnp.asarray(digits.test[:256])
noisy = jnp.clip(clean + 0.5 * jax.random.normal(key, clean.shape), -1, 1)


def error_after(energy):
    cleaned, _ = ebmx.run(energy, chains, noisy, num_steps=10, key=key)
    return float(jnp.sqrt(jnp.mean((cleaned - clean) ** 2)))


print(f"error of noisy digits {jnp.sqrt(jnp.mean((noisy - clean) ** 2)):.3f}", end=", ")
print(f"cleaned before {error_after(cd_model):.3f}, after training {error_after(cd_state.ema):.3f}")

# %% [markdown]
# ## 6. Persistent contrastive divergence
#
# Chains that go on from update to update forget where they started. They live in a buffer of 10,000; an update draws a
# batch of them, starts 5 % anew from noise, moves the rest on and writes them back.

# %%
pcd = Trainer(
    optim,
    PCD(chains, num_steps=20, capacity=10_000, reinit_prob=0.05),
    loss,
    ema_decay=0.95,
    data_noise=0.03,
)
state = pcd.init(cd_model, key=key)
batches = ebmx.data.batches(digits.train, 256, key=key)
state, history = ebmx.fit(pcd, state, batches, num_steps=400, key=key)
buffer = state.negatives_state
print(f"{buffer.capacity:,} chains, drawn {buffer.ages.mean():.1f} times each since they started")

from_noise = jax.random.uniform(key, (256, *digits.shape), minval=-1, maxval=1)


def samples_of(energy):
    return ebmx.run(energy, chains, from_noise, num_steps=100, key=key)[0]


def distance(x):
    """The energy distance to test images, 0 for equal distributions."""
    return energy_distance(np.reshape(x, (len(x), -1)), digits.test.reshape(-1, 64))


before, after = samples_of(cd_model), samples_of(state.ema)
print(
    f"distance to test images: noise {distance(from_noise):.2f}, untrained {distance(before):.2f}"
)
print(
    f"after CD {distance(samples_of(cd_state.ema)):.2f}, after PCD {distance(after):.2f}", end=", "
)
print(f"training images {distance(digits.train):.2f}")

# %% [markdown]
# ## 7. A deep energy
#
# Residual blocks of 32, 64 and 128 channels for 32×32×3 pixels, with spectral norm, which bounds how steep each layer
# can be. The norm keeps a state beside the parameters, which moves on the data of an update. Chains are kept as bytes, a
# quarter of the memory. The data here are enlarged digits, each in a colour of its own; a few updates already turn
# grey noise into something as dark and as coloured as they are.

# %%
from ebmx.training import UInt8

deep, norm_state = ebmx.energies.deep(key=key)  # ResNet((32, 32, 3), (32, 64, 128)), SpectralNorm
hue = jax.random.uniform(key, (512, 1, 1, 3), minval=0.2, maxval=1.0)
large = jax.image.resize(jnp.asarray(digits.train[:512]), (512, 32, 32, 1), "linear")
coloured = np.asarray((large + 1) * hue - 1)

deep_chains = Langevin(step_size=20.0, noise_scale=0.01, grad_clip=0.05, bounds=(-1, 1))
negatives = PCD(deep_chains, num_steps=10, capacity=8192, reinit_prob=0.05, storage=UInt8(-1, 1))
deep_trainer = Trainer(
    optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3, b1=0.0)), negatives, loss, 0.9
)
deep_state = deep_trainer.init(deep, norm_state, key=key)
batches = ebmx.data.batches(coloured, 8, key=key)
deep_state, _ = ebmx.fit(deep_trainer, deep_state, batches, num_steps=60, key=key)

grey = jax.random.uniform(key, (16, 32, 32, 3), minval=-1, maxval=1)


def deep_distance(energy, norm):
    x, _ = ebmx.run(ebmx.energies.freeze(energy, norm), deep_chains, grey, num_steps=10, key=key)
    return energy_distance(x.reshape(16, -1), coloured[:256].reshape(256, -1))


untrained = deep_distance(deep, norm_state)
trained = deep_distance(deep_state.energy, deep_state.norm_state)
print(f"distance to the data: untrained {untrained:.1f}, trained {trained:.1f}")

# %% [markdown]
# ## 8. Looking at it
#
# Samples beside data; how chains get there; whether the energy tells data from noise; and the energy on the plane
# through three digits.

# %%
from ebmx.plotting import (
    chain_strip,
    energy_histogram,
    energy_landscape,
    sample_grid,
    training_curves,
)

persistent = buffer.draw(100, key=key).x
figure = sample_grid(
    {"from noise": after[:100], "persistent chains": persistent, "real": digits.test[:100]}
)
figure.savefig("simple_ebm-samples.png")
figure

# %%
steps = (1, 5, 10, 20, 50, 100)
path = ebmx.sample(state.ema, chains, from_noise[:6], num_samples=100, key=key).values
frames = jnp.moveaxis(path[:, np.array(steps) - 1], 1, 0)
figure = chain_strip(np.asarray(frames), steps, title="Six chains")
figure.savefig("simple_ebm-chains.png")
figure

# %%
groups = {"data": clean, "samples": after, "noise": from_noise}
values = {name: ebmx.energy(state.ema, x) for name, x in groups.items()}
figure = energy_histogram(values)
figure.savefig("simple_ebm-energies.png")
figure

# %%
three = clean[np.array([0, 1, 2])]
plane = ebmx.evaluation.energy_slice(
    state.ema,
    three[0],
    (three[1] - three[0], three[2] - three[0]),
    limits=((-0.5, 1.5), (-0.5, 1.5)),
)
figure = energy_landscape(
    plane.a,
    plane.b,
    plane.energies,
    points={"digits": plane.coordinates(three)},
    field=plane.field,
    title="The plane through three digits",
)
figure.savefig("simple_ebm-landscape.png")
figure

# %%
shown = ["real_energy_mean", "fake_energy_mean", "chain_grad_norm"]
figure = training_curves(history, names=shown, title="Persistent contrastive divergence")
figure.savefig("simple_ebm-training.png")
figure

# %% [markdown]
# ## 9. Summary, and what to try
#
# An energy is a function; a sampler walks on it; training lowers it at data and raises it at samples. Persistent chains
# make the samples worth having. What to change next, each a program that runs:
#
# | experiment | program |
# |---|---|
# | other widths, activations, norms | [architectures.py](architectures.py) |
# | step size, steps, temperature, annealing | [tuning_mcmc.py](tuning_mcmc.py) |
# | CD against persistent CD | [cd_against_pcd.py](cd_against_pcd.py) |
# | labels: generate the digit asked for | [conditional.py](conditional.py) |
# | a classifier that is an energy | [hybrid.py](hybrid.py) |
# | no chains at all: score matching | [score_matching.py](score_matching.py) |
# | several energies in one | [composition.py](composition.py) |
# | minima, paths, barriers | [landscapes.py](landscapes.py) |
# | what long chains do | [long_run.py](long_run.py) |
# | a kernel of BlackJAX as the sampler | [blackjax_kernel.py](blackjax_kernel.py) |
# | several devices | [sharding.py](sharding.py) |
# | MNIST in full | [full_mnist.py](full_mnist.py) |
