# %% [markdown]
# # How to tune the chains
#
# Step size, number of steps, temperature, annealing, on a density that is known exactly, so that each error is a
# number: two normal distributions on the plane, with three quarters of the mass in the right one.

# %%
# %matplotlib inline

import jax
import jax.numpy as jnp
import optax

import ebmx
from ebmx.energies import Gaussian, GaussianMixture
from ebmx.plotting import energy_landscape
from ebmx.samplers import MALA, Annealed, Langevin, warmup

key = jax.random.key(0)
num_chains = 4000

# %% [markdown]
# ## Step size
#
# Without correction, a step of `ε` samples a normal density of variance 1 with the variance `1 / (1 − ε/4)`: the error
# grows with the step. MALA has none, but rejects more and more. `warmup` finds the step at which it accepts 57 %.

# %%
normal = Gaussian(jnp.zeros(2))
start = jax.random.normal(key, (num_chains, 2))
for step_size in (0.05, 0.5, 1.0, 2.0):
    langevin, _ = ebmx.run(normal, Langevin(step_size), start, num_steps=200, key=key)
    exact, info = ebmx.run(normal, MALA(step_size), start, num_steps=200, key=key)
    expected = 1 / (1 - step_size / 4)
    print(
        f"step {step_size:4.2f}: variance {langevin.var():.3f} (theory {expected:.3f}), "
        f"MALA {exact.var():.3f}, accepted {info.acceptance.mean():.2f}"
    )
tuned, _ = warmup(normal, MALA(0.01), start[:50], num_steps=300, key=key)
print(f"warmup finds the step size {tuned.step_size:.2f}")

# %% [markdown]
# ## Number of steps
#
# Chains that start far away need about `1/ε` steps, times the square of the width, to arrive: halve the step, and take
# twice as many.

# %%
far = start + 10
for num_steps in (10, 30, 100):
    x, _ = ebmx.run(normal, Langevin(0.1), far, num_steps=num_steps, key=key)
    theory = 10 * 0.95**num_steps
    print(f"after {num_steps:3d} steps the mean is {x.mean():5.2f} (theory {theory:.2f})")

# %% [markdown]
# ## Temperature and annealing
#
# A chain at `T` samples `exp(-E/T)`: the variance of a normal density is multiplied by `T`. Hot chains cross barriers.
# From a start on the wrong side, cold ones stay there; annealing from hot to 1 ends nearer to the true shares.

# %%
for temperature in (0.25, 1.0, 4.0):
    sampler = Langevin(0.05, temperature=temperature)
    x, _ = ebmx.run(normal, sampler, start, num_steps=300, key=key)
    print(f"T = {temperature:4.2f}: variance {x.var():.2f}")

means = jnp.array([[-3.0, 0.0], [3.0, 0.0]])
wells = GaussianMixture(means, jnp.array([0.5, 0.5]), weights=jnp.array([0.25, 0.75]))
wrong = jnp.tile(means[:1], (num_chains, 1))
steps = 2000
samplers = {
    "T = 1": Langevin(0.1),
    "annealed from T = 10": Annealed(
        Langevin(0.1), temperature=optax.exponential_decay(10.0, steps // 2, 0.1, end_value=1.0)
    ),
}
shares, ends = {}, {}
for name, sampler in samplers.items():
    x, _ = ebmx.run(wells, sampler, wrong, num_steps=steps, key=key)
    shares[name], ends[name] = float(jnp.mean(x[:, 0] > 0)), x[:500]
    print(f"{name:21s} {shares[name]:.2f} in the right well (truth 0.75)")

# %%
plane = ebmx.evaluation.energy_slice(
    wells, jnp.zeros(2), (jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])), limits=((-6, 6), (-4, 4))
)
figure = energy_landscape(
    plane.a,
    plane.b,
    plane.energies,
    points=ends,
    ceiling=15.0,
    names=("x", "y"),
    title="All chains started left",
)
figure.savefig("tuning_mcmc.png")
figure
