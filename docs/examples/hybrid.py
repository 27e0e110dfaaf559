# %% [markdown]
# # Can one network classify and generate?
#
# A classifier's logits are an energy, `E(x) = −log Σ_y exp(logits(x)[y])`, and training its density beside the cross
# entropy makes a hybrid, JEM. Is it still a good classifier, does it generate, and does it know what is no digit?

# %%
# %matplotlib inline

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import JEM, ConvNet
from ebmx.evaluation import energy_distance, out_of_distribution
from ebmx.plotting import energy_histogram, sample_grid
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, WeightedSum, contrastive_loss, cross_entropy_loss

key = jax.random.key(0)
digits = ebmx.data.load("digits")
model = JEM(ConvNet(digits.shape, channels=(32, 64), out_size=10, key=key))
chains = Langevin(step_size=2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
generative = eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05))
optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3, b1=0.0))
trainer = Trainer(
    optim,
    PCD(chains, num_steps=20, capacity=2048, reinit_prob=0.05),
    WeightedSum((generative, cross_entropy_loss), (1.0, 1.0)),
    ema_decay=0.95,
    data_noise=0.03,
)
labels = digits.train_labels.astype(np.int32)
batches = ebmx.data.batches(digits.train, 128, labels=labels, key=key)
state = trainer.init(model, key=key)
state, history = ebmx.fit(trainer, state, batches, num_steps=400, key=key)
hybrid = state.ema

# %%
logits = jax.vmap(hybrid.logits)(jnp.asarray(digits.test))
accuracy = float(jnp.mean(jnp.argmax(logits, 1) == digits.test_labels))
print(f"accuracy on test images {accuracy:.1%}")


def distance(x):
    """The energy distance to test images, 0 for equal distributions."""
    return energy_distance(np.reshape(x, (len(x), -1)), digits.test.reshape(-1, 64))


noise = jax.random.uniform(key, (512, *digits.shape), minval=-1, maxval=1)
samples = state.negatives_state.draw(512, key=key).x
print(f"distance to test images: noise {distance(noise):.2f}, samples {distance(samples):.2f}")

fours, _ = ebmx.run(hybrid.at(4), chains, noise[:100], num_steps=100, key=key)
share = float(jnp.mean(jnp.argmax(jax.vmap(hybrid.logits)(fours), 1) == 4))
print(f"sampled as fours: the hybrid itself takes {share:.0%} of them for fours")

# %% [markdown]
# What is no digit: digits upside down, the four quarters swapped. An AUROC of 1 tells all, one of ½ none.

# %%
others = {"upside down": digits.test[:, ::-1], "quarters swapped": np.roll(digits.test, 4, (1, 2))}
values = {"digits": ebmx.energy(hybrid, digits.test)}
for name, x in others.items():
    values[name] = ebmx.energy(hybrid, np.ascontiguousarray(x))
    found = out_of_distribution(values["digits"], values[name])
    print(f"{name}: AUROC {found.auroc:.2f}")

# %%
figure = energy_histogram(values, title="What is no digit has higher energies")
figure.savefig("hybrid-energies.png")
figure

# %%
figure = sample_grid({"samples": samples[:100], "sampled as fours": fours})
figure.savefig("hybrid.png")
figure
