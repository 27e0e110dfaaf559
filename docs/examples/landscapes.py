# %% [markdown]
# # What does an energy look like?
#
# Minima, the paths between them, and how steep it is there: first on a double well, where all of it is known, then on an
# energy of digits, in 64 dimensions.

# %%
# %matplotlib inline

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.evaluation import (
    disconnectivity,
    energy_slice,
    hessian_eigenvalues,
    local_minima,
    minimum_energy_path,
)
from ebmx.plotting import disconnectivity_graph, energy_landscape, energy_profile
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, contrastive_loss

key = jax.random.key(0)


def well(x):
    """Minima at (±1, 0) with energy 0; the pass at (0, ½) has 3, the straight way 3.5."""
    y = x[1] - 0.5 * (1 - x[0] ** 2)
    return 3 * (x[0] ** 2 - 1) ** 2 + 2 * y**2


left, right = jnp.array([-1.0, 0.0]), jnp.array([1.0, 0.0])
minima = local_minima(well, jax.random.normal(key, (64, 2)))
print(f"{len(minima.energies)} minima, at {np.round(np.asarray(minima.x), 2).tolist()}")
straight = minimum_energy_path(well, left, right, num_points=33, num_steps=0)
best = minimum_energy_path(well, left, right)
print(f"barrier: straight {straight.barrier:.3f} (3.5), best {best.barrier:.3f} (3)")
curvature = hessian_eigenvalues(well, right, num_eigenvalues=2, key=key).largest
exact = np.linalg.eigvalsh(jax.hessian(well)(right))
print("curvatures at a minimum", np.round(curvature, 3), "of", np.round(exact, 3))

# %%
plane = energy_slice(
    well,
    jnp.zeros(2),
    (jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])),
    limits=((-1.6, 1.6), (-1, 1.2)),
)
points = {"best path": best.x, "straight": straight.x}
names = ("x", "y")
figure = energy_landscape(
    plane.a, plane.b, plane.energies, points=points, ceiling=8.0, names=names, title="A bent valley"
)
figure.savefig("landscapes-well.png")
figure

# %% [markdown]
# ## An energy of digits
#
# Low minima that many starts fall into, with high passes between them, are where chains get stuck.

# %%
digits = ebmx.data.load("digits")
chains = Langevin(step_size=2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
trainer = Trainer(
    optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3, b1=0.0)),
    PCD(chains, num_steps=20, capacity=2048, reinit_prob=0.05),
    eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05)),
    ema_decay=0.95,
    data_noise=0.03,
)
state = trainer.init(ebmx.energies.MLP(digits.shape, (128, 128), key=key), key=key)
batches = ebmx.data.batches(digits.train, 128, key=key)
state, _ = ebmx.fit(trainer, state, batches, num_steps=300, key=key)

starts = digits.test[:32]
found = local_minima(state.ema, starts, bounds=(-1, 1))
few = found.x[:5]
print(f"{len(starts)} digits fall into {len(found.energies)} minima")
tree = disconnectivity(state.ema, few, bounds=(-1, 1), num_steps=400)
figure = disconnectivity_graph(found.energies[:5], tree.merges, fractions=found.fractions[:5])
figure.savefig("landscapes-tree.png")
figure

# %%
a, b = few[0], few[1]
paths = {
    "straight": minimum_energy_path(state.ema, a, b, num_steps=0),
    "least energy": minimum_energy_path(state.ema, a, b, bounds=(-1, 1), num_steps=100),
}
figure = energy_profile(
    {name: (path.distances, path.energies) for name, path in paths.items()},
    title="Between the two lowest minima",
)
figure.savefig("landscapes-path.png")
figure
