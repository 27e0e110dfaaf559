# %% [markdown]
# # A density without chains: how does an energy over noise levels do it?
#
# `E(x, σ)` is an energy at each level of noise: `p_σ` is the density of the data with `N(0, σ²)` added. Scores fix its shape
# at each level, telling neighbouring levels apart fixes the constants between them, and the highest level is a known
# Gaussian. So `-E(x, σ₀)` is a log density, and training runs no chain. Here on the plane, where all of it can be checked.

# %%
# %matplotlib inline
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import (
    MLP,
    FourierFeatures,
    GaussianMixture,
    NoiseConditional,
    NoiseMixture,
    exact_samples,
    geometric_levels,
)
from ebmx.evaluation import (
    annealed_importance_sampling,
    energy_slice,
    log_z_by_quadrature,
    probability_flow_log_density,
)
from ebmx.plotting import energy_landscape
from ebmx.samplers import MALA, ProbabilityFlow, sample_levels
from ebmx.training import PerturbedLevels, Trainer, noise_level_loss

key = jax.random.key(0)
low, high = [-7.0, -7.0], [7.0, 7.0]
levels = geometric_levels(0.05, 14.0, 24, tilt=1.4)

# %% [markdown]
# ## Training
#
# Eight modes on a circle whose weights are 1:2:…:8, so that it shows whether masses are right. The network is a perceptron
# on waves; beside it stands the Gaussian of the data. The lowest level, 0.05, is small beside the modes.

# %%
angles = np.linspace(0, 2 * np.pi, 9)[:8]
circle = 3 * np.stack([np.cos(angles), np.sin(angles)], 1)
weights = np.arange(1, 9) / 36
truth = GaussianMixture(circle, 0.3, weights=weights)
bar = GaussianMixture(np.array([[1.0, -2.0], [1.0, 2.0]]), 1.0)


def learn(density, key, num_steps):
    """An energy over noise levels of 20,000 examples of a density."""
    data_key, wave_key, network_key, key = jax.random.split(key, 4)
    x = np.asarray(exact_samples(density, 20_000, key=data_key))
    features = FourierFeatures((2,), 48, 0.4, 6.0, key=wave_key)
    network = MLP(features.joint_shape, (96, 96), condition_size=32, key=network_key)
    energy = NoiseConditional(
        network, levels, mean=x.mean(0), covariance=np.cov(x.T), features=features, key=key
    )
    loss = eqx.Partial(noise_level_loss, stable_targets=True)
    optim = optax.adam(optax.cosine_decay_schedule(4e-3, num_steps))
    trainer = Trainer(optim, PerturbedLevels(), loss, ema_decay=0.99)
    state = trainer.init(energy, key=key)
    batches = ebmx.data.batches(x, 512, key=key)
    state, history = ebmx.fit(trainer, state, batches, num_steps=num_steps, key=key)
    return state.ema, history


begin = time.monotonic()
model, history = learn(truth, key, 1500)
print(f"{time.monotonic() - begin:.0f} s, no chains")

# %% [markdown]
# ## The normaliser
#
# `log_density` is one pass. By quadrature over the plane `log Z` of the lowest level is near 0. In more dimensions there is
# no quadrature; two other checks are annealed importance sampling along the levels, and the probability flow, which knows
# nothing of the constants.

# %%
lowest = model.at(levels.sigma[0])
blurred = GaussianMixture(circle, (0.3**2 + 0.05**2) ** 0.5, weights=weights)
x = exact_samples(blurred, 1000, key=jax.random.key(1))
log_p, log_p_true = ebmx.log_density(model, x), ebmx.log_density(blurred, x)
log_z = log_z_by_quadrature(lowest, low, high)
divergence = float(jnp.mean(log_p_true - log_p)) + log_z
annealed = annealed_importance_sampling(model, num_temperatures=200, key=key)
flow = probability_flow_log_density(model, x[:100])
print(f"log Z by quadrature {log_z:.3f}, by annealing {annealed.log_z:.3f}; 0 is right")
print(f"KL(truth, model) {divergence:.4f} nats")
print(f"log p(x) by the flow and in one pass: {jnp.mean(flow):.3f}, {jnp.mean(log_p[:100]):.3f}")

# %% [markdown]
# ## Samples
#
# From exact samples of the highest level down to the lowest: by the probability flow, and with some steps of MALA at each
# level. The corrector may be any sampler without bounds. The masses of the modes come out right without a chain that
# crosses between them.


# %%
def masses(x):
    """The fraction of samples nearest to each mode."""
    nearest = np.argmin(np.linalg.norm(np.asarray(x)[:, None] - circle, axis=-1), 1)
    return np.bincount(nearest, minlength=8) / len(x)


num = 5000
ways = {
    "probability flow": {"predictor": ProbabilityFlow()},
    "the same and MALA": {"predictor": ProbabilityFlow(), "corrector": MALA(0.5), "num_steps": 5},
    "MALA alone": {"corrector": MALA(0.5), "num_steps": 20},
}
for name, way in ways.items():
    drawn = sample_levels(model, num, **way, key=key)
    found = masses(drawn.x)
    worst = float(np.abs(found - weights).max())
    print(f"{name:18s} largest error of a mass {worst:.3f}, acceptance {drawn.acceptance[-1]:.2f}")

# %% [markdown]
# ## And, or
#
# A second energy learns two broad blobs on the right. "Or" is a mixture, exact at every level. "And" is a sum: at a level
# above the lowest it is **not** the product with noise, so a predictor alone ends elsewhere. The corrector, which rejects
# by the energy of the sum, sets that right; the expected masses are by quadrature.

# %%
other, _ = learn(bar, jax.random.key(2), 400)
both, either = model + other, NoiseMixture([model, other], np.array([1.0, 3.0]))
axis = np.linspace(-7, 7, 281)
grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)
log = -np.asarray(ebmx.energy(both.at(levels.sigma[0]), grid))
share = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
nearest = np.argmin(np.linalg.norm(grid[:, None] - circle, axis=-1), 1)
expected = np.bincount(nearest, weights=share, minlength=8)
alone = masses(sample_levels(both, num, predictor=ProbabilityFlow(), key=key).x)
corrected = sample_levels(
    both, num, predictor=ProbabilityFlow(), corrector=MALA(0.5), num_steps=30, key=key
)
errors = [float(np.abs(found - expected).max()) for found in (alone, masses(corrected.x))]
print(f"and: largest error of a mass {errors[0]:.3f} by the flow alone, {errors[1]:.3f} corrected")
print(f"or: log Z {log_z_by_quadrature(either.at(levels.sigma[0]), low, high):.3f}")

# %%
axes = (jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
limits = ((-5.0, 5.0), (-5.0, 5.0))
plane = energy_slice(lowest, jnp.zeros(2), axes, limits=limits)
figure = energy_landscape(
    plane.a,
    plane.b,
    plane.energies,
    points={"samples of both": np.asarray(corrected.x[:300])},
    ceiling=float(plane.energies.min()) + 12,
    names=("x", "y"),
    title="E(x, 0.05), and samples of the sum with a second energy",
)
figure.savefig("noise_levels.png")
figure
