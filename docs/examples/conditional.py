# %% [markdown]
# # How to generate the digit that is asked for?
#
# A conditional energy `E(x, y)` has one density for each label. It is trained on pairs, each chain in the buffer keeps
# its label, and `at(y)` makes a plain energy of it. Is the digit that comes out the one asked for? A judge that has
# nothing to do with the model says: the nearest of the ten mean images of the training data.

# %%
# %matplotlib inline

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import Conditional, ConvNet
from ebmx.plotting import sample_grid
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, contrastive_loss

key = jax.random.key(0)
digits = ebmx.data.load("digits")
labels = digits.train_labels.astype(np.int32)
means = np.stack([digits.train[labels == y].mean(0) for y in range(10)])


def judged(x):
    """The label whose mean image is nearest, `(num,)`."""
    return np.square(np.asarray(x)[:, None] - means).sum((2, 3, 4)).argmin(1)


right = np.mean(judged(digits.test) == digits.test_labels)
print(f"the judge is right about {right:.0%} of the test images")

# %%
network = ConvNet(digits.shape, channels=(32, 64), out_size=64, key=key)
model = Conditional(network, num_labels=10, key=key)
chains = Langevin(step_size=2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
trainer = Trainer(
    optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3, b1=0.0)),
    PCD(chains, num_steps=20, capacity=2000, reinit_prob=0.05, num_labels=10),
    eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05)),
    ema_decay=0.95,
    data_noise=0.03,
)
batches = ebmx.data.batches(digits.train, 128, labels=labels, key=key)
state = trainer.init(model, key=key)
state, history = ebmx.fit(trainer, state, batches, num_steps=400, key=key)

# %%
wanted = jnp.tile(jnp.arange(10), 20)  # ten columns, one digit each
noise = jax.random.uniform(key, (200, *digits.shape), minval=-1, maxval=1)


def hits(model):
    """Samples of the labels wanted, and the share that the judge takes for them."""
    x, _ = ebmx.run(model.at_each(wanted), chains, noise, num_steps=100, key=key)
    return x, float(np.mean(judged(x) == np.asarray(wanted)))


_, before = hits(model)
samples, after = hits(state.ema)
print(f"the digit asked for: untrained {before:.0%}, trained {after:.0%} (a guess: 10 %)")

sevens = state.ema.at(7)  # a plain energy again
values = ebmx.energy(sevens, digits.test)
is_seven = digits.test_labels == 7
print(f"E(x, 7): of sevens {values[is_seven].mean():.3f}, of others {values[~is_seven].mean():.3f}")

# %%
figure = sample_grid({"asked for 0 to 9, by columns": samples[:100], "real": digits.test[:100]})
figure.savefig("conditional.png")
figure
