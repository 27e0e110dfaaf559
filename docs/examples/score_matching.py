# %% [markdown]
# # Score matching or contrastive divergence?
#
# Denoising score matching needs no chain: it learns the score of data that are blurred by `σ`. One network learns two
# blobs both ways, one with a fifth of the mass, the other with the rest. Two questions, with exact answers here: is the
# score right where the data are, and is the mass shared rightly?

# %%
# %matplotlib inline
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import MLP, Gaussian, GaussianMixture, Uniform
from ebmx.evaluation import energy_slice, log_z_by_quadrature
from ebmx.plotting import energy_landscape
from ebmx.samplers import MALA, Cycle, Independence
from ebmx.training import PCD, Perturbed, Trainer, UniformNoise, denoising_score_matching_loss

key = jax.random.key(0)
sigma, weights = 0.3, jnp.array([0.2, 0.8])
means = jnp.array([[-3.0, 0.0], [3.0, 0.0]])
clean = GaussianMixture(means, 0.4, weights=weights)
blurred = GaussianMixture(means, (0.4**2 + sigma**2) ** 0.5, weights=weights)  # what both learn
draw = jax.jit(jax.vmap(lambda key: clean.sample(key=key)))
data = np.asarray(draw(jax.random.split(key, 4000)))

# %%
model = MLP((2,), (128, 128), key=key) + Gaussian(jnp.zeros(2), 16.0)  # falls off at infinity
jumps = Cycle((MALA(0.2), Independence(Uniform(jnp.full(2, -6.0), jnp.full(2, 6.0)))))
noise = UniformNoise(-6.0, 6.0)
methods = {
    "denoising": Trainer(
        optax.adam(2e-3),
        Perturbed(sigma),
        eqx.Partial(denoising_score_matching_loss, sigma=jnp.asarray(sigma)),
        ema_decay=0.99,
    ),
    "persistent CD": Trainer(
        optax.adam(2e-3),
        PCD(jumps, num_steps=5, capacity=1024, noise=noise),
        ema_decay=0.99,
        data_noise=sigma,
    ),
}
num_steps = {"denoising": 3000, "persistent CD": 1000}
low, high = jnp.full(2, -7.0), jnp.full(2, 7.0)
points = data[:500] + sigma * np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)


def judge(energy):
    """The relative error of the score at blurred data, and the mass of the left half."""
    exact = ebmx.score(blurred, points)
    error = jnp.linalg.norm(ebmx.score(energy, points) - exact) / jnp.linalg.norm(exact)
    left = log_z_by_quadrature(energy, low, jnp.array([0.0, 7.0]))
    return float(error), float(np.exp(left - log_z_by_quadrature(energy, low, high)))


before, _ = judge(model)
print(f"untrained: relative error of the score {before:.2f}")
found, learnt = {}, {}
for name, trainer in methods.items():
    begin = time.monotonic()
    batches = ebmx.data.batches(data, 256, key=key)
    state = trainer.init(model, key=key)
    state, _ = ebmx.fit(trainer, state, batches, num_steps=num_steps[name], key=key)
    seconds, learnt[name] = time.monotonic() - begin, state.ema
    found[name] = judge(state.ema)
    error, left = found[name]
    print(f"{name:14s} error {error:.2f}, mass on the left {left:.2f} (0.20), {seconds:.0f} s")

# %% [markdown]
# Both have the score. Between the blobs there are no data, and the difference in depth of the two is an integral of the
# score across that gap: score matching cannot know it, chains that jump can.

# %%
axes = (jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
plane = energy_slice(learnt["denoising"], jnp.zeros(2), axes, limits=((-6, 6), (-3, 3)))
figure = energy_landscape(
    plane.a,
    plane.b,
    plane.energies,
    points={"data": points[:200]},
    field=plane.field,
    ceiling=float(plane.energies.min()) + 12,
    names=("x", "y"),
    title="Energy and score by denoising",
)
figure.savefig("score_matching.png")
figure
